/**
 * The table's options of decoding, of a second pass and of upscaling.
 *
 * @module
 */
import type { Entries } from "./option.ts";
import type { Settings } from "./settings.ts";
import { choice, integer, number, upscalerName } from "./types.ts";

/** Longest side of an image's second pass, in pixels. */
export const HIRES_SIDE = 4096;

/** The settings that these options are. */
export type PassOption =
  | "decoder"
  | "vaeTiling"
  | "hiresScale"
  | "hiresWidth"
  | "hiresHeight"
  | "hiresUpscaler"
  | "hiresStrength"
  | "hiresSteps"
  | "upscale"
  | "upscaleBy";

/** Those that are about a second pass. */
export type HiresOption = Extract<PassOption, `hires${string}`>;

/** Those that are about a second pass. */
export const hiresOptions: readonly HiresOption[] = [
  "hiresScale",
  "hiresWidth",
  "hiresHeight",
  "hiresUpscaler",
  "hiresStrength",
  "hiresSteps",
];

/** The options by name, in the order of `--help`. */
export const passOptions: Entries<
  Required<Pick<Settings, PassOption>>,
  "image",
  PassOption
> = {
  decoder: {
    group: "image",
    type: choice("vae", "taesd"),
    defaultText: "vae",
    help:
      "what decodes: the model's autoencoder, or TAESD, the tiny one, which is faster and less exact",
    key: "decoder",
    recordOnlyIfGiven: true,
  },
  vaeTiling: {
    group: "image",
    type: choice("auto", "on", "off"),
    defaultText: "auto",
    help:
      "decode and encode large images in overlapping tiles: where the whole does not fit the GPU, always, or never",
    details: "as diffusers' `enable_tiling`",
    key: "vae_tiling",
    recordOnlyIfGiven: true,
  },
  hiresScale: {
    group: "image",
    type: number(1, 8),
    defaultText: "no second pass",
    help:
      `a second pass of X times the width and height, up to ${HIRES_SIDE}, in whole multiples of the model's factor`,
    details: "AUTOMATIC1111's Hires. fix",
    key: "hires_scale",
    recordOnlyIfGiven: true,
  },
  hiresWidth: {
    group: "image",
    type: integer(8, HIRES_SIDE),
    defaultText: "by the scale",
    help: "width of the second pass, in place of a scale",
    key: "hires_width",
    recordOnlyIfGiven: true,
  },
  hiresHeight: {
    group: "image",
    type: integer(8, HIRES_SIDE),
    defaultText: "by the scale",
    help: "height of the second pass, in place of a scale",
    key: "hires_height",
    recordOnlyIfGiven: true,
  },
  hiresUpscaler: {
    group: "image",
    type: upscalerName,
    defaultText: "latent",
    help:
      "what makes the first pass larger: latent, lanczos, or an upscaler, by file or by name in the model's folder upscalers",
    key: "hires_upscaler",
    recordOnlyIfGiven: true,
  },
  hiresStrength: {
    group: "image",
    type: number(0, 1),
    defaultText: "0.7",
    help: "share of its steps that the second pass runs",
    key: "hires_strength",
    recordOnlyIfGiven: true,
  },
  hiresSteps: {
    group: "image",
    type: integer(0, 1000),
    defaultText: "0: as many",
    help: "steps of the second pass, of which its strength is run",
    key: "hires_steps",
    recordOnlyIfGiven: true,
  },
  upscale: {
    group: "image",
    type: upscalerName,
    defaultText: "none",
    help:
      "make the finished images larger: lanczos, or an upscaler, by file or by name in the model's folder upscalers",
    details: "ESRGAN and Real-ESRGAN, converted first",
    key: "upscale",
    recordOnlyIfGiven: true,
  },
  upscaleBy: {
    group: "image",
    type: number(1, 8),
    defaultText: "2",
    help: "by how much finished images are made larger",
    key: "upscale_by",
    recordOnlyIfGiven: true,
  },
};
