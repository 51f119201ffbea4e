/**
 * Models without a file: a network's sizes come from its config, its weights
 * are made up. Neither a count nor a time depends on their values.
 *
 * @module
 */
import {
  type Component,
  type ComponentName,
  openComponentFile,
} from "../../src/weights/components.ts";
import { readDdimConfig } from "../../src/samplers/ddim.ts";
import { openModelFolder } from "../../src/host/files.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { clipTextConfig } from "../../src/models/clip.ts";
import { identityConfig } from "../../src/models/id_resampler.ts";
import { unetConfig } from "../../src/models/unet.ts";
import { vaeConfig } from "../../src/models/vae.ts";
import {
  conditionGraph,
  decodeGraph,
  type GeneratorComponents,
  stepGraph,
} from "../../src/generate/generator.ts";
import { byteLength } from "../../src/weights/dtype.ts";
import {
  type ModelDtype,
  storedDtype,
} from "../../src/weights/quantisation_policy.ts";
import { WeightScope } from "../../src/weights/scope.ts";
import { SD15_SCHEDULER_CONFIG } from "../../src/checkpoints/tables/stable_diffusion.ts";
import type {
  JsonObject,
  WeaveFile,
  WeaveTensor,
} from "../../src/weights/weave.ts";
import { FULL_SIZE } from "../random_checkpoint/model.ts";

/** The parts that paint. */
const PAINTING = ["text_encoder", "unet", "vae", "identity_adapter"] as const;

/** A model's sizes. */
export interface ModelSizes {
  /** What it is called. */
  readonly name: string;
  /** Configs of its parts, as their files have them. */
  readonly configs: Readonly<Record<typeof PAINTING[number], JsonObject>>;
}

/** Stable Diffusion 1.5 with the reference's identity adapter. */
export const SD15: ModelSizes = {
  name: "SD1.5",
  configs: {
    ...FULL_SIZE,
    unet: { ...FULL_SIZE.unet, scheduler: SD15_SCHEDULER_CONFIG },
  },
};

/**
 * The sizes of a converted model.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function sizesOf(folder: string): Promise<ModelSizes> {
  await using opened = await openModelFolder(folder);
  const configs: [ComponentName, JsonObject][] = [];
  for (const name of PAINTING) {
    const { config } = await openComponentFile(opened.files, name);
    configs.push([name, config]);
  }
  const name = folder.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1)!;
  return {
    name,
    configs: Object.fromEntries(configs) as ModelSizes["configs"],
  };
}

/** Names that a network asks for, none of which are there. */
class Asked extends Map<string, WeaveTensor> {
  readonly names = new Set<string>();

  override get(name: string): undefined {
    this.names.add(name);
  }
}

/**
 * The parts of a model whose weights are as long as those of a file of that
 * type, and made up.
 */
export function inventParts(
  { configs }: ModelSizes,
  stored: ModelDtype,
): GeneratorComponents {
  const asked = new Map(PAINTING.map((name) => [name, new Asked()]));
  const probe = partsOf(configs, (name) => asked.get(name)!);
  // Every graph once: networks say what they want by building themselves.
  const layout = { images: 1, height: 8, width: 8, guided: false };
  const graphs: Graph[] = [conditionGraph, stepGraph, decodeGraph]
    .map((build) => build("f32", probe, layout));
  const shapes = new Map(
    graphs.flatMap(({ parameters }) => parameters)
      .map(({ source: { ref } }) => [ref.name, ref.shape] as const),
  );
  return partsOf(
    configs,
    (part) =>
      new Map(
        [...asked.get(part)!.names].filter((name) => shapes.has(name)).map((
          name,
        ) => [name, inventTensor(part, name, shapes.get(name)!, stored)]),
      ),
  );
}

function partsOf(
  configs: ModelSizes["configs"],
  tensorsOf: (part: typeof PAINTING[number]) => Map<string, WeaveTensor>,
): GeneratorComponents {
  const part = <C>(
    name: typeof PAINTING[number],
    read: (json: unknown) => C,
  ): Component<C> => {
    const file: WeaveFile = {
      name: `${name}.weave`,
      component: name,
      config: configs[name],
      provenance: {},
      tensors: tensorsOf(name),
      hash: "",
    };
    return { file, config: read(file.config), weights: new WeightScope(file) };
  };
  return {
    text: part("text_encoder", clipTextConfig),
    unet: part("unet", (json) => ({
      ...unetConfig(json),
      scheduler: readDdimConfig((json as JsonObject).scheduler, "unet"),
    })),
    vae: part("vae", vaeConfig),
    adapter: part("identity_adapter", identityConfig),
  };
}

/** Small values of either sign, by turns. */
const VALUES = [0.01, -0.01, 0.01, -0.01];
/** Longest piece that is made at once, in bytes. */
const PIECE = 4 * 2 ** 20;

function inventTensor(
  component: string,
  name: string,
  shape: readonly number[],
  stored: ModelDtype,
): WeaveTensor {
  const dtype = storedDtype(component, { name, shape }, stored);
  const bytes = byteLength(dtype, shape) as number;
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
      const piece = new Uint8Array(Math.min(bytes, PIECE));
      for (let i = 0; i < piece.length; i++) piece[i] = pattern[i % 8];
      for (let at = 0; at < bytes; at += PIECE) {
        yield await Promise.resolve(
          new Uint8Array(piece.subarray(0, Math.min(PIECE, bytes - at))),
        );
      }
    },
  };
}
