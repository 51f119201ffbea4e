/**
 * The networks of a model as components: config, weight files and table.
 *
 * @module
 */
import { dirname } from "node:path";
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
import {
  SD15_SCHEDULER_CONFIG,
  VIT_L14_PREPROCESSOR_CONFIG,
} from "../../src/weights/tables/stable_diffusion.ts";
import type { Table } from "../../src/weights/tables/table.ts";
import { unetTable } from "../../src/weights/tables/unet.ts";
import { vaeTable } from "../../src/weights/tables/vae.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import { type Component, networkComponent } from "./component.ts";
import { optionalJson } from "./folder.ts";
import { findTokenizer, readTokenizer } from "./tokenizer.ts";

/** A network's weight files and config. */
export interface NetworkFiles {
  /** Its weight files; several where it is sharded. */
  readonly files: readonly string[];
  /** Its `config.json`. */
  readonly json: JsonObject;
  /** What messages call the config. */
  readonly configName: string;
  /** The table of a layout that is not diffusers' and transformers' own. */
  readonly table?: (config: CheckpointConfig) => Table;
}

/**
 * A UNet, with the scheduler's config that lies in its model's folder, or the
 * one that all of Stable Diffusion 1 share.
 */
export async function unetComponent(
  { files, json, configName, table = unetTable }: NetworkFiles,
): Promise<Component> {
  const folder = dirname(files[0]);
  const name = "scheduler/scheduler_config.json";
  const scheduler = await optionalJson(`${dirname(folder)}/${name}`) ??
    await optionalJson(`${folder}/${name}`);
  return networkComponent({
    output: "unet",
    files,
    config: { ...json, scheduler: scheduler ?? SD15_SCHEDULER_CONFIG },
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

/**
 * A text encoder, with its tokenizer.
 *
 * @param folders where the tokenizer may be, beside the model's own folder
 */
export async function textEncoderComponent(
  { files, json, configName, table = textEncoderTable }: NetworkFiles,
  folders: readonly string[],
): Promise<Component> {
  const text = typeof json.text_config === "object" ? json.text_config : json;
  const config = { ...STANDARD_TEXT_CONFIG, ...text };
  const folder = dirname(files[0]);
  const tokenizer = await readTokenizer(
    await findTokenizer([dirname(folder), folder, ...folders], files[0]),
  );
  return networkComponent({
    output: "text_encoder",
    files,
    config: { ...config, tokenizer },
    table: () => table(new CheckpointConfig(config, configName)),
  });
}

/** The vision tower of a CLIP, with its preprocessor's config. */
export async function imageEncoderComponent(
  { files, json, configName, table = imageEncoderTable }: NetworkFiles,
): Promise<Component> {
  const vision = typeof json.vision_config === "object"
    ? json.vision_config
    : json;
  const config: JsonObject = { ...STANDARD_VISION_CONFIG, ...vision };
  const found = await optionalJson(
    `${dirname(files[0])}/preprocessor_config.json`,
  );
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
 * @param json `adapter_config.json`, or nothing
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
