/** LoRA files in kohya's and in diffusers' names, written and read. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  diffusersLora,
  kohyaLora,
  type LoraContent,
} from "../src/checkpoints/lora_file.ts";
import {
  diffusersKey,
  kohyaKey,
  LoraNames,
} from "../src/checkpoints/lora_names.ts";
import { openSafetensors } from "../src/checkpoints/safetensors.ts";
import { writeSafetensors } from "../src/checkpoints/safetensors_writer.ts";
import { joinBytes } from "../src/host/codecs/bytes.ts";
import { RandomStream } from "../src/train/data/random.ts";
import { layerPaths, type LoraLayer, weightName } from "../src/weights/lora.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";
import {
  caseFile,
  lowRankLayers,
  miniTargets,
  openLora,
} from "./support/loras.ts";
import { readMetadata } from "./support/safetensors.ts";
import { fuzz, rawSafetensors } from "./support/weights.ts";

const { unet: { file: unet } } = await miniComponents;
const paths = layerPaths(unet);

/** A LoRA of a few layers, windows among them. */
const layers: LoraLayer[] = [
  "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
  "down_blocks.1.attentions.0.proj_in",
  "down_blocks.0.resnets.0.conv1",
].map((path, i) => {
  const { shape } = unet.tensors.get(weightName(path))!;
  const stream = new RandomStream(i, "lora");
  const inputs = shape.slice(1).reduce((n, length) => n * length, 1);
  return {
    path,
    shape,
    rank: 2,
    alpha: 3,
    down: stream.normals(2 * inputs),
    up: stream.normals(2 * shape[0]),
  };
});

async function source({ tensors, metadata }: LoraContent) {
  const chunks: Uint8Array[] = [];
  await writeSafetensors(
    (chunk) => Promise.resolve(void chunks.push(chunk.slice())),
    tensors,
    "F32",
    metadata,
  );
  return new MemorySource(joinBytes(chunks), "a.safetensors");
}

async function written(content: LoraContent) {
  return await openSafetensors(await source(content));
}

/** What is read of the layers above: alpha is in the second matrix. */
const readLayers = layers.map(({ path, shape, rank, alpha, down, up }) => ({
  name: weightName(path),
  shape,
  rank,
  down,
  up: up.map((value) => value * (alpha / rank)),
}));

Deno.test("lora files: names are those that diffusers' code gives", async () => {
  const golden = repositoryPath("tests/goldens/lora.safetensors.gz");
  const names: Record<string, { diffusers: string[]; kohya: string[] }> = JSON
    .parse((await readMetadata(golden)).names);
  const known = new LoraNames(paths);
  for (const [path, { diffusers, kohya }] of Object.entries(names)) {
    const keys = (["down", "up"] as const)
      .map((factor) => ({ path, factor }));
    const all = [{ path, factor: "alpha" as const }, ...keys];
    assertEquals(keys.map(diffusersKey), diffusers);
    assertEquals(all.map(kohyaKey), kohya);
    assertEquals(diffusers.map((name) => known.parse(name)), keys);
    assertEquals(kohya.map((name) => known.parse(name)), all);
  }
});

Deno.test("lora files: every layer of a UNet is found by its kohya name", () => {
  const known = new LoraNames(paths);
  for (const path of paths) {
    const key = { path, factor: "up" as const };
    assertEquals(known.parse(kohyaKey(key)), key);
  }
});

Deno.test("lora files: older names of diffusers and peft are read", () => {
  const known = new LoraNames(paths);
  const block = "mid_block.attentions.0.transformer_blocks.0";
  for (
    const [name, path, factor] of [
      [`${block}.attn1.processor.to_q_lora.down.weight`, "attn1.to_q", "down"],
      [
        `unet.${block}.attn2.processor.to_out_lora.up.weight`,
        "attn2.to_out.0",
        "up",
      ],
      [`unet.${block}.attn1.to_k.lora.up.weight`, "attn1.to_k", "up"],
      [
        `base_model.model.${block}.ff.net.2.lora_A.default.weight`,
        "ff.net.2",
        "down",
      ],
    ]
  ) {
    assertEquals<unknown>(known.parse(name), {
      path: `${block}.${path}`,
      factor,
    });
  }
  assertEquals(known.parse("lora_te_text_model_encoder.alpha"), undefined);
  assertEquals(known.parse(`unet.${block}.attn1.to_q.weight`), undefined);
});

for (
  const [form, write] of [["kohya", kohyaLora], [
    "diffusers",
    diffusersLora,
  ]] as const
) {
  Deno.test(`lora files: what is written for ${form} is read as it was`, async () => {
    const file = await written(write(layers));
    assertEquals(await lowRankLayers(await source(write(layers))), readLayers);
    const conv = [...file.tensors.values()]
      .filter(({ name }) => /resnets.0.conv1\.lora_(down|up|A|B)/.test(name));
    assertEquals(conv.map(({ shape }) => shape), [[2, 48, 3, 3], [
      48,
      2,
      1,
      1,
    ]]);
  });
}

Deno.test("lora files: kohya's metadata says rank, alpha and which model it is for", async () => {
  const { metadata } = await written(kohyaLora(layers));
  assertEquals(metadata.ss_network_dim, "2");
  assertEquals(metadata.ss_network_alpha, "3");
  assertEquals(metadata.ss_base_model_version, "sd_v1");
  assertEquals(metadata.ss_network_args, '{"conv_dim":"2","conv_alpha":"3"}');
  const plain = await written(kohyaLora(layers.slice(0, 2)));
  assertEquals(plain.metadata.ss_network_args, undefined);
});

Deno.test("lora files: without alpha, it is the rank", async () => {
  const { tensors } = diffusersLora(layers.slice(0, 1));
  const [{ up }] = await lowRankLayers(
    await source({ tensors, metadata: {} }),
  );
  assertEquals(up, layers[0].up);
});

Deno.test("lora files: one for another model is refused in one line", async () => {
  const [layer] = layers;
  const { tensors } = kohyaLora([layer]);
  const wide = kohyaLora([{
    ...layer,
    shape: [layer.shape[0], 768],
    down: new Float32Array(2 * 768),
  }]);
  const named = (name: string) => ({ ...tensors[0], name });
  const alpha = tensors.find(({ name }) => name.endsWith(".alpha"))!;
  const stem = alpha.name.slice(0, -".alpha".length);
  const values = (name: string, shape: number[], values: number[]) => ({
    name,
    shape,
    floats: () => [Float32Array.from(values)],
  });
  for (
    const [content, message] of [
      [[], "it is no LoRA of this model"],
      [[], "got no tensors"],
      [
        [named("lora_unet_input_blocks_1_1_proj_in.lora_up.weight")],
        "it is a LoRA of SDXL, expected one of Stable Diffusion 1.5; of its 1 tensors, 1 unknown: lora_unet_input_blocks_1_1_proj_in.lora_up.weight",
      ],
      [
        [
          ...tensors,
          named("lora_te2_text_model_encoder_layers_0_fc1.lora_up.weight"),
        ],
        "it is a LoRA of SDXL",
      ],
      [
        [named(
          "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight",
        )],
        "a model like Flux or SD 3",
      ],
      [
        [...tensors, named("lora_unet_mid_block_resnets_9.lora_up.weight")],
        "it is for another model, or of a kind that is not known here: 1 layers are this model's; of its 4 tensors, 1 unknown",
      ],
      [[...tensors, named(`${stem}.oft_blocks`)], "1 unknown"],
      [[...tensors, named(`${stem}.dora_scale`)], "it is a DoRA"],
      [
        [...tensors, named(`${stem}.lora_A.weight`)],
        `tensors ${stem}.lora_down.weight and ${stem}.lora_A.weight stand for the same one`,
      ],
      [tensors.slice(0, 1), "has no factor up"],
      [tensors.slice(1), "has no factor down"],
      [[alpha], "no matrices to multiply"],
      [wide.tensors, "is (2, 768), expected (2, 128) for a weight of"],
      [
        [...tensors.slice(0, 2), values(alpha.name, [], [NaN])],
        "is NaN, expected a finite number",
      ],
      [
        [...tensors.slice(0, 2), values(alpha.name, [2], [1, 2])],
        "has 2 values, expected one number",
      ],
      [
        [values(`${stem}.lokr_w1`, [3, 2], [0, 0, 0, 0, 0, 0])],
        "has no factor lokr_w2_b",
      ],
      [
        [
          values(`${stem}.lokr_w1`, [3, 2], [0, 0, 0, 0, 0, 0]),
          values(`${stem}.lokr_w2`, [1, 1], [0]),
        ],
        "has a Kronecker factor of 3 × 2, expected one that divides 128 × 128",
      ],
      [
        [values(`${stem}.weight`, [3], [0, 0, 0])],
        "is (3), expected (1, 128)",
      ],
    ] as const
  ) {
    const file = await source({ tensors: [...content], metadata: {} });
    const error = await assertRejects(
      async () => (await openLora(file)).deltas(await miniTargets()),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assert(error.message.includes(message), error.message);
    assert(!error.message.includes("\n"));
  }
  for (
    const [metadata, message] of [["{", "JSON"], [
      '{"unet.use_dora": true}',
      "it is a DoRA",
    ]]
  ) {
    const file = await source({
      tensors: [...tensors],
      metadata: { lora_adapter_metadata: metadata },
    });
    await assertRejects(
      async () => (await openLora(file)).deltas(await miniTargets()),
      MasterWeaverError,
      message,
    );
  }
});

Deno.test("lora files: numbers of another type are refused before an image is made", async () => {
  const [{ path, shape }] = layers;
  const name = `unet.${path}.diff`;
  const count = shape.reduce((a, b) => a * b, 1);
  const file = new MemorySource(
    rawSafetensors(
      { [name]: { dtype: "I8", shape, data_offsets: [0, count] } },
      new Uint8Array(count),
    ),
    "bytes.safetensors",
  );
  const lora = await openLora(file);
  const targets = await miniTargets();
  const error = assertThrows(() => lora.deltas(targets), MasterWeaverError);
  assertEquals(
    error.message,
    `Cannot use bytes.safetensors: tensor ${name} holds I8, expected floating-point values`,
  );
});

Deno.test("lora files: values that are not finite are refused when they are read", async () => {
  const [layer] = layers;
  const file = await source(
    kohyaLora([{ ...layer, up: layer.up.map(() => Infinity) }]),
  );
  const { unet } = (await openLora(file)).deltas(await miniTargets());
  await assertRejects(() => unet[0].read(1), MasterWeaverError, "not finite");
});

Deno.test("lora files: damaged in many ways, each opens or is refused", async () => {
  const targets = await miniTargets();
  const whole = caseFile("loha");
  const refused = await fuzz(whole, 300, async (given) => {
    const lora = await openLora(given);
    const { unet, text_encoder: text } = lora.deltas(targets);
    for (const delta of [...unet, ...text]) await delta.read(1);
  });
  assert(refused > 50, `${refused} refused`);
});
