/**
 * Options about the denoising loop.
 *
 * @module
 */
import {
  fractions,
  integer,
  number,
  samplerName,
  scheduleName,
} from "./types.ts";

/** How noise becomes an image, in the order of the list of options. */
export const samplingOptions = {
  steps: {
    group: "image",
    type: integer(1, 1000),
    default: 30,
    help: "denoising steps",
    key: "steps",
  },
  sampler: {
    group: "image",
    type: samplerName,
    defaultText: "DDIM; LCM or TCD where the model was distilled for it",
    help:
      "as AUTOMATIC1111 or diffusers spells it, with or without a schedule, such as DPM++ 2M Karras; model: the one that the model names",
    details: "`src/samplers/README.md` lists them",
    key: "sampler",
    recordOnlyIfGiven: true,
  },
  schedule: {
    group: "image",
    type: scheduleName,
    defaultText: "the sampler's own",
    help:
      "noise levels: leading, trailing, linspace, Karras, Exponential, SGM Uniform or Align Your Steps",
    key: "schedule",
    recordOnlyIfGiven: true,
  },
  eta: {
    group: "image",
    type: number(0, 1),
    defaultText: "the sampler's own: DDIM 0, TCD 0.3, ancestral 1",
    help: "share of the noise that the sampler adds",
    key: "eta",
    recordOnlyIfGiven: true,
  },
  guidanceScale: {
    group: "image",
    type: number(0, 100),
    default: 5,
    help: "how strongly the prompt is followed",
    details: "1 or less switches guidance off, which halves the work",
    key: "guidance_scale",
  },
  guidanceRescale: {
    group: "image",
    type: number(0, 1),
    defaultText: "0",
    help: "brings guidance back to the contrast it would have without",
    details: "0.7 is usual for models that predict velocity",
    key: "guidance_rescale",
    recordOnlyIfGiven: true,
  },
} as const;

/** What makes it faster and changes the image, in the order of the list of options. */
export const lessWorkOptions = {
  reuseFeatures: {
    group: "image",
    type: integer(1, 1000),
    default: 1,
    help:
      "faster, changes the image: run the whole UNet only every N steps, and its outer layers alone in between",
    key: "reuse_features",
  },
  guidanceRange: {
    group: "image",
    type: fractions,
    default: [0, 1],
    help:
      "faster, changes the image: guidance only from one fraction of the steps to another; steps without it take half the time",
    key: "guidance_range",
  },
  mergeTokens: {
    group: "image",
    type: number(0, 0.75, "R"),
    default: 0,
    help:
      "faster, changes the image: share of similar tokens merged in self-attention",
    details: "at the finest level that has it",
    key: "merge_tokens",
  },
} as const;
