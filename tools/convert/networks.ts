/**
 * The networks of a model as components: config, weight files and table.
 *
 * @module
 */
import { dirname } from "node:path";
import {
  otherSampler,
  readDdimConfig,
} from "../../src/samplers/ddim_config.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { readClipPreprocessConfig } from "../../src/image/clip_preprocess.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import {
  imageEncoderTable,
  STANDARD_TEXT_CONFIG,
  STANDARD_VISION_CONFIG,
  textEncoderTable,
} from "../../src/checkpoints/tables/clip.ts";
import { controlNetTable } from "../../src/checkpoints/tables/controlnet.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  faceParserTable,
  STANDARD_FACE_PARSER_CONFIG,
} from "../../src/checkpoints/tables/face_parser.ts";
import {
  identityAdapterTable,
  STANDARD_ADAPTER_CONFIG,
} from "../../src/checkpoints/tables/identity_adapter.ts";
import {
  SD15_SCHEDULER_CONFIG,
  VIT_L14_PREPROCESSOR_CONFIG,
} from "../../src/checkpoints/tables/stable_diffusion.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import { unetTable } from "../../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../../src/checkpoints/tables/vae.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import { type Component, networkComponent } from "./component.ts";
import { optionalJson } from "./folder.ts";
import { extraName } from "./names.ts";
import { findTokenizer, readTokenizer, tokenCount } from "./tokenizer.ts";

/** A network's weight files and config. */
export interface NetworkFiles {
  /** Its weight files; several where it is sharded. */
  readonly files: readonly string[];
  /** Its `config.json`. */
  readonly json: JsonObject;
  /** What messages call the config. */
  readonly configName: string;
  /** Whether the config is a converted component's, with scheduler or tokenizer in it. */
  readonly isComplete?: boolean;
  /** The table of a layout other than diffusers' and transformers' own. */
  readonly table?: (config: CheckpointConfig) => Table;
}

/**
 * A UNet, with the scheduler's config from its model's folder, or the one that
 * all of Stable Diffusion 1 share.
 *
 * @param warn called with the sampler that the config names where DDIM replaces it
 */
export async function unetComponent(
  { files, json, configName, isComplete, table = unetTable }: NetworkFiles,
  warn: (line: string) => void,
): Promise<Component> {
  if (isComplete) {
    return completeComponent("unet", files, json, configName, table);
  }
  const scheduler = await readScheduler(files[0], table === unetTable, warn);
  return networkComponent({
    output: "unet",
    files,
    config: { ...json, scheduler: scheduler ?? SD15_SCHEDULER_CONFIG },
    table: () => table(new CheckpointConfig(json, configName)),
  });
}

/** A network whose config lacks nothing. */
function completeComponent(
  output: string,
  files: readonly string[],
  config: JsonObject,
  configName: string,
  table: (config: CheckpointConfig) => Table,
): Component {
  return networkComponent({
    output,
    files,
    config,
    table: () => table(new CheckpointConfig(config, configName)),
  });
}

/** The scheduler's config, checked as loading does; undefined where there is none. */
async function readScheduler(
  file: string,
  hasFolder: boolean,
  warn: (line: string) => void,
): Promise<JsonObject | undefined> {
  const folder = dirname(file);
  // A whole model's file has its scheduler beside it, a UNet's folder above.
  for (const place of hasFolder ? [folder, dirname(folder)] : [folder]) {
    const path = `${place}/scheduler/scheduler_config.json`;
    const json = await optionalJson(path);
    if (json === undefined) continue;
    asCheckpointFault(path, () => readDdimConfig(json, path));
    const other = otherSampler(json);
    if (other !== undefined) {
      const { name, passedOver } = other;
      warn(
        `unet: ${path} names ${name}; DDIM takes its place, with the same ` +
          "training noise" +
          (passedOver.length > 0
            ? `; settings of ${name} are ignored: ${passedOver.join(", ")}`
            : "") +
          "; --sampler model makes images as the file says",
      );
    }
    return json;
  }
}

/**
 * Runs a reader of loading's; what it refuses becomes an error of the checkpoint.
 *
 * @param name what messages call the file
 */
function asCheckpointFault(name: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw badCheckpoint(
      name,
      error.message.replace(/^(Scheduler|Preprocessor) config of \S+ /, "it "),
      { cause: error },
    );
  }
}

/** A ControlNet, which keeps the name of its file. */
export function controlNetComponent(
  { files, json, configName, table = controlNetTable }: NetworkFiles,
): Component {
  return networkComponent({
    output: extraName(files[0], "a ControlNet"),
    files,
    config: json,
    table: () => table(new CheckpointConfig(json, configName)),
  });
}

/** An autoencoder. */
export function vaeComponent(
  { files, json, configName, table = vaeTable }: NetworkFiles,
): Component {
  return networkComponent({
    output: "vae",
    files,
    config: json,
    table: () => table(new CheckpointConfig(json, configName)),
  });
}

/** What a text encoder depends on besides its files. */
export interface TextContext {
  /** Where the tokenizer may be, beside the model's own folder. */
  readonly folders: readonly string[];
  /** Whether the tokenizer must be found (true); without it nothing can be written. */
  readonly needsTokenizer?: boolean;
  /** Whether the network may have more tokens than the tokenizer. */
  readonly allowUnused: boolean;
  /** Shows the user a line that is not an error. */
  readonly warn: (line: string) => void;
}

/**
 * A text encoder, with its tokenizer.
 *
 * @param context where its tokenizer may be, and how it must fit
 * @throws {MasterWeaverError} `bad-checkpoint` where tokenizer and network have different sizes
 */
export async function textEncoderComponent(
  { files, json, configName, isComplete, table = textEncoderTable }:
    NetworkFiles,
  context: TextContext,
): Promise<Component> {
  if (isComplete) {
    return completeComponent("text_encoder", files, json, configName, table);
  }
  const text = json.text_config instanceof Object ? json.text_config : json;
  const config = { ...STANDARD_TEXT_CONFIG, ...text };
  if (context.needsTokenizer === false) {
    return completeComponent("text_encoder", files, config, configName, table);
  }
  const folder = dirname(files[0]);
  const above = dirname(folder);
  // A whole model's file has its tokenizer beside it, a network's folder above.
  const places = table === textEncoderTable
    ? [folder, above, ...context.folders]
    : [folder, ...context.folders, above];
  const place = await findTokenizer(places, files[0]);
  const tokenizer = await readTokenizer(place);
  checkSize(place, tokenCount(tokenizer), config.vocab_size, context);
  return networkComponent({
    output: "text_encoder",
    files,
    config: { ...config, tokenizer },
    table: () => table(new CheckpointConfig(config, configName)),
  });
}

function checkSize(
  tokenizer: string,
  tokens: number,
  vocabulary: unknown,
  { allowUnused, warn }: TextContext,
): void {
  const rows = Number(vocabulary);
  // The table refuses what is not a size.
  if (!Number.isSafeInteger(vocabulary) || tokens === rows) return;
  if (tokens < rows && allowUnused) {
    warn(
      `Warning: text_encoder: ${
        rows - tokens
      } of its ${rows} tokens are not in ${tokenizer} and are left unused`,
    );
    return;
  }
  throw badCheckpoint(
    tokenizer,
    `it has ${tokens} tokens, the text encoder ${rows}; give the tokenizer ` +
      "that it was trained with, added_tokens.json included" +
      (tokens < rows ? "; --allow-unused leaves the others unused" : ""),
  );
}

/** The vision tower of a CLIP, with its preprocessor's config. */
export async function imageEncoderComponent(
  { files, json, configName, table = imageEncoderTable }: NetworkFiles,
): Promise<Component> {
  const vision = json.vision_config instanceof Object
    ? json.vision_config
    : json;
  const config: JsonObject = { ...STANDARD_VISION_CONFIG, ...vision };
  const path = `${dirname(files[0])}/preprocessor_config.json`;
  const found = await optionalJson(path);
  if (found) {
    asCheckpointFault(path, () => readClipPreprocessConfig(found, path));
  }
  const size = config.image_size;
  const preprocessor = found ??
    { ...VIT_L14_PREPROCESSOR_CONFIG, size, crop_size: size };
  return networkComponent({
    output: "image_encoder",
    files,
    config: { ...config, preprocessor },
    table: () => table(new CheckpointConfig(config, configName)),
  });
}

/**
 * An identity adapter.
 *
 * @param file the `.pt` file
 * @param json `adapter_config.json`, or an empty object
 * @param unet gives the config of the UNet it is for
 */
export function adapterComponent(
  output: string,
  file: string,
  json: JsonObject,
  unet: () => JsonObject,
): Component {
  const config = { ...STANDARD_ADAPTER_CONFIG, ...json };
  return networkComponent({
    output,
    files: [file],
    config,
    table: ([checkpoint]) =>
      identityAdapterTable(
        new CheckpointConfig(config, "adapter_config.json"),
        new CheckpointConfig(unet(), "the UNet's config"),
        // No config of an adapter states the image encoder's width.
        checkpoint.tensors.get("id_encoder.proj_in.weight")?.shape[1] ?? 1024,
      ),
  });
}

/** A face parser, with `face_parser_config.json` or the reference's sizes. */
export function faceParserComponent(
  file: string,
  json: JsonObject,
): Component {
  const config = { ...STANDARD_FACE_PARSER_CONFIG, ...json };
  const name = "face_parser_config.json";
  return networkComponent({
    output: "face_parser",
    files: [file],
    config,
    table: () => faceParserTable(new CheckpointConfig(config, name)),
  });
}
