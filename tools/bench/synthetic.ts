/**
 * Models without a file: a network's sizes come from its config, its weights
 * are synthetic. Neither a count nor a time depends on their values.
 *
 * @module
 */
import {
  networkComponents,
  openComponentFile,
} from "../../src/weights/components.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import type {
  GeneratorComponents,
  RunShape,
} from "../../src/generate/generator.ts";
import { openModelFolder } from "../../src/host/files.ts";
import type { Components } from "../../src/components/networks.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import {
  FULL_SIZE_FILES,
  syntheticComponents,
} from "../random_checkpoint/synthetic.ts";
import type { Configs } from "../random_checkpoint/model.ts";

/** A model's sizes. */
export interface ModelSizes {
  readonly name: string;
  /** Configs of its components, as their files have them. */
  readonly configs: Configs;
}

/** Stable Diffusion 1.5 with the reference's identity adapter. */
export const SD15: ModelSizes = { name: "SD1.5", configs: FULL_SIZE_FILES };

/**
 * The sizes of a converted model.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function sizesOf(folder: string): Promise<ModelSizes> {
  await using opened = await openModelFolder(folder);
  const configs: [string, JsonObject][] = [];
  for (const name of networkComponents) {
    const { config } = await openComponentFile(opened.files, name);
    configs.push([name, config]);
  }
  const name = folder.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1)!;
  return { name, configs: Object.fromEntries(configs) as Configs };
}

/**
 * The components of a model whose weights are as long as those of a file of
 * that type, and synthetic.
 */
export function syntheticModel(
  { configs }: ModelSizes,
  stored: ModelDtype,
): Components {
  return syntheticComponents(configs, stored);
}

/**
 * The run shape of an image in a model, guidance on.
 *
 * @param size columns and rows of the image; the model's own where not given
 * @throws {MasterWeaverError} `bad-option` where a side is no multiple of what a latent stands for
 */
export function runShapeOf(
  { unet, vae }: GeneratorComponents,
  size: readonly [number, number] | undefined,
  images: number,
): RunShape {
  const { factor } = vae.config;
  const own = unet.config.sampleSize * factor;
  const [width, height] = size ?? [own, own];
  if (width % factor !== 0 || height % factor !== 0) {
    throw new MasterWeaverError(
      "bad-option",
      `Sides must be multiples of ${factor} for this model, got ${width}×${height}`,
    );
  }
  return {
    images,
    width: width / factor,
    height: height / factor,
    guided: true,
  };
}
