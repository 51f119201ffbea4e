/**
 * Finds the components in the files and folders given on the command line.
 *
 * @module
 */
import { extname } from "node:path";
import { brief } from "../../src/weights/brief.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import type { LdmWeights } from "../../src/checkpoints/tables/ldm.ts";
import type { Component } from "./component.ts";
import { evaluationComponent, IDENTITY_HEAD } from "./evaluation.ts";
import { isFolder, list, looseFiles, readJson, weightFiles } from "./folder.ts";
import {
  controlNetComponent,
  imageEncoderComponent,
  type TextContext,
  textEncoderComponent,
  unetComponent,
  vaeComponent,
} from "./networks.ts";
import { taesdComponent } from "./extra_networks.ts";
import { fromFile, isWholeModel, strayReason } from "./single_file.ts";

/** Shows the user a line that is not an error. */
export type Warn = (line: string) => void;

/** What to look through. */
export interface Search {
  /** Files and folders. */
  readonly inputs: readonly string[];
  /** The folder written to, which may hold the UNet that an adapter is for. */
  readonly output: string;
  /** Which of a single file's two sets of UNet weights, where it has both. */
  readonly ldmWeights: LdmWeights;
  /** Whether unknown tensors and unused tokens are left out instead of refused. */
  readonly allowUnused: boolean;
  /** Where a tokenizer may be, beside the inputs. */
  readonly folders?: readonly string[];
  /** Whether a text encoder needs its tokenizer (true). */
  readonly needsTokenizer?: boolean;
  /** Called with what is left out or replaced. */
  readonly warn: Warn;
}

/** The networks of a diffusers folder, each in a folder of its name. */
const NETWORK_FOLDERS = [
  "unet",
  "vae",
  "text_encoder",
  "image_encoder",
] as const;
type NetworkFolder = typeof NETWORK_FOLDERS[number];
/** Single files beside them. */
const BESIDE_EXTENSIONS = [".pt", ".pth"];
/** Endings of a whole model's file, in order of preference. */
const WHOLE_EXTENSIONS = [".safetensors", ".ckpt", ".gguf"];
/** What `model_index.json` calls the models that can be used. */
const PIPELINE = "StableDiffusionPipeline";
/** Other pipelines of the same networks. */
const PIPELINES: readonly unknown[] = [
  PIPELINE,
  "StableDiffusionImg2ImgPipeline",
  "StableDiffusionInpaintPipeline",
];

/**
 * Finds all components in some inputs; the later of two with one output wins.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function findComponents(search: Search): Promise<Component[]> {
  const { inputs, output, ldmWeights, allowUnused, warn } = search;
  const { needsTokenizer } = search;
  const found = new Map<string, Component>();
  const add = (component: Component) => {
    const before = found.get(component.output);
    // Each of two files that belong together finds the other.
    if (before?.files.join() === component.files.join()) return;
    if (before) {
      warn(
        `${component.output}: ${component.files[0]} replaces ${
          before.files[0]
        }`,
      );
    }
    found.set(component.output, component);
  };
  const given: string[] = [];
  for (const input of inputs) if (await isFolder(input)) given.push(input);
  const folders = [...given, ...search.folders ?? []];
  const files: string[] = [];
  const wholes: string[] = [];
  for (const input of inputs) {
    if (!given.includes(input)) files.push(input);
    else {
      const inside = await fromFolder(input, {
        folders,
        allowUnused,
        needsTokenizer,
        warn,
      });
      inside.components.forEach(add);
      files.push(...inside.files);
      if (inside.whole !== undefined) wholes.push(inside.whole);
    }
  }
  const unet = () => found.get("unet")?.config;
  const context = {
    output,
    folders,
    ldmWeights,
    allowUnused,
    needsTokenizer,
    warn,
    unet,
  };
  for (const file of wholes) {
    for (const component of await fromFile(file, context)) {
      if (!found.has(component.output)) add(component);
    }
  }
  for (const file of files) (await fromFile(file, context)).forEach(add);
  if (found.size === 0) throw nothingIn(inputs.join(", "));
  return [...found.values()];
}

/** What is in a folder: networks in folders of their own, and single files. */
interface FolderContent {
  readonly components: readonly Component[];
  readonly files: readonly string[];
  /** A whole model's file, for the networks that have no folder of their own. */
  readonly whole?: string;
}

async function fromFolder(
  folder: string,
  context: TextContext,
): Promise<FolderContent> {
  const names = await list(folder);
  const networks = await networksIn(folder, names);
  if (names.includes("model_index.json")) await checkPipeline(folder);
  else if (names.includes("config.json")) {
    const network = await fromNetwork(folder, context);
    const evaluation = network.output === "image_encoder"
      ? await evaluationComponent(network.files)
      : undefined;
    return {
      components: [network, ...evaluation ? [evaluation] : []],
      files: [],
    };
  } else if (networks.length === 0) {
    const loose = await looseFiles(folder);
    const isTokenizer = names.includes("vocab.json") ||
      names.includes("tokenizer.json");
    if (loose.length === 0 && !isTokenizer) throw nothingIn(folder);
    return { components: [], files: chosen(loose, folder, context.warn) };
  }
  return await fromModel(folder, names, networks, context);
}

/** Folders of networks, with a config in each. */
async function networksIn(
  folder: string,
  names: readonly string[],
): Promise<NetworkFolder[]> {
  const found: NetworkFolder[] = [];
  for (const network of NETWORK_FOLDERS) {
    if (!names.includes(network)) continue;
    // A single file's configs may be there without weights.
    const inside = await isFolder(`${folder}/${network}`)
      ? await list(`${folder}/${network}`)
      : [];
    const hasWeights = inside.some((name) =>
      /\.(safetensors|bin|index(\.\w+)?\.json)$/.test(name)
    );
    if (hasWeights) found.push(network);
  }
  return found;
}

function nothingIn(inputs: string): Error {
  return badCheckpoint(
    inputs,
    "nothing in it can be converted: no folder of a network with a " +
      "config.json, and no weight files; give the folder of a diffusers or " +
      "CLIP model whole",
  );
}

async function checkPipeline(folder: string): Promise<void> {
  const path = `${folder}/model_index.json`;
  const { _class_name: pipeline } = await readJson(path);
  if (pipeline === undefined || PIPELINES.includes(pipeline)) return;
  throw badCheckpoint(
    folder,
    `it is a ${
      brief(pipeline)
    }, expected a ${PIPELINE} of Stable Diffusion 1.5`,
  );
}

/** A diffusers folder, or one with a single-file checkpoint and other networks. */
async function fromModel(
  folder: string,
  names: readonly string[],
  networks: readonly NetworkFolder[],
  context: TextContext,
): Promise<FolderContent> {
  const { warn } = context;
  const components: Component[] = [];
  for (const network of networks) {
    components.push(
      await fromNetwork(`${folder}/${network}`, context, network),
    );
  }
  const missing = NETWORK_FOLDERS.filter((network) =>
    !networks.includes(network)
  );
  const whole = missing.some((network) => network !== "image_encoder")
    ? await wholeModel(folder, warn)
    : undefined;
  for (const network of missing) {
    if (whole !== undefined && network !== "image_encoder") continue;
    if (!names.includes(network)) {
      // A plain Stable Diffusion has none.
      if (network !== "image_encoder") warn(`${network}: not in ${folder}`);
      // Fails, and says what is missing there.
    } else {
      const content = fromNetwork(`${folder}/${network}`, context, network);
      components.push(await content);
    }
  }
  const beside = names.includes("model_index.json")
    ? await besideNetworks(folder, names, warn)
    : (await looseFiles(folder)).filter((name) => name !== whole);
  const head = names.includes(IDENTITY_HEAD)
    ? `${folder}/${IDENTITY_HEAD}`
    : undefined;
  const clip = networks.includes("image_encoder")
    ? await weightFiles(`${folder}/image_encoder`)
    : [];
  const evaluation = await evaluationComponent(clip, head);
  if (evaluation) components.push(evaluation);
  return {
    components,
    files: chosen(beside, folder, warn),
    whole: whole && `${folder}/${whole}`,
  };
}

/** Files beside `model_index.json` that may be components of the model. */
async function besideNetworks(
  folder: string,
  names: readonly string[],
  warn: Warn,
): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    if (!BESIDE_EXTENSIONS.includes(extname(name))) continue;
    const reason = await strayReason(`${folder}/${name}`);
    if (reason === undefined) found.push(name);
    else {warn(
        `${name}: left out, it is not a component of the model: ${reason}`,
      );}
  }
  return found;
}

/**
 * The single-file checkpoint in a folder, if there is one; where the same file
 * is there in two formats, the safetensors one.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where there are several, or one is damaged
 */
async function wholeModel(
  folder: string,
  warn: Warn,
): Promise<string | undefined> {
  const found: string[] = [];
  const rank = (name: string) => WHOLE_EXTENSIONS.indexOf(extname(name));
  const files = (await looseFiles(folder)).filter((name) => rank(name) >= 0);
  for (const name of files.sort((a, b) => rank(a) - rank(b))) {
    const stem = name.slice(0, -extname(name).length);
    if (found.includes(`${stem}.safetensors`)) continue;
    if (await isWholeModel(`${folder}/${name}`)) found.push(name);
  }
  if (found.length > 1) {
    throw badCheckpoint(
      folder,
      `it has several models, ${found.join(" and ")}; give one of them, and ` +
        "the folder's other networks one by one",
    );
  }
  if (found.length === 1) warn(`${folder}: ${found[0]} is used`);
  return found[0];
}

/** Leaves out intermediate adapters where the final one is there. */
function chosen(
  names: readonly string[],
  folder: string,
  warn: Warn,
): string[] {
  const hasFinal = names.includes("adapter_final.pt");
  return names.filter((name) => {
    const isOlder = hasFinal && name.startsWith("adapter_") &&
      name !== "adapter_final.pt";
    if (isOlder) {
      warn(`${name}: left out, adapter_final.pt is used; convert it alone`);
    }
    return !isOlder;
  }).map((name) => `${folder}/${name}`);
}

/** A folder that holds one network. */
async function fromNetwork(
  folder: string,
  context: TextContext,
  kind?: NetworkFolder,
): Promise<Component> {
  const configName = `${folder}/config.json`;
  const json = await readJson(configName);
  const network = { files: await weightFiles(folder), json, configName };
  switch (kind ?? json._class_name ?? json.model_type) {
    case "unet":
    case "UNet2DConditionModel":
      return await unetComponent(network, context.warn);
    case "ControlNetModel":
      return controlNetComponent(network);
    case "vae":
    case "AutoencoderKL":
      return vaeComponent(network);
    case "text_encoder":
    case "clip_text_model":
      return await textEncoderComponent(network, context);
    case "image_encoder":
    case "clip":
    case "clip_vision_model":
      return await imageEncoderComponent(network);
    case "AutoencoderTiny":
      return taesdComponent(network);
  }
  throw badCheckpoint(
    folder,
    `its config.json is of ${
      json._class_name ?? json.model_type ?? "nothing known"
    }, expected UNet2DConditionModel, ControlNetModel, AutoencoderKL, AutoencoderTiny or a CLIP model`,
  );
}
