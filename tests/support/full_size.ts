/**
 * Stable Diffusion 1.5 with its encoders at full size: all names, shapes and
 * configs, and no values. Its graphs can be built and planned, not run.
 *
 * @module
 */
import type { Component } from "../../src/weights/components.ts";
import { readDdimConfig } from "../../src/samplers/ddim.ts";
import { readClipPreprocessConfig } from "../../src/image/clip_preprocess.ts";
import { faceParserConfig } from "../../src/models/bisenet.ts";
import { clipTextConfig, clipVisionConfig } from "../../src/models/clip.ts";
import { identityConfig } from "../../src/models/id_resampler.ts";
import { unetConfig } from "../../src/models/unet.ts";
import { vaeConfig } from "../../src/models/vae.ts";
import type { Components } from "../../src/components/networks.ts";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { planConversion } from "../../src/checkpoints/conversion.ts";
import { byteLength } from "../../src/weights/dtype.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { WeightScope } from "../../src/weights/scope.ts";
import {
  SD15_SCHEDULER_CONFIG,
  VIT_L14_PREPROCESSOR_CONFIG,
} from "../../src/checkpoints/tables/stable_diffusion.ts";
import type { WeaveFile, WeaveTensor } from "../../src/weights/weave.ts";
import {
  FULL_SIZE,
  type Part,
  tableOf,
  tensorsOf,
} from "../../tools/random_checkpoint/model.ts";

function noValues(): never {
  throw new Error("This model has no values");
}

/** A checkpoint's tensors, which cannot be read. */
function emptyCheckpoint(part: Part): Checkpoint {
  const tensors = tensorsOf(part, FULL_SIZE).map(({ name, shape }) => ({
    name,
    shape,
    dtype: "F32" as const,
    bytes: 4 * shape.reduce((a, b) => a * b, 1),
    read: noValues,
  }));
  return {
    name: part,
    kind: "safetensors",
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    otherValues: 0,
    metadata: {},
    verify: noValues,
  };
}

/** What a part is when it has been converted. */
function component<C>(
  part: Part,
  dtype: ModelDtype,
  config: C,
): Component<C> {
  const checkpoint = emptyCheckpoint(part);
  const { tensors } = planConversion(
    tableOf(part, FULL_SIZE),
    [checkpoint],
    dtype,
  );
  const stored = tensors.map(({ name, dtype, shape }): WeaveTensor => ({
    name,
    dtype,
    shape,
    bytes: Number(byteLength(dtype, shape)),
    chunks: noValues,
  }));
  const file: WeaveFile = {
    name: `${part}.weave`,
    component: part,
    config: FULL_SIZE[part],
    provenance: {},
    hash: "",
    tensors: new Map(stored.map((tensor) => [tensor.name, tensor])),
  };
  return { file, config, weights: new WeightScope(file) };
}

/** Every part, as it is stored with a `--dtype` of `tools/convert.ts`. */
export function fullSizeParts(dtype: ModelDtype): Components {
  const preprocess = readClipPreprocessConfig(
    VIT_L14_PREPROCESSOR_CONFIG,
    "image_encoder",
  );
  const scheduler = readDdimConfig(SD15_SCHEDULER_CONFIG, "unet");
  const vision = clipVisionConfig(FULL_SIZE.image_encoder);
  const unet = unetConfig(FULL_SIZE.unet);
  return {
    text: component(
      "text_encoder",
      dtype,
      clipTextConfig(FULL_SIZE.text_encoder),
    ),
    unet: component("unet", dtype, { ...unet, scheduler }),
    vae: component("vae", dtype, vaeConfig(FULL_SIZE.vae)),
    vision: component("image_encoder", dtype, { ...vision, preprocess }),
    adapter: component(
      "identity_adapter",
      dtype,
      identityConfig(FULL_SIZE.identity_adapter),
    ),
    parser: component(
      "face_parser",
      dtype,
      faceParserConfig(FULL_SIZE.face_parser),
    ),
  };
}
