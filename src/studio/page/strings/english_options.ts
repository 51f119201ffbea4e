/**
 * What the page calls options in English, and what it says of each.
 *
 * @module
 */
import { table } from "../../../options/table.ts";
import { allOptions, type FormOption } from "../state/form_options.ts";

/** What the table says of an option, as a sentence. */
function help(name: keyof typeof table): string {
  const { help } = table[name];
  return help.charAt(0).toUpperCase() + help.slice(1);
}

/** What options are called. */
export const englishLabels = {
  prompt: "Prompt",
  negativePrompt: "Negative prompt",
  steps: "Steps",
  numImages: "Images",
  guidanceScale: "Guidance",
  idScale: "Identity",
  seed: "Seed",
  width: "Width",
  height: "Height",
  align: "Align faces",
  parse: "Only the face",
  face: "Which face",
  requireFace: "Require a face",
  fit: "Photos that are not square",
  rng: "Noise of",
  cudaThreads: "Threads of that GPU",
  sampler: "Sampler",
  schedule: "Schedule",
  eta: "Added noise (eta)",
  guidanceRescale: "Rescale guidance",
  reuseFeatures: "Reuse features",
  guidanceRange: "Guidance range",
  mergeTokens: "Merge tokens",
  promptSyntax: "Prompt syntax",
  clipSkip: "Clip skip",
  initImage: "Initial image",
  mask: "Mask",
  controlnet: "ControlNets",
  strength: "Strength",
  initLatents: "Latents of the image",
  outpaint: "Extended by",
  maskFill: "Under the mask",
  maskBlur: "Mask blur",
  maskPaste: "Keep the rest exactly",
  onlyMasked: "Only the masked region",
  maskPadding: "Padding",
  guessMode: "Guess mode",
  lora: "LoRA",
  hiresScale: "Second pass, times",
  hiresWidth: "Second pass, width",
  hiresHeight: "Second pass, height",
  hiresUpscaler: "Enlarged by",
  hiresStrength: "Strength of the second pass",
  hiresSteps: "Steps of the second pass",
  upscale: "Upscale the result",
  upscaleBy: "Upscale, times",
  decoder: "Decoder",
  vaeTiling: "Decode in tiles",
};

/** What options mean: what the table says, or what the page adds to it. */
export const englishHelp: Readonly<Record<FormOption, string>> = {
  ...Object.fromEntries(
    allOptions.map((name) => [name, help(name)]),
  ) as Record<FormOption, string>,
  align: `${
    help("align")
  }: cut out and turned upright, as models of photos want them`,
  parse: `${help("parse")}: hair and background do not count then`,
  requireFace: `${
    help("requireFace")
  }: else the whole photo is used, and a warning says so`,
  rng: `${
    help("rng")
  }: the same seed gives the same images as PyTorch would there`,
  cudaThreads: help("cudaThreads").replace(/; see .*/, ""),
  lora: "LoRAs of the model, each with its strength",
  outpaint: "Extend the initial image, and paint what is new",
  hiresUpscaler: "What makes the first pass larger",
  upscale: "Make the finished images larger",
};
