/**
 * The parts that paint: of a model's folder, or of Stable Diffusion 1.5 by its
 * sizes alone.
 *
 * @module
 */
import {
  type Component,
  type ModelFiles,
  openComponent,
} from "../../../src/components.ts";
import { readDdimConfig } from "../../../src/diffusion/ddim.ts";
import { clipTextConfig } from "../../../src/models/clip.ts";
import { identityConfig } from "../../../src/models/id_resampler.ts";
import { unetConfig } from "../../../src/models/unet.ts";
import { vaeConfig } from "../../../src/models/vae.ts";
import type { PainterParts } from "../../../src/painter.ts";
import { WeightScope } from "../../../src/weights/scope.ts";
import { STANDARD_ADAPTER_CONFIG } from "../../../src/weights/tables/identity_adapter.ts";
import {
  SD15_SCHEDULER_CONFIG,
  SD15_TEXT_CONFIG,
  SD15_UNET_CONFIG,
  SD15_VAE_CONFIG,
} from "../../../src/weights/tables/stable_diffusion.ts";
import type { WeaveFile } from "../../../src/weights/weave.ts";

/** Of a model's files. */
export async function openPainterParts(
  files: ModelFiles,
): Promise<PainterParts> {
  return {
    text: await openComponent(files, "text_encoder", clipTextConfig),
    unet: await openComponent(files, "unet", readUnet),
    adapter: await openComponent(files, "identity_adapter", identityConfig),
    vae: await openComponent(files, "vae", vaeConfig),
  };
}

/** Of Stable Diffusion 1.5: its graphs can be built and counted, not run. */
export function sd15Parts(): PainterParts {
  const unet = { ...SD15_UNET_CONFIG, scheduler: SD15_SCHEDULER_CONFIG };
  return {
    text: withoutWeights("text_encoder", clipTextConfig(SD15_TEXT_CONFIG)),
    unet: withoutWeights("unet", readUnet(unet)),
    adapter: withoutWeights(
      "identity_adapter",
      identityConfig(STANDARD_ADAPTER_CONFIG),
    ),
    vae: withoutWeights("vae", vaeConfig(SD15_VAE_CONFIG)),
  };
}

function readUnet(json: unknown): PainterParts["unet"]["config"] {
  const { scheduler } = json as { scheduler: unknown };
  return { ...unetConfig(json), scheduler: readDdimConfig(scheduler, "unet") };
}

function withoutWeights<C>(component: string, config: C): Component<C> {
  const file: WeaveFile = {
    name: component,
    component,
    config: {},
    provenance: {},
    hash: "",
    tensors: new Map(),
  };
  return { file, config, weights: new WeightScope(file) };
}
