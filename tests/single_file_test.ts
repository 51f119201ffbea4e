import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFile } from "../src/host/files.ts";
import {
  ldmTextTable,
  ldmUnetTable,
  ldmVaeTable,
} from "../src/checkpoints/tables/ldm.ts";
import type { Table } from "../src/checkpoints/tables/table.ts";
import { openWeave } from "../src/weights/weave.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { convert } from "../tools/convert.ts";
import {
  checkpointOf,
  config,
  type Folder,
  makeFolder,
  type Tensors,
  TEXT,
  UNET,
  VAE,
} from "./support/checkpoint_folder.ts";

/** The folder's networks under a single file's names, and what lies beside. */
function singleFile(folder: Folder): Tensors {
  const unet = config(UNET);
  const tables: [string, Table][] = [
    ["unet", ldmUnetTable(unet, "last")],
    ["vae", ldmVaeTable(config(VAE), "first_stage_model.")],
    ["text_encoder", ldmTextTable(config(TEXT))],
  ];
  const tensors: Tensors = {};
  for (const [part, { rows }] of tables) {
    const own = folder.tensors[part];
    for (const { name, from: [{ names: [other] }] } of rows) {
      // The folder's autoencoder has the old attention names.
      const old = name.replace("to_q", "query").replace("to_k", "key")
        .replace("to_v", "value").replace("to_out.0", "proj_attn");
      tensors[other] = own[part === "vae" ? old : name];
    }
  }
  return {
    ...tensors,
    "cond_stage_model.transformer.text_model.embeddings.position_ids": {
      shape: [1, 2],
      data: [0, 1],
    },
    alphas_cumprod: { shape: [1], data: [1] },
    "model_ema.decay": { shape: [], data: [1] },
  };
}

/** All of a model folder's values, by component and tensor. */
async function valuesIn(folder: string, part: string) {
  const path = `${folder}/${part}.weave`;
  const file = await openWeave(new MemorySource(await readFile(path), path));
  const values: Record<string, number[]> = {};
  for (const [name, tensor] of file.tensors) {
    const chunks = await Array.fromAsync(weaveFloats(tensor));
    values[name] = chunks.flatMap((chunk) => [...chunk]);
  }
  return values;
}

Deno.test("single file: gives the same model as the folder", async () => {
  const folder = await makeFolder();
  const expected = `${folder.path}/expected`;
  await convert({ inputs: [folder.path], output: expected, dtype: "f16" });
  const file = "v1-5-pruned-emaonly.safetensors";
  const tensors = singleFile(folder);
  // A training program's own: everything below state_dict, and counters.
  const wrapped = Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [`state_dict.${name}`, t]),
  );
  for (
    const content of [tensors, { ...wrapped, epoch: tensors.alphas_cumprod }]
  ) {
    await folder.write(file, content);
    const output = `${folder.path}/out`;
    const done = await convert({
      inputs: [`${folder.path}/${file}`],
      output,
      dtype: "f16",
    });
    assertEquals(done.map(({ component }) => component), [
      "unet",
      "vae",
      "text_encoder",
    ]);
    for (const { component, dropped } of done) {
      assertEquals(
        await valuesIn(output, component),
        await valuesIn(expected, component),
        component,
      );
      assertEquals(dropped["the noise schedule, which the config states"], 1);
    }
    await Deno.remove(output, { recursive: true });
  }
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: the UNet's running mean is used, unless --no-ema is given", async () => {
  const folder = await makeFolder();
  const last = singleFile(folder);
  const mean = checkpointOf(ldmUnetTable(config(UNET), "ema"), 99);
  const input = `${folder.path}/both.safetensors`;
  const output = `${folder.path}/out`;
  await folder.write("both.safetensors", { ...last, ...mean });
  const bias = async (ldmWeights?: "ema" | "last") => {
    const [{ dropped }] = await convert({
      inputs: [input],
      output,
      dtype: "f32",
      ldmWeights,
    });
    const reasons = Object.keys(dropped).join();
    return [
      (await valuesIn(output, "unet"))["conv_out.bias"],
      reasons,
    ] as const;
  };
  const [ema, emaReasons] = await bias();
  assertEquals(ema, mean["model_ema.diffusion_modelout2bias"].data);
  assertStringIncludes(emaReasons, "weights of the last training step");
  const [plain, plainReasons] = await bias("last");
  assertEquals(plain, folder.tensors.unet["conv_out.bias"].data);
  assertStringIncludes(plainReasons, "running mean of the weights");
  // With one set only there is no choice.
  await folder.write("both.safetensors", {
    ...mean,
    ...pick(last, /^(first|cond)/),
  });
  assertEquals((await bias("last"))[0], ema);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: unknown tensors inside a network are refused by name", async (t) => {
  const folder = await makeFolder();
  const mean = checkpointOf(ldmUnetTable(config(UNET), "ema"), 99);
  const one = { shape: [1], data: [1] };
  const attempt = async (name: string, more: Tensors, allowUnused = false) => {
    const input = `${folder.path}/all.safetensors`;
    const tensors = { ...singleFile(folder), ...more, [name]: one };
    await folder.write("all.safetensors", tensors);
    const lines: string[] = [];
    const converted = await convert({
      inputs: [input],
      output: `${folder.path}/out`,
      dtype: "f16",
      allowUnused,
      report: (line) => lines.push(line),
    });
    return { converted, lines };
  };
  const cases: [part: string, name: string, more: Tensors][] = [
    ["unet", "model.diffusion_model.weird", {}],
    ["unet", "model.diffusion_model.weird", mean],
    ["unet", "model.diffusion_model.out.2.bias2", mean],
    ["vae", "first_stage_model.junk", {}],
    ["text_encoder", "cond_stage_model.junk", {}],
    ["text_encoder", "cond_stage_model.transformer.junk", {}],
  ];
  for (const [part, name, more] of cases) {
    await t.step(name, async () => {
      await assertRejects(
        () => attempt(name, more),
        MasterWeaverError,
        `its tensors are not those of the ${part} its config describes: ` +
          `1 unused: ${name}; --allow-unused leaves them out`,
      );
      const { converted } = await attempt(name, more, true);
      assertEquals(
        converted.map(({ component, dropped }) => [
          component,
          dropped[`as asked for, 1 not known here: ${name}`],
        ]),
        ["unet", "vae", "text_encoder"].map((other) => [
          other,
          other === part ? 1 : undefined,
        ]),
      );
    });
  }
  await t.step("but a LoRA is left out with a warning", async () => {
    const name = "model.diffusion_model.input_blocks.1.1.to_q.lora_up.weight";
    const { lines } = await attempt(name, {});
    assertEquals(
      lines.filter((line) => line.startsWith("Warning: ")),
      [
        `Warning: ${folder.path}/all.safetensors: the file also has a LoRA, which is not merged into the network`,
      ],
    );
  });
  await t.step("and what compares texts with images is left out", async () => {
    const { converted: [, , text] } = await attempt(
      "cond_stage_model.logit_scale",
      {},
    );
    assertEquals(text.dropped["only for comparing texts with images"], 1);
  });
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: an autoencoder alone, and networks without a folder", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  const bare = Object.fromEntries(
    Object.entries(pick(singleFile(folder), /^first_stage_model\./))
      .map((
        [name, tensor],
      ) => [name.slice("first_stage_model.".length), tensor]),
  );
  await folder.write("vae.ckpt", {
    ...bare,
    "loss.logvar": { shape: [], data: [0] },
  });
  await Deno.mkdir(`${folder.path}/loose`);
  await folder.write("loose/clip.safetensors", folder.tensors.image_encoder);
  await folder.write("loose/config.json", {
    model_type: "clip",
    vision_config: {
      hidden_size: 8,
      intermediate_size: 8,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      image_size: 4,
      patch_size: 2,
    },
  });
  const done = await convert({
    inputs: [
      `${folder.path}/vae.ckpt`,
      `${folder.path}/loose/clip.safetensors`,
    ],
    output,
    dtype: "f16",
  });
  assertEquals(done.map(({ component }) => component), [
    "vae",
    "image_encoder",
  ]);
  assertEquals(done[0].dropped, { "networks that only training uses": 1 });
  const image = await openWeave(
    new MemorySource(await readFile(`${output}/image_encoder.weave`)),
  );
  // Without a preprocessor's config: CLIP's, at the tower's own size.
  assertEquals(Object(image.config.preprocessor).crop_size, 4);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: the tokenizer is looked for in every folder given", async () => {
  const folder = await makeFolder();
  await folder.write("model.safetensors", singleFile(folder));
  await Deno.mkdir(`${folder.path}/clip`);
  for (const name of ["vocab.json", "merges.txt"]) {
    await Deno.rename(
      `${folder.path}/tokenizer/${name}`,
      `${folder.path}/clip/${name}`,
    );
  }
  const output = `${folder.path}/out`;
  const attempt = (...inputs: string[]) =>
    convert({
      inputs: inputs.map((input) => `${folder.path}/${input}`),
      output,
      dtype: "f16",
    });
  const error = await assertRejects(
    () => attempt("model.safetensors"),
    MasterWeaverError,
    "its tokenizer (vocab.json and merges.txt) is in none of the folders",
  );
  assertEquals(error.code, "bad-checkpoint");
  const done = await attempt("model.safetensors", "clip");
  assertEquals(done.length, 3);
  await Deno.remove(folder.path, { recursive: true });
});

/** A model folder whose UNet, VAE and text encoder are in one file. */
async function folderWithFile(name: string): Promise<Folder> {
  const folder = await makeFolder();
  await folder.write(name, singleFile(folder));
  for (const part of ["unet", "vae", "text_encoder"]) {
    // Its config stays: the standard one is of full size.
    await Deno.remove(`${folder.path}/${part}/model.safetensors`);
  }
  return folder;
}

const ALL = [
  "face_parser",
  "identity_adapter",
  "image_encoder",
  "text_encoder",
  "unet",
  "vae",
];

Deno.test("single file: a folder may hold it beside other networks", async () => {
  for (const hasIndex of [true, false]) {
    for (const name of ["model.safetensors", "model.ckpt"]) {
      const folder = await folderWithFile(name);
      await folder.write("scheduler/scheduler_config.json", {
        _class_name: "PNDMScheduler",
        beta_end: 0.011,
      });
      // Not a model, so ignored.
      await folder.write("id_head.safetensors", {
        "head.weight": { shape: [1], data: [1] },
      });
      if (!hasIndex) {
        await Deno.remove(`${folder.path}/model_index.json`);
        await Deno.remove(`${folder.path}/id_head.safetensors`);
      }
      const output = `${folder.path}/out`;
      const done = await convert({
        inputs: [folder.path],
        output,
        dtype: "f32",
      });
      assertEquals(done.map(({ component }) => component).sort(), ALL);
      assertEquals(
        (await valuesIn(output, "unet"))["conv_out.bias"],
        folder.tensors.unet["conv_out.bias"].data,
      );
      const unet = await openWeave(
        new MemorySource(await readFile(`${output}/unet.weave`)),
      );
      assertEquals(Object(unet.config.scheduler).beta_end, 0.011);
      await Deno.remove(folder.path, { recursive: true });
    }
  }
});

Deno.test("single file: networks in folders of their own take precedence", async () => {
  const folder = await folderWithFile("model.safetensors");
  const other = { shape: [3], data: [5, 6, 7] };
  await folder.write("vae/model.safetensors", {
    ...folder.tensors.vae,
    "decoder.conv_out.bias": other,
  });
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f32" });
  assertEquals(
    (await valuesIn(output, "vae"))["decoder.conv_out.bias"],
    other.data,
  );
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: several in a folder, or a damaged one, are refused by name", async () => {
  const folder = await folderWithFile("a.safetensors");
  const attempt = () =>
    convert({
      inputs: [folder.path],
      output: `${folder.path}/out`,
      dtype: "f16",
    });
  const bytes = await readFile(`${folder.path}/a.safetensors`);
  // The same model in another format is no other.
  await Deno.writeFile(`${folder.path}/a.ckpt`, bytes);
  assertEquals((await attempt()).length, 6);
  await Deno.writeFile(`${folder.path}/b.safetensors`, bytes);
  await assertRejects(
    attempt,
    MasterWeaverError,
    "it has several models, a.safetensors and b.safetensors; give one",
  );
  await Deno.remove(`${folder.path}/b.safetensors`);
  await Deno.remove(`${folder.path}/a.ckpt`);
  await Deno.writeFile(
    `${folder.path}/a.safetensors`,
    bytes.subarray(0, bytes.length - 9),
  );
  await assertRejects(attempt, MasterWeaverError, "a.safetensors: tensor");
  await Deno.remove(`${folder.path}/a.safetensors`);
  await assertRejects(attempt, MasterWeaverError, "unet: it has no weights");
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("single file: part of the running mean is ignored, with a warning", async () => {
  const folder = await makeFolder();
  const mean = Object.entries(
    checkpointOf(ldmUnetTable(config(UNET), "ema"), 99),
  );
  for (const count of [1, mean.length - 1]) {
    await folder.write("model.safetensors", {
      ...singleFile(folder),
      ...Object.fromEntries(mean.slice(0, count)),
    });
    const lines: string[] = [];
    const [{ dropped }] = await convert({
      inputs: [`${folder.path}/model.safetensors`],
      output: `${folder.path}/out`,
      dtype: "f32",
      report: (line) => lines.push(line),
    });
    assertStringIncludes(lines[0], "only part of the running mean");
    assertEquals(
      (await valuesIn(`${folder.path}/out`, "unet"))["conv_out.bias"],
      folder.tensors.unet["conv_out.bias"].data,
    );
    assertEquals(
      dropped[
        "running mean of the weights; those of the last step are used"
      ],
      count,
    );
  }
  await Deno.remove(folder.path, { recursive: true });
});

function pick(tensors: Tensors, names: RegExp): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).filter(([name]) => names.test(name)),
  );
}
