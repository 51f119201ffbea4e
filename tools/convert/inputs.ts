/**
 * Finds the components in the files and folders given on the command line.
 *
 * @module
 */
import { basename, dirname, extname } from "node:path";
import { MasterWeaverError } from "../../src/errors.ts";
import { dlibKind } from "../../src/face/dlib_file.ts";
import { FileSource } from "../../src/files.ts";
import { badCheckpoint } from "../../src/weights/checkpoint.ts";
import { openCheckpoint } from "../../src/weights/open.ts";
import { openWeave } from "../../src/weights/weave.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import {
  adapterComponent,
  type Component,
  faceParserComponent,
  imageEncoderComponent,
  readJson,
  textEncoderComponent,
  unetComponent,
  vaeComponent,
} from "./component.ts";

/** Tells the user something that is no error. */
export type Notice = (line: string) => void;

/** Names of weight files, the preferred first: safe and precise ones. */
const WEIGHT_NAMES = ["diffusion_pytorch_model", "model", "pytorch_model"]
  .flatMap((stem) => [
    `${stem}.safetensors`,
    `${stem}.safetensors.index.json`,
    `${stem}.bin`,
    `${stem}.bin.index.json`,
    `${stem}.fp16.safetensors`,
    `${stem}.fp16.bin`,
  ])
  .sort((a, b) => rank(a) - rank(b));

/** Parts of a diffusers folder that are no network of ours. */
const TORCH_EXTENSIONS = [".pt", ".pth"];

function rank(name: string): number {
  return (name.includes(".fp16.") ? 2 : 0) + (name.includes(".bin") ? 1 : 0);
}

/**
 * Finds all components of some inputs; of two with one output the later wins.
 *
 * @param inputs files and folders
 * @param output the folder written to, for the UNet an adapter alone is for
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function findComponents(
  inputs: readonly string[],
  output: string,
  notice: Notice,
): Promise<Component[]> {
  const found = new Map<string, Component>();
  const add = (component: Component) => {
    const before = found.get(component.output);
    if (before) {
      notice(
        `${component.output}: ${component.files[0]} replaces ${
          before.files[0]
        }`,
      );
    }
    found.set(component.output, component);
  };
  const files: string[] = [];
  for (const input of inputs) {
    if (await isFolder(input)) {
      for (const part of await inFolder(input, notice, files)) add(part);
    } else files.push(input);
  }
  for (const file of files) {
    add(await fromFile(file, found.get("unet")?.config, output));
  }
  return [...found.values()];
}

/** Components of a folder; single files in it are added to `files`. */
async function inFolder(
  folder: string,
  notice: Notice,
  files: string[],
): Promise<Component[]> {
  const names = await list(folder);
  if (!names.includes("model_index.json")) {
    return [await fromFolder(folder)];
  }
  const found: Component[] = [];
  const parts = {
    unet: unetComponent,
    vae: vaeComponent,
    text_encoder: textEncoderComponent,
    image_encoder: imageEncoderComponent,
  };
  for (const [part, make] of Object.entries(parts)) {
    const path = `${folder}/${part}`;
    if (names.includes(part)) found.push(await make(path, await weights(path)));
    else notice(`${part}: not in ${folder}`);
  }
  const single = names.filter((name) =>
    TORCH_EXTENSIONS.includes(extname(name))
  );
  const hasFinal = single.includes("adapter_final.pt");
  for (const name of single) {
    if (
      hasFinal && name.startsWith("adapter_") && name !== "adapter_final.pt"
    ) {
      notice(`${name}: left out, adapter_final.pt is taken; convert it alone`);
    } else files.push(`${folder}/${name}`);
  }
  if (names.includes("id_head.safetensors")) {
    notice("id_head.safetensors: left out, it is only used in evaluation");
  }
  return found;
}

/** A folder that holds one network. */
async function fromFolder(folder: string): Promise<Component> {
  const json = await readJson(`${folder}/config.json`);
  const files = await weights(folder);
  switch (json._class_name ?? json.model_type) {
    case "UNet2DConditionModel":
      return await unetComponent(folder, files);
    case "AutoencoderKL":
      return await vaeComponent(folder, files);
    case "clip_text_model":
      return await textEncoderComponent(folder, files);
    case "clip":
    case "clip_vision_model":
      return await imageEncoderComponent(folder, files);
  }
  throw badCheckpoint(
    folder,
    `its config.json is of ${
      json._class_name ?? json.model_type ?? "nothing known"
    }, expected UNet2DConditionModel, AutoencoderKL or a CLIP model`,
  );
}

/** A network in a file without a config: told by its tensors' names. */
async function fromFile(
  file: string,
  unet: JsonObject | undefined,
  output: string,
): Promise<Component> {
  await using source = await FileSource.open(file);
  const kind = dlibKind(await source.read(0, Math.min(4, source.size)));
  if (kind) return { output: kind, files: [file] };
  const { tensors } = await openCheckpoint(source);
  const folder = dirname(file);
  if (tensors.has("cp.resnet.conv1.weight")) {
    const config = await optionalJson(`${folder}/face_parser_config.json`);
    return faceParserComponent(file, config ?? {});
  }
  if (tensors.has("id_encoder.latents")) {
    const name = basename(file, extname(file));
    return adapterComponent(
      name === "adapter_final" ? "identity_adapter" : name,
      file,
      await optionalJson(`${folder}/adapter_config.json`) ?? {},
      unet ?? await unetConfig(file, output),
    );
  }
  throw badCheckpoint(
    file,
    `it is no identity adapter and no face parser (its first tensor is ${
      tensors.keys().next().value ?? "missing"
    }); give the folder of a diffusers or CLIP model whole`,
  );
}

/** The config of the UNet that an adapter alone belongs to. */
async function unetConfig(file: string, output: string): Promise<JsonObject> {
  const beside = await optionalJson(`${dirname(file)}/unet/config.json`);
  if (beside) return beside;
  const path = `${output}/unet.weave`;
  if (!await exists(path)) {
    throw badCheckpoint(
      file,
      "its layers are numbered by the UNet it is for, and none was given; " +
        "convert it together with the model's folder, or into its output",
    );
  }
  await using source = await FileSource.open(path);
  return (await openWeave(source)).config;
}

/** The weight files of one network's folder. */
async function weights(folder: string): Promise<string[]> {
  const names = await list(folder);
  const name = WEIGHT_NAMES.find((name) => names.includes(name));
  if (name === undefined) {
    throw badCheckpoint(
      folder,
      `it has no weights, expected ${WEIGHT_NAMES.slice(0, 3).join(", ")}, …`,
    );
  }
  if (!name.endsWith(".index.json")) return [`${folder}/${name}`];
  const { weight_map: map } = await readJson(`${folder}/${name}`);
  const shards = typeof map === "object" && map !== null
    ? [...new Set<unknown>(Object.values(map))]
    : [];
  for (const shard of shards) {
    if (typeof shard !== "string" || !names.includes(shard)) {
      throw badCheckpoint(
        `${folder}/${name}`,
        `it names the file ${shard}, which is not beside it`,
      );
    }
  }
  return shards.map((shard) => `${folder}/${shard}`);
}

async function optionalJson(path: string): Promise<JsonObject | undefined> {
  return await exists(path) ? await readJson(path) : undefined;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}

async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder)))
      .map(({ name }) => name).sort();
  } catch (cause) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot read the folder ${folder}: it is missing or closed to us`,
      { cause },
    );
  }
}
