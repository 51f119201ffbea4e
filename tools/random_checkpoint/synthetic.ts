/**
 * Converted models without files: components as converting would write them,
 * for graphs that are built, counted, or run on synthetic values.
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
import type { NetworkComponent } from "../../src/weights/components.ts";
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

/**
 * The networks of a model, with all names, shapes and types of a file.
 *
 * @param configs what the files' headers would say
 * @param dtype as a `--dtype` of `tools/convert.ts`
 */
export function syntheticComponents(
  configs: Configs,
  dtype: ModelDtype,
): Components {
  return componentsOf((name) => syntheticFile(name, configs, dtype));
}

function syntheticFile(
  network: NetworkComponent,
  configs: Configs,
  dtype: ModelDtype,
): WeaveFile {
  const tensors = storedTensors(tableOf(network, configs), dtype).map(
    (tensor): WeaveTensor => {
      const bytes = Number(byteLength(tensor.dtype, tensor.shape));
      return {
        ...tensor,
        bytes,
        chunks: () => syntheticChunks(tensor.dtype, bytes),
      };
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

/** Small values of alternating sign. */
const VALUES = [0.01, -0.01, 0.01, -0.01];
/** The longest chunk, in bytes. */
const CHUNK_BYTES = 4 * 2 ** 20;

async function* syntheticChunks(dtype: WeaveDtype, bytes: number) {
  // What stands for f16 does for quants and their scales, too.
  const pattern = new Uint8Array(
    (dtype === "f32" ? new Float32Array(VALUES) : new Float16Array(VALUES))
      .buffer,
  );
  const chunk = new Uint8Array(Math.min(bytes, CHUNK_BYTES));
  for (let i = 0; i < chunk.length; i++) chunk[i] = pattern[i % 8];
  for (let at = 0; at < bytes; at += CHUNK_BYTES) {
    yield await Promise.resolve(
      new Uint8Array(chunk.subarray(0, Math.min(CHUNK_BYTES, bytes - at))),
    );
  }
}
