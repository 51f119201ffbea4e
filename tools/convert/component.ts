/**
 * What a checkpoint folder or file is converted to: components with their
 * config, weight files and table.
 *
 * @module
 */
import { dirname } from "node:path";
import { MasterWeaverError } from "../../src/errors.ts";
import { readFile } from "../../src/files.ts";
import type { DlibKind } from "../../src/face/dlib_file.ts";
import {
  badCheckpoint,
  type Checkpoint,
} from "../../src/weights/checkpoint.ts";
import {
  imageEncoderTable,
  STANDARD_TEXT_CONFIG,
  STANDARD_VISION_CONFIG,
  textEncoderTable,
} from "../../src/weights/tables/clip.ts";
import { CheckpointConfig } from "../../src/weights/tables/config.ts";
import {
  faceParserTable,
  STANDARD_FACE_PARSER_CONFIG,
} from "../../src/weights/tables/face_parser.ts";
import {
  identityAdapterTable,
  STANDARD_ADAPTER_CONFIG,
} from "../../src/weights/tables/identity_adapter.ts";
import type { Table } from "../../src/weights/tables/table.ts";
import { unetTable } from "../../src/weights/tables/unet.ts";
import { vaeTable } from "../../src/weights/tables/vae.ts";
import type { JsonObject } from "../../src/weights/weave.ts";

/** A component to convert. */
export type Component = NetworkComponent | DlibComponent;

/** A file of dlib, which holds its whole content in its own order. */
export interface DlibComponent {
  /** Name of the file to write, without `.weave`. */
  readonly output: DlibKind;
  /** The one file. */
  readonly files: readonly [string];
  /** Nothing: the content brings its own. */
  readonly config?: undefined;
  /** Nothing is renamed or moved. */
  readonly table?: undefined;
}

/** A network's checkpoint. */
export interface NetworkComponent {
  /** Name of the file to write, without `.weave`. */
  readonly output: string;
  /** Its weight files; several where it is sharded. */
  readonly files: readonly string[];
  /** What is written into the file's header. */
  readonly config: JsonObject;
  /**
   * Its table.
   *
   * @param checkpoint the opened weight files
   * @throws {MasterWeaverError} `bad-checkpoint` where the config is of another kind of network
   */
  table(checkpoint: readonly Checkpoint[]): Table;
}

/** Reads a JSON object from a file. */
export async function readJson(path: string): Promise<JsonObject> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(await readFile(path)));
  } catch (cause) {
    if (cause instanceof MasterWeaverError) throw cause;
    throw badCheckpoint(path, "it is not JSON", { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw badCheckpoint(path, "it is not a JSON object");
}

/** A UNet of a diffusers folder, with its scheduler's config. */
export async function unetComponent(
  folder: string,
  files: readonly string[],
): Promise<NetworkComponent> {
  const path = `${folder}/config.json`;
  const json = await readJson(path);
  const scheduler = `${dirname(folder)}/scheduler/scheduler_config.json`;
  return {
    output: "unet",
    files,
    config: { ...json, scheduler: await readJson(scheduler) },
    table: () => unetTable(new CheckpointConfig(json, path)),
  };
}

/** A VAE of a diffusers folder, or alone. */
export async function vaeComponent(
  folder: string,
  files: readonly string[],
): Promise<NetworkComponent> {
  const path = `${folder}/config.json`;
  const json = await readJson(path);
  return {
    output: "vae",
    files,
    config: json,
    table: () => vaeTable(new CheckpointConfig(json, path)),
  };
}

/** A text encoder of a diffusers folder, with its tokenizer. */
export async function textEncoderComponent(
  folder: string,
  files: readonly string[],
): Promise<NetworkComponent> {
  const path = `${folder}/config.json`;
  const json = await readJson(path);
  const text = typeof json.text_config === "object" ? json.text_config : json;
  const config = { ...STANDARD_TEXT_CONFIG, ...text };
  const tokenizer = await readTokenizer(`${dirname(folder)}/tokenizer`);
  return {
    output: "text_encoder",
    files,
    config: { ...config, tokenizer },
    table: () => textEncoderTable(new CheckpointConfig(config, path)),
  };
}

/** The vision tower of a CLIP folder, with its preprocessor's config. */
export async function imageEncoderComponent(
  folder: string,
  files: readonly string[],
): Promise<NetworkComponent> {
  const path = `${folder}/config.json`;
  const json = await readJson(path);
  const vision = typeof json.vision_config === "object"
    ? json.vision_config
    : json;
  const config = { ...STANDARD_VISION_CONFIG, ...vision };
  const preprocessor = await readJson(`${folder}/preprocessor_config.json`);
  return {
    output: "image_encoder",
    files,
    config: { ...config, preprocessor },
    table: () => imageEncoderTable(new CheckpointConfig(config, path)),
  };
}

/**
 * An identity adapter.
 *
 * @param unet config of the UNet it is for
 * @param file the `.pt` file
 * @param json `adapter_config.json`, or nothing
 */
export function adapterComponent(
  output: string,
  file: string,
  json: JsonObject,
  unet: JsonObject,
): NetworkComponent {
  const config = { ...STANDARD_ADAPTER_CONFIG, ...json };
  return {
    output,
    files: [file],
    config,
    table: ([checkpoint]) =>
      identityAdapterTable(
        new CheckpointConfig(config, "adapter_config.json"),
        new CheckpointConfig(unet, "the UNet's config"),
        // No config of an adapter states the image encoder's width.
        checkpoint.tensors.get("id_encoder.proj_in.weight")?.shape[1] ?? 1024,
      ),
  };
}

/** A face parser, with `face_parser_config.json` or the reference's sizes. */
export function faceParserComponent(
  file: string,
  json: JsonObject,
): NetworkComponent {
  const config = { ...STANDARD_FACE_PARSER_CONFIG, ...json };
  const name = "face_parser_config.json";
  return {
    output: "face_parser",
    files: [file],
    config,
    table: () => faceParserTable(new CheckpointConfig(config, name)),
  };
}

/** CLIP's byte-level BPE: tokens in the order of their numbers, and merges. */
async function readTokenizer(
  folder: string,
): Promise<{ vocab: string[]; merges: string[] }> {
  const path = `${folder}/vocab.json`;
  const ids = Object.entries(await readJson(path));
  const vocab = new Array<string>(ids.length);
  for (const [token, id] of ids) {
    const isFree = typeof id === "number" && Number.isInteger(id) && id >= 0 &&
      id < ids.length && vocab[id] === undefined;
    if (!isFree) {
      throw badCheckpoint(
        path,
        `its token ${token} has the number ${id}, expected each of 0 to ${
          ids.length - 1
        } once`,
      );
    }
    vocab[id] = token;
  }
  const lines = new TextDecoder().decode(await readFile(`${folder}/merges.txt`))
    .split("\n").map((line) => line.trim());
  // The first line states the format's version; "#" alone can be a token.
  const merges = lines.filter((line, i) =>
    line !== "" && !(i === 0 && line.startsWith("#version"))
  );
  return { vocab, merges };
}
