/**
 * Networks that people use beside a model: the tiny autoencoder and upscalers.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  STANDARD_TAESD_CONFIG,
  taesdTable,
  withHalfNamed,
} from "../../src/checkpoints/tables/taesd.ts";
import {
  upscalerSizes,
  upscalerTable,
} from "../../src/checkpoints/tables/upscaler.ts";
import { TAESD } from "../../src/weights/components.ts";
import { type Component, networkComponent } from "./component.ts";
import { exists, optionalJson } from "./folder.ts";
import { extraName } from "./names.ts";
import type { NetworkFiles } from "./networks.ts";

/** The tiny autoencoder, from diffusers' folder or from one or two files. */
export function taesdComponent(
  { files, json, configName }: NetworkFiles,
): Component {
  const config = { ...STANDARD_TAESD_CONFIG, ...json };
  return networkComponent({
    output: TAESD,
    files,
    config,
    rename: withHalfNamed,
    table: (checkpoints) =>
      taesdTable(new CheckpointConfig(config, configName), checkpoints),
  });
}

/** The tiny autoencoder of a file, and of the other half's beside it. */
export async function taesdFiles(file: string): Promise<Component> {
  const folder = dirname(file);
  const name = basename(file);
  const others = [
    name.replace("decoder", "encoder"),
    name.replace("encoder", "decoder"),
  ];
  const files: string[] = [];
  for (const other of new Set(others)) {
    const path = other === name ? file : join(folder, other);
    if (path === file || await exists(path)) files.push(path);
  }
  const json = await optionalJson(join(folder, "config.json"));
  return taesdComponent({
    files,
    json: json ?? {},
    configName: json ? join(folder, "config.json") : "TAESD's config",
  });
}

/** An upscaler of ESRGAN's kind. */
export function upscalerComponent(
  file: string,
  checkpoint: Checkpoint,
): Component {
  const config = upscalerSizes(checkpoint);
  return networkComponent({
    output: extraName(file, "an upscaler"),
    files: [file],
    config,
    table: () =>
      upscalerTable(new CheckpointConfig(config, "the sizes of its tensors")),
  });
}
