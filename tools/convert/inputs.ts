/**
 * Finds the components in the files and folders given on the command line.
 *
 * @module
 */
import { extname } from "node:path";
import { badCheckpoint } from "../../src/weights/checkpoint.ts";
import type { LdmWeights } from "../../src/weights/tables/ldm.ts";
import type { Component } from "./component.ts";
import { isFolder, list, looseFiles, readJson, weightFiles } from "./folder.ts";
import {
  imageEncoderComponent,
  textEncoderComponent,
  unetComponent,
  vaeComponent,
} from "./networks.ts";
import { fromFile } from "./single_file.ts";

/** Tells the user something that is no error. */
export type Notice = (line: string) => void;

/** What to look through. */
export interface Search {
  /** Files and folders. */
  readonly inputs: readonly string[];
  /** The folder written to, for the UNet an adapter alone is for. */
  readonly output: string;
  /** Which of a single file's two sets of UNet weights, where it has both. */
  readonly ldmWeights: LdmWeights;
  /** Told what is left out or replaced. */
  readonly notice: Notice;
}

/** The networks of a diffusers folder, each in a folder of its name. */
const PARTS = ["unet", "vae", "text_encoder", "image_encoder"] as const;
/** Single files that stand beside them. */
const BESIDE_EXTENSIONS = [".pt", ".pth"];
/** What `model_index.json` calls the models that can be used. */
const PIPELINE = "StableDiffusionPipeline";

/**
 * Finds all components of some inputs; of two with one output the later wins.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function findComponents(search: Search): Promise<Component[]> {
  const { inputs, output, ldmWeights, notice } = search;
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
  const folders: string[] = [];
  for (const input of inputs) if (await isFolder(input)) folders.push(input);
  const files: string[] = [];
  for (const input of inputs) {
    if (!folders.includes(input)) files.push(input);
    else {
      const inside = await fromFolder(input, folders, notice);
      inside.components.forEach(add);
      files.push(...inside.files);
    }
  }
  const unet = () => found.get("unet")?.config;
  for (const file of files) {
    const around = { output, folders, ldmWeights, notice, unet };
    (await fromFile(file, around)).forEach(add);
  }
  if (found.size === 0) throw nothingIn(inputs.join(", "));
  return [...found.values()];
}

/** What is in a folder: networks in folders of their own, and single files. */
interface FolderContent {
  readonly components: readonly Component[];
  readonly files: readonly string[];
}

async function fromFolder(
  folder: string,
  folders: readonly string[],
  notice: Notice,
): Promise<FolderContent> {
  const names = await list(folder);
  if (names.includes("model_index.json")) {
    return await fromModel(folder, names, folders, notice);
  }
  if (names.includes("config.json")) {
    return { components: [await fromNetwork(folder, folders)], files: [] };
  }
  const loose = await looseFiles(folder);
  const isTokenizer = names.includes("vocab.json");
  if (loose.length === 0 && !isTokenizer) {
    throw nothingIn(folder);
  }
  return { components: [], files: chosen(loose, folder, notice) };
}

function nothingIn(inputs: string): Error {
  return badCheckpoint(
    inputs,
    "it has no model_index.json or config.json, and no weight files; give " +
      "the folder of a diffusers or CLIP model whole",
  );
}

/** A diffusers folder. */
async function fromModel(
  folder: string,
  names: readonly string[],
  folders: readonly string[],
  notice: Notice,
): Promise<FolderContent> {
  const { _class_name: pipeline } = await readJson(
    `${folder}/model_index.json`,
  );
  if (pipeline !== undefined && pipeline !== PIPELINE) {
    throw badCheckpoint(
      folder,
      `it is a ${pipeline}, expected a ${PIPELINE} of Stable Diffusion 1.5`,
    );
  }
  const components: Component[] = [];
  for (const part of PARTS) {
    if (!names.includes(part)) notice(`${part}: not in ${folder}`);
    else components.push(await fromNetwork(`${folder}/${part}`, folders, part));
  }
  const single = names.filter((name) =>
    BESIDE_EXTENSIONS.includes(extname(name))
  );
  if (names.includes("id_head.safetensors")) {
    notice("id_head.safetensors: left out, it is only used in evaluation");
  }
  return { components, files: chosen(single, folder, notice) };
}

/** Of several adapters the final one is that of the model. */
function chosen(
  names: readonly string[],
  folder: string,
  notice: Notice,
): string[] {
  const hasFinal = names.includes("adapter_final.pt");
  return names.filter((name) => {
    const isOlder = hasFinal && name.startsWith("adapter_") &&
      name !== "adapter_final.pt";
    if (isOlder) {
      notice(`${name}: left out, adapter_final.pt is taken; convert it alone`);
    }
    return !isOlder;
  }).map((name) => `${folder}/${name}`);
}

/** A folder that holds one network. */
async function fromNetwork(
  folder: string,
  folders: readonly string[],
  part?: typeof PARTS[number],
): Promise<Component> {
  const configName = `${folder}/config.json`;
  const json = await readJson(configName);
  const network = { files: await weightFiles(folder), json, configName };
  switch (part ?? json._class_name ?? json.model_type) {
    case "unet":
    case "UNet2DConditionModel":
      return await unetComponent(network);
    case "vae":
    case "AutoencoderKL":
      return vaeComponent(network);
    case "text_encoder":
    case "clip_text_model":
      return await textEncoderComponent(network, folders);
    case "image_encoder":
    case "clip":
    case "clip_vision_model":
      return await imageEncoderComponent(network);
  }
  throw badCheckpoint(
    folder,
    `its config.json is of ${
      json._class_name ?? json.model_type ?? "nothing known"
    }, expected UNet2DConditionModel, AutoencoderKL or a CLIP model`,
  );
}
