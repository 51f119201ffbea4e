/** LoRA files in kohya's and in diffusers' names, written and read. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  diffusersLora,
  kohyaLora,
  type LoraContent,
  readLora,
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
import { readMetadata } from "./support/safetensors.ts";

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

async function written({ tensors, metadata }: LoraContent) {
  const chunks: Uint8Array[] = [];
  await writeSafetensors(
    (chunk) => Promise.resolve(void chunks.push(chunk.slice())),
    tensors,
    "F32",
    metadata,
  );
  return await openSafetensors(
    new MemorySource(joinBytes(chunks), "a.safetensors"),
  );
}

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
    const read = await readLora(file, unet);
    assertEquals(read, { layers, others: [] });
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

Deno.test("lora files: without alpha it is the rank; a text encoder's tensors are passed over", async () => {
  const { tensors } = diffusersLora(layers.slice(0, 1));
  const other = {
    name: "lora_te_text_model_encoder_layers_0_mlp_fc1.alpha",
    shape: [],
    floats: () => [Float32Array.of(1)],
  };
  const file = await written({ tensors: [...tensors, other], metadata: {} });
  const read = await readLora(file, unet);
  assertEquals(read.others, [other.name]);
  assertEquals(read.layers[0].alpha, 2);
});

Deno.test("lora files: one for another UNet is refused", async () => {
  const [layer] = layers;
  const { tensors } = kohyaLora([layer]);
  const wide = kohyaLora([{
    ...layer,
    shape: [layer.shape[0], 768],
    down: new Float32Array(2 * 768),
  }]);
  for (
    const [content, message] of [
      [[], "it is no LoRA of"],
      [
        [{ ...tensors[0], name: "lora_unet_input_blocks_1_1_proj_in.alpha" }],
        "other tensors",
      ],
      [[{ ...tensors[0], name: "dora_scale" }, ...tensors], "dora_scale"],
      [tensors.slice(0, 1), "has no factor up"],
      [tensors.slice(1), "has no factor down"],
      [wide.tensors, "is (2, 768), expected (2, 128)"],
    ] as const
  ) {
    const file = await written({ tensors: [...content], metadata: {} });
    const error = await assertRejects(
      () => readLora(file, unet),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assert(error.message.includes(message), error.message);
  }
  const metadata = { lora_adapter_metadata: "{" };
  const file = await written({ tensors, metadata });
  await assertRejects(() => readLora(file, unet), MasterWeaverError, "JSON");
});
