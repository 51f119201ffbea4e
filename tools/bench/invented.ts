/**
 * Models without files: sizes come from their configs, names and shapes from
 * the converter's tables, weights are made up. Neither a count nor a time
 * depends on their values.
 *
 * @module
 */
import { SD15_SCHEDULER_CONFIG } from "../../src/checkpoints/tables/stable_diffusion.ts";
import { VIT_L14_PREPROCESSOR_CONFIG } from "../../src/checkpoints/tables/stable_diffusion.ts";
import { storedShape } from "../../src/checkpoints/conversion.ts";
import {
  type Components,
  componentsFrom,
} from "../../src/components/networks.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import type {
  GeneratorComponents,
  Layout,
} from "../../src/generate/generator.ts";
import { openModelFolder } from "../../src/host/files.ts";
import { openComponentFile } from "../../src/weights/components.ts";
import { byteLength } from "../../src/weights/dtype.ts";
import {
  type ModelDtype,
  storedDtype,
} from "../../src/weights/quantisation_policy.ts";
import type { JsonObject, WeaveTensor } from "../../src/weights/weave.ts";
import {
  type Configs,
  FULL_SIZE,
  type Part,
  PARTS,
  tableOf,
} from "../random_checkpoint/model.ts";

/** A model's sizes. */
export interface ModelSizes {
  /** What it is called. */
  readonly name: string;
  /** Configs of its components, as their files have them. */
  readonly configs: Configs;
}

/** Stable Diffusion 1.5 with the reference's encoders and identity adapter. */
export const SD15: ModelSizes = {
  name: "SD1.5",
  configs: {
    ...FULL_SIZE,
    unet: { ...FULL_SIZE.unet, scheduler: SD15_SCHEDULER_CONFIG },
    image_encoder: {
      ...FULL_SIZE.image_encoder,
      preprocessor: VIT_L14_PREPROCESSOR_CONFIG,
    },
  },
};

/**
 * The sizes of a converted model.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function sizesOf(folder: string): Promise<ModelSizes> {
  await using opened = await openModelFolder(folder);
  const configs: [Part, JsonObject][] = [];
  for (const name of PARTS) {
    const { config } = await openComponentFile(opened.files, name);
    configs.push([name, config]);
  }
  const name = folder.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1)!;
  return { name, configs: Object.fromEntries(configs) as Configs };
}

/**
 * The components of a model whose weights are as long as those of a file of
 * that type, and made up.
 */
export function inventComponents(
  { configs }: ModelSizes,
  dtype: ModelDtype,
): Promise<Components> {
  return componentsFrom((component) => {
    const { rows } = tableOf(component, configs);
    const tensors = rows.map(({ name, shape: unstored, exact }) => {
      const shape = storedShape(unstored);
      return inventTensor(
        name,
        storedDtype(component, { name, shape, exact }, dtype),
        shape,
      );
    });
    return Promise.resolve({
      name: `${component}.weave`,
      component,
      config: configs[component],
      provenance: {},
      tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
      hash: "",
    });
  });
}

/** Small values of either sign, by turns. */
const VALUES = [0.01, -0.01, 0.01, -0.01];
/** Longest chunk that is made at once, in bytes. */
const CHUNK = 4 * 2 ** 20;

function inventTensor(
  name: string,
  dtype: WeaveTensor["dtype"],
  shape: readonly number[],
): WeaveTensor {
  const bytes = Number(byteLength(dtype, shape));
  // What stands for f16 does for quants and their scales, too.
  const pattern = new Uint8Array(
    (dtype === "f32" ? new Float32Array(VALUES) : new Float16Array(VALUES))
      .buffer,
  );
  return {
    name,
    dtype,
    shape,
    bytes,
    async *chunks() {
      const chunk = new Uint8Array(Math.min(bytes, CHUNK));
      for (let i = 0; i < chunk.length; i++) chunk[i] = pattern[i % 8];
      for (let at = 0; at < bytes; at += CHUNK) {
        yield await Promise.resolve(chunk.slice(0, bytes - at));
      }
    },
  };
}

/**
 * The layout of an image in a model, guidance on.
 *
 * @param size columns and rows of the image; the model's own where not given
 * @throws {MasterWeaverError} `bad-option` where a side is no multiple of what a latent stands for
 */
export function layoutOf(
  { unet, vae }: GeneratorComponents,
  size: readonly [number, number] | undefined,
  images: number,
): Layout {
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
