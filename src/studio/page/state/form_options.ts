/**
 * Which options of the table the page's form has, and where.
 *
 * @module
 */

/** Options with a place of their own. */
export const mainOptions = [
  "prompt",
  "negativePrompt",
  "steps",
  "numImages",
  "guidanceScale",
  "idScale",
  "seed",
  "width",
  "height",
] as const;

/** How photos are looked at, folded away. */
export const photoOptions = [
  "align",
  "parse",
  "face",
  "requireFace",
  "fit",
] as const;

/** The other settings of an image, folded away. */
export const imageOptions = [
  "sampler",
  "schedule",
  "eta",
  "guidanceRescale",
  "rng",
  "cudaThreads",
  "reuseFeatures",
  "guidanceRange",
  "mergeTokens",
] as const;

/** An option that is folded away. */
export type MoreOption =
  | typeof photoOptions[number]
  | typeof imageOptions[number];

/** An option of the form, as the table calls it. */
export type FormOption = typeof mainOptions[number] | MoreOption;

/** Where the page's sliders end; what is typed may go as far as the table lets it. */
export const sliders = {
  steps: { least: 20, most: 100, step: 1 },
  numImages: { least: 1, most: 4, step: 1 },
  guidanceScale: { least: 0.1, most: 10, step: 0.1 },
  idScale: { least: 0, most: 3, step: 0.1 },
} as const;

/** The page's own defaults, the reference page's. */
export const pageDefaults = {
  negativePrompt:
    "nsfw, low quality, multiple faces, small face, watermark, text, missing fingers",
  steps: 50,
  numImages: 4,
  guidanceScale: 5,
  idScale: 0.9,
} as const;
