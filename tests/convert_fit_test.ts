/**
 * Converted models load: components are checked alone, and with those that stay
 * in the folder; where they do not fit, nothing is changed.
 */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FileSource, openModelFolder } from "../src/host/files.ts";
import {
  checkWeights,
  openComponents,
  readTokenizer,
} from "../src/components/networks.ts";
import { identityAdapterTable } from "../src/checkpoints/tables/identity_adapter.ts";
import type { TensorToWrite } from "../src/weights/weave_writer.ts";
import { openWeave } from "../src/weights/weave.ts";
import { convert, main } from "../tools/convert.ts";
import {
  ADAPTER,
  checkpointOf,
  config,
  makeFolder,
  PREPROCESSOR,
  TEXT,
  UNET,
  VAE,
  VISION,
} from "./support/checkpoint_folder.ts";
import { join, weaveBytes } from "./support/weights.ts";

async function snapshot(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for await (const { name } of Deno.readDir(folder)) {
    const bytes = await Deno.readFile(`${folder}/${name}`);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    hashes[name] = new Uint8Array(digest).toHex();
  }
  return hashes;
}

async function load(folder: string): Promise<void> {
  await using opened = await openModelFolder(folder);
  const components = await openComponents(opened.files);
  readTokenizer(components);
  checkWeights("f32", components);
}

interface Content {
  config: Record<string, unknown>;
  tensors: TensorToWrite[];
}

/** Writes a `.weave` file again, changed. */
async function changed(
  from: string,
  to: string,
  change: (content: Content) => void,
): Promise<void> {
  await using source = await FileSource.open(from);
  const { component, config, tensors } = await openWeave(source);
  const content: Content = { config: { ...config }, tensors: [] };
  for (const { name, dtype, shape, chunks } of tensors.values()) {
    const bytes = join(await Array.fromAsync(chunks()));
    content.tensors.push({ name, dtype, shape, data: () => once(bytes) });
  }
  change(content);
  await Deno.writeFile(to, await weaveBytes({ component, ...content }));
}

async function* once(bytes: Uint8Array) {
  yield await Promise.resolve(bytes);
}

/** A tensor with its first value replaced, in the type it is stored as. */
function spoilt(tensor: TensorToWrite, value: number): TensorToWrite {
  return {
    ...tensor,
    data: async function* () {
      const bytes = join(await Array.fromAsync(tensor.data()));
      const view = new DataView(bytes.buffer);
      if (tensor.dtype === "f16") view.setFloat16(0, value, true);
      else view.setFloat32(0, value, true);
      yield bytes;
    },
  };
}

const CHANGES: [string, (content: Content) => void, string][] = [
  ["a tensor is missing", ({ tensors }) => tensors.splice(3, 1), "1 missing: "],
  [
    "a tensor has another name",
    ({ tensors }) => tensors[3] = { ...tensors[3], name: "other" },
    "1 unused: other",
  ],
  [
    "a tensor has another shape",
    ({ tensors }) => {
      const i = tensors.findIndex(({ shape }) => shape.length > 1);
      const count = tensors[i].shape.reduce((a, b) => a * b, 1);
      tensors[i] = { ...tensors[i], shape: [count] };
    },
    "1 misshapen: ",
  ],
  [
    "weights are integers",
    ({ tensors }) => {
      const i = tensors.findIndex(({ dtype }) => dtype === "f32");
      tensors[i] = { ...tensors[i], dtype: "i32" };
    },
    "is i32, expected floats",
  ],
  [
    "a value is not a number",
    ({ tensors }) => tensors[3] = spoilt(tensors[3], NaN),
    "it holds values that are infinite or not a number",
  ],
  [
    "a value is infinite",
    ({ tensors }) =>
      tensors[tensors.length - 1] = spoilt(tensors.at(-1)!, -Infinity),
    "it holds values that are infinite or not a number",
  ],
  [
    "config keys are missing",
    (content) => content.config = {},
    "is undefined, expected",
  ],
];
const PARTS = [
  "unet",
  "vae",
  "text_encoder",
  "image_encoder",
  "identity_adapter",
  "face_parser",
];

Deno.test("fit: a .weave file is checked like a checkpoint", async (t) => {
  const folder = await makeFolder();
  const model = `${folder.path}/model`;
  await convert({ inputs: [folder.path], output: model, dtype: "f32" });
  const before = await snapshot(model);
  for (const component of PARTS) {
    for (const [what, change, message] of CHANGES) {
      await t.step(`${component}: ${what}`, async () => {
        const input = `${folder.path}/${component}.weave`;
        if (component === "identity_adapter" && what.startsWith("config")) {
          return;
        }
        await changed(`${model}/${component}.weave`, input, change);
        for (const dtype of ["f32", "f16"] as const) {
          const error = await assertRejects(
            () => convert({ inputs: [input], output: model, dtype }),
            MasterWeaverError,
            message,
          );
          assertStringIncludes(error.message, input);
          assertEquals(await snapshot(model), before);
        }
        // In a folder of its own it is no better.
        const alone = `${folder.path}/alone`;
        await Deno.mkdir(alone);
        await Deno.copyFile(`${model}/unet.weave`, `${alone}/unet.weave`);
        await assertRejects(
          () => convert({ inputs: [input], output: alone, dtype: "f32" }),
          MasterWeaverError,
        );
        await Deno.remove(alone, { recursive: true });
        await Deno.remove(input);
      });
    }
  }
  // Valid ones are not refused.
  const again = `${folder.path}/again`;
  await convert({ inputs: [model], output: again, dtype: "f32" });
  await load(again);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("fit: quantised values are checked, too", async () => {
  const folder = await Deno.makeTempDir();
  const mini = new URL("../weights/mini/", import.meta.url).pathname;
  const input = `${folder}/vae.weave`;
  const output = `${folder}/out`;
  await convert({ inputs: [`${mini}vae.weave`], output, dtype: "q8" });
  await changed(`${output}/vae.weave`, input, ({ tensors }) => {
    const i = tensors.findIndex(({ dtype }) => dtype === "q8");
    const tensor = tensors[i];
    tensors[i] = {
      ...tensor,
      data: async function* () {
        const bytes = join(await Array.fromAsync(tensor.data()));
        const count = tensor.shape.reduce((a, b) => a * b, 1);
        new DataView(bytes.buffer).setFloat16(count + 2, NaN, true);
        yield bytes;
      },
    };
  });
  const before = await snapshot(output);
  for (const dtype of ["q8", "f16"] as const) {
    await assertRejects(
      () => convert({ inputs: [input], output, dtype }),
      MasterWeaverError,
      "it holds values that are infinite",
    );
    assertEquals(await snapshot(output), before);
  }
  // The same bytes where nothing is wrong.
  await convert({
    inputs: [`${output}/vae.weave`],
    output: `${folder}/again`,
    dtype: "q8",
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("fit: an adapter is checked with the UNet it is put beside", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f16" });
  const before = await snapshot(output);
  // An adapter for a UNet with other channels, in that UNet's folder.
  const other = { ...UNET, block_out_channels: [4, 16] };
  const table = identityAdapterTable(config(ADAPTER), config(other), 8);
  const far = `${folder.path}/far`;
  await Deno.mkdir(`${far}/unet`, { recursive: true });
  await folder.write("far/unet/config.json", other);
  await folder.write("far/adapter_config.json", ADAPTER);
  for (const name of ["adapter_final.pt", "adapter_7.pt"]) {
    await folder.write(`far/${name}`, checkpointOf(table, 9));
    const attempt = (output: string) => () =>
      convert({ inputs: [`${far}/${name}`], output, dtype: "f16" });
    await assertRejects(attempt(output), MasterWeaverError, "misshapen");
    assertEquals(await snapshot(output), before);
    // With its own UNet alone it is right; as .weave it is refused the same.
    const own = `${folder.path}/own-${name}`;
    const [{ file }] = await attempt(own)();
    await assertRejects(
      () => convert({ inputs: [file], output, dtype: "f16" }),
      MasterWeaverError,
      "misshapen",
    );
    assertEquals(await snapshot(output), before);
  }
  await load(output);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("fit: components that do not fit those that stay are refused", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f16" });
  const vae = () =>
    convert({ inputs: [`${folder.path}/vae`], output, dtype: "f32" });
  await Deno.remove(`${output}/model.json`);
  const unet = await Deno.readFile(`${output}/unet.weave`);
  await Deno.writeTextFile(`${output}/unet.weave`, "no model");
  let before = await snapshot(output);
  await assertRejects(vae, MasterWeaverError, "it is not a .weave file");
  assertEquals(await snapshot(output), before);
  await Deno.copyFile(`${output}/vae.weave`, `${output}/unet.weave`);
  await assertRejects(vae, MasterWeaverError, "holds the component vae");
  await Deno.writeFile(`${output}/unet.weave`, unet);
  await vae();
  // Loading would refuse a component that the manifest does not list.
  const manifest = JSON.parse(
    await Deno.readTextFile(`${output}/model.json`),
  );
  delete manifest.components.unet;
  await Deno.writeTextFile(`${output}/model.json`, JSON.stringify(manifest));
  before = await snapshot(output);
  await assertRejects(vae, MasterWeaverError, "lists no such file");
  assertEquals(await snapshot(output), before);
  // Sizes on which two components disagree.
  await Deno.remove(`${output}/model.json`);
  await Deno.remove(`${output}/face_parser.weave`);
  await folder.write("text_encoder/config.json", {
    model_type: "clip_text_model",
    ...TEXT,
    hidden_size: 4,
  });
  before = await snapshot(output);
  await assertRejects(
    () =>
      convert({
        inputs: [folder.path],
        output: `${folder.path}/x`,
        dtype: "f16",
      }),
    MasterWeaverError,
  );
  assertEquals(await snapshot(output), before);
  await Deno.remove(folder.path, { recursive: true });
});

/** Wrong configs of one component each, which its tensors still fit. */
const CONFIGS: [string, string, object, string][] = [
  ["unet", "config.json", { ...UNET, norm_num_groups: 3 }, "norm_num_groups"],
  ["unet", "config.json", { ...UNET, attention_head_dim: 3 }, "attention_head"],
  ["vae", "config.json", { ...VAE, norm_num_groups: 5 }, "norm_num_groups"],
  [
    "text_encoder",
    "config.json",
    { model_type: "clip_text_model", ...TEXT, num_attention_heads: 3 },
    "num_attention_heads",
  ],
  [
    "image_encoder",
    "config.json",
    { model_type: "clip", vision_config: { ...VISION, image_size: 5 } },
    "patch_size is 2, expected a divisor of its image_size, 5",
  ],
  [
    "image_encoder",
    "preprocessor_config.json",
    { ...PREPROCESSOR, crop_size: 2 },
    "crop_size is 2, expected 4, its image_size",
  ],
  [
    "image_encoder",
    "preprocessor_config.json",
    { ...PREPROCESSOR, size: 8, crop_size: { height: 8, width: 8 } },
    "crop_size is 8, expected 4, its image_size",
  ],
];

Deno.test("fit: sizes that do not make a network are refused by file and key", async () => {
  for (const [component, file, content, message] of CONFIGS) {
    const folder = await makeFolder();
    await folder.write(`${component}/${file}`, content);
    for (const input of [folder.path, `${folder.path}/${component}`]) {
      const error = await assertRejects(
        () =>
          convert({
            inputs: [input, `${folder.path}/tokenizer`],
            output: `${folder.path}/out`,
            dtype: "f16",
          }),
        MasterWeaverError,
        message,
      );
      assertStringIncludes(error.message, `${folder.path}/${component}/`);
    }
    await Deno.remove(folder.path, { recursive: true });
  }
});

Deno.test("fit: integers for weights are refused by file and tensor", async () => {
  const folder = await makeFolder();
  const path = `${folder.path}/vae/model.safetensors`;
  const bytes = await Deno.readFile(path);
  const text = new TextDecoder("latin1").decode(bytes);
  const at = text.indexOf('"decoder.conv_in.bias":{"dtype":"F32"');
  const changed = Uint8Array.from(bytes);
  changed.set(
    new TextEncoder().encode('"decoder.conv_in.bias":{"dtype":"I32"'),
    at,
  );
  await Deno.writeFile(path, changed);
  await assertRejects(
    () =>
      convert({
        inputs: [`${folder.path}/vae`],
        output: `${folder.path}/out`,
        dtype: "f16",
      }),
    MasterWeaverError,
    `Cannot use ${path}: its tensors are not those of the vae its config describes: 1 misshapen: decoder.conv_in.bias holds I32`,
  );
  assertEquals(
    await main([path, "--output", `${folder.path}/x`, "--quiet"]),
    1,
  );
  await Deno.remove(folder.path, { recursive: true });
});
