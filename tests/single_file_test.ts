import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MemorySource } from "../src/bytes.ts";
import { MasterWeaverError } from "../src/errors.ts";
import { readFile } from "../src/files.ts";
import {
  ldmTextTable,
  ldmUnetTable,
  ldmVaeTable,
} from "../src/weights/tables/ldm.ts";
import type { Table } from "../src/weights/tables/table.ts";
import { openWeave } from "../src/weights/weave.ts";
import { weaveFloats } from "../src/weights/weave_floats.ts";
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
    const pieces = await Array.fromAsync(weaveFloats(tensor));
    values[name] = pieces.flatMap((piece) => [...piece]);
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

Deno.test("single file: the UNet's running mean is taken unless told not to", async () => {
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

function pick(tensors: Tensors, names: RegExp): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).filter(([name]) => names.test(name)),
  );
}
