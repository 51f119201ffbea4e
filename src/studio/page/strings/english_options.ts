/**
 * What the page calls options in English, and what it says of each.
 *
 * @module
 */
import { table } from "../../../options/table.ts";

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

/** What options mean. */
export const englishHelp = {
  prompt: help("prompt"),
  negativePrompt: help("negativePrompt"),
  steps: help("steps"),
  numImages: help("numImages"),
  guidanceScale: help("guidanceScale"),
  idScale: help("idScale"),
  seed: help("seed"),
  width: help("width"),
  height: help("height"),
  align: `${
    help("align")
  }: cut out and turned upright, as models of photos want them`,
  parse: `${help("parse")}: hair and background do not count then`,
  face: help("face"),
  requireFace: `${
    help("requireFace")
  }: else the whole photo is used, and a warning says so`,
  fit: help("fit"),
  rng: `${
    help("rng")
  }: the same seed gives the same images as PyTorch would there`,
  cudaThreads: help("cudaThreads").replace(/; see .*/, ""),
  sampler: help("sampler"),
  schedule: help("schedule"),
  eta: help("eta"),
  guidanceRescale: help("guidanceRescale"),
  reuseFeatures: help("reuseFeatures"),
  guidanceRange: help("guidanceRange"),
  mergeTokens: help("mergeTokens"),
  promptSyntax: help("promptSyntax"),
  clipSkip: help("clipSkip"),
  strength: help("strength"),
  initLatents: help("initLatents"),
  maskFill: help("maskFill"),
  maskBlur: help("maskBlur"),
  maskPaste: help("maskPaste"),
  onlyMasked: help("onlyMasked"),
  maskPadding: help("maskPadding"),
  guessMode: help("guessMode"),
  hiresScale: help("hiresScale"),
  hiresWidth: help("hiresWidth"),
  hiresHeight: help("hiresHeight"),
  hiresStrength: help("hiresStrength"),
  hiresSteps: help("hiresSteps"),
  upscaleBy: help("upscaleBy"),
  decoder: help("decoder"),
  vaeTiling: help("vaeTiling"),
  lora: "LoRAs of the model, each with its strength",
  outpaint: "Extend the initial image, and paint what is new",
  hiresUpscaler: "What makes the first pass larger",
  upscale: "Make the finished images larger",
};
