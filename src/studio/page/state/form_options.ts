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

/** The other options, folded away in groups. */
export const groups = {
  photo: ["align", "parse", "face", "requireFace", "fit"],
  prompt: ["promptSyntax", "clipSkip"],
  start: [
    "strength",
    "outpaint",
    "maskFill",
    "maskBlur",
    "maskPaste",
    "onlyMasked",
    "maskPadding",
    "initLatents",
  ],
  control: ["guessMode"],
  lora: ["lora"],
  size: [
    "hiresScale",
    "hiresWidth",
    "hiresHeight",
    "hiresUpscaler",
    "hiresStrength",
    "hiresSteps",
    "upscale",
    "upscaleBy",
    "decoder",
    "vaeTiling",
  ],
  sampling: [
    "sampler",
    "schedule",
    "eta",
    "guidanceRescale",
    "rng",
    "cudaThreads",
  ],
  faster: ["reuseFeatures", "guidanceRange", "mergeTokens"],
} as const;

/** A group of folded options. */
export type GroupName = keyof typeof groups;

/** An option that is folded away. */
export type MoreOption = typeof groups[GroupName][number];

/** An option of the form, as the table calls it. */
export type FormOption = typeof mainOptions[number] | MoreOption;

/** How photos are looked at. */
export const photoOptions: readonly MoreOption[] = groups.photo;

/** All folded options. */
export const moreOptions: readonly MoreOption[] = Object.values(groups).flat();

/** The folded options that are settings of an image. */
export const imageOptions: readonly MoreOption[] = moreOptions.filter((name) =>
  !photoOptions.includes(name)
);

/** All options of the form. */
export const allOptions: readonly FormOption[] = [
  ...mainOptions,
  ...moreOptions,
];

/** Where the page's sliders end; what is typed may go as far as the table lets it. */
export const sliders = {
  steps: { least: 20, most: 100, step: 1 },
  numImages: { least: 1, most: 4, step: 1 },
  guidanceScale: { least: 0.1, most: 10, step: 0.1 },
  idScale: { least: 0, most: 3, step: 0.1 },
  strength: { least: 0, most: 1, step: 0.05 },
  hiresStrength: { least: 0, most: 1, step: 0.05 },
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

/** What sliders show where nothing is typed. */
export const sliderDefaults: Readonly<Record<keyof typeof sliders, number>> = {
  ...pageDefaults,
  strength: 0.8,
  hiresStrength: 0.7,
};
