/**
 * Converted models without files: components as converting would write them,
 * for graphs that are built, counted, or run on made-up values.
 *
 * @module
 */
import { storedTensors } from "../../src/checkpoints/conversion.ts";
import {
  SD15_SCHEDULER_CONFIG,
  VIT_L14_PREPROCESSOR_CONFIG,
} from "../../src/checkpoints/tables/stable_diffusion.ts";
import {
  type Components,
  componentsOf,
} from "../../src/components/networks.ts";
import { byteLength, type WeaveDtype } from "../../src/weights/dtype.ts";
import type { NetworkName } from "../../src/weights/components.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import type { WeaveFile, WeaveTensor } from "../../src/weights/weave.ts";
import { type Configs, FULL_SIZE, tableOf } from "./model.ts";

/** {@linkcode FULL_SIZE} as the files of a converted model state it. */
export const FULL_SIZE_FILES: Configs = {
  ...FULL_SIZE,
  unet: { ...FULL_SIZE.unet, scheduler: SD15_SCHEDULER_CONFIG },
  image_encoder: {
    ...FULL_SIZE.image_encoder,
    preprocessor: VIT_L14_PREPROCESSOR_CONFIG,
  },
};

/** Gives a tensor's bytes; they need not mean anything. */
export type InventBytes = (
  dtype: WeaveDtype,
  bytes: number,
) => AsyncIterable<Uint8Array<ArrayBuffer>>;

/**
 * The networks of a model, with all names, shapes and types of a file.
 *
 * @param configs what the files' headers would say
 * @param dtype as a `--dtype` of `tools/convert.ts`
 * @param invent makes values; where not given, none can be read
 */
export function inventComponents(
  configs: Configs,
  dtype: ModelDtype,
  invent: InventBytes = noValues,
): Components {
  return componentsOf((name) => inventFile(name, configs, dtype, invent));
}

function noValues(): never {
  throw new Error("This model has no values");
}

function inventFile(
  network: NetworkName,
  configs: Configs,
  dtype: ModelDtype,
  invent: InventBytes,
): WeaveFile {
  const tensors = storedTensors(tableOf(network, configs), dtype).map(
    (tensor): WeaveTensor => {
      const bytes = Number(byteLength(tensor.dtype, tensor.shape));
      return { ...tensor, bytes, chunks: () => invent(tensor.dtype, bytes) };
    },
  );
  return {
    name: `${network}.weave`,
    component: network,
    config: configs[network],
    provenance: {},
    hash: "",
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}
