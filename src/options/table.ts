/**
 * Every option, once: the command's flags and `--help`, README's table, the
 * texts in an image file, the library's checks and the JSON Schema all come
 * from this table.
 *
 * @module
 */
import {
  CUDA_BLOCK,
  CUDA_THREADS_RANGE,
  isCudaThreads,
  MAX_CUDA_THREADS,
} from "../samplers/noise.ts";
import { type ControlOption, controlTable } from "./control_table.ts";
import { identityOptions } from "./identity_table.ts";
import { loras } from "./lora_text.ts";
import type { Entries, Option, OptionGroup } from "./option.ts";
import { type PassOption, passOptions } from "./pass_options.ts";
import { lessWorkOptions, samplingOptions } from "./sampling_table.ts";
import { sourceOptions } from "./source_table.ts";
import type {
  CommandChoices,
  IdentityChoices,
  LoadChoices,
  Settings,
} from "./settings.ts";
import {
  choice,
  integer,
  number,
  path,
  paths,
  seed,
  side,
  switched,
  text,
  yesOrNo,
} from "./types.ts";

export type { Entries, Option, OptionGroup } from "./option.ts";
export type { ControlOption } from "./control_table.ts";

/** Settings that may be absent. */
export type OptionalSetting =
  | "strength"
  | "initLatents"
  | "outpaint"
  | "maskFill"
  | "maskBlur"
  | "maskPaste"
  | "onlyMasked"
  | "maskPadding"
  | "sampler"
  | "schedule"
  | "eta"
  | "guidanceRescale"
  | "lora"
  | PassOption;

/** The options by group. */
export type Table =
  & Entries<
    Required<Settings>,
    "image",
    "prompt" | "width" | "height" | OptionalSetting
  >
  & Entries<IdentityChoices, "identity", "align" | "face" | "fit">
  & Entries<LoadChoices, "load", "dtype" | "adapter" | "taesd">
  & Entries<
    CommandChoices,
    "command",
    | "ref"
    | "model"
    | "extras"
    | "fromImage"
    | "initImage"
    | "mask"
    | ControlOption
  >;

/** The name of an option, as the library calls it. */
export type OptionName = keyof Table;

/** Longest side of an image, in pixels. */
export const LONGEST_SIDE = 2048;

/** The options by name, in the order of `--help`. */
export const table: Table = {
  ref: {
    group: "command",
    type: paths,
    help:
      "reference photo of a person, PNG or JPEG; up to three times, or not at all",
    details:
      "without one the image is plain Stable Diffusion's; its pixels are exactly those that Pillow reads",
  },
  prompt: {
    group: "image",
    type: text,
    defaultText: '""',
    help: "what the image shows",
    key: "prompt",
  },
  negativePrompt: {
    group: "image",
    type: text,
    default: "",
    help: "what it should not show",
    key: "negative_prompt",
  },
  promptSyntax: {
    group: "image",
    type: choice("plain", "a1111"),
    default: "plain",
    help:
      "read (word:1.2), [from:to:0.4], [a|b], BREAK, <lora:name:1> and names of embeddings as AUTOMATIC1111 does, and prompts of any length",
    details: "see `src/text/README.md`",
    key: "prompt_syntax",
    recordOnlyIfGiven: true,
  },
  clipSkip: {
    group: "image",
    type: integer(1, 12),
    default: 1,
    help: "end the text encoder N - 1 layers before its last",
    key: "clip_skip",
    recordOnlyIfGiven: true,
  },
  model: {
    group: "command",
    type: path("DIR"),
    defaultText: "weights/mini",
    help: "a converted model",
    key: "model",
  },
  adapter: {
    group: "load",
    type: path("FILE"),
    help: "another identity adapter for that model",
    key: "adapter",
    recordOnlyIfGiven: true,
  },
  taesd: {
    group: "load",
    type: path("FILE"),
    defaultText: "taesd.weave of the model",
    help: "another tiny autoencoder, for the decoder taesd",
    key: "taesd",
    recordOnlyIfGiven: true,
  },
  extras: {
    group: "command",
    type: path("DIR"),
    defaultText: "the model's folder alone",
    help:
      "also look up extra files by name here: in loras, embeddings, controlnets and upscalers",
  },
  ...samplingOptions,
  idScale: {
    group: "image",
    type: number(0, 10),
    default: 1,
    help: "how strongly the identity is followed",
    details: "0 leaves it out; needs a reference photo",
    key: "id_scale",
  },
  seed: {
    group: "image",
    type: seed,
    default: 42,
    help: "seed of the noise",
    key: "seed",
  },
  numImages: {
    group: "image",
    type: integer(1, 16),
    default: 1,
    help: "images at once",
    key: "num_images",
  },
  width: {
    group: "image",
    type: side(LONGEST_SIDE),
    defaultText: "the model's own",
    help:
      `in pixels, a multiple of the model's factor: 4 in weights/mini, 8 in SD 1.5; from 8 times that to ${LONGEST_SIDE}`,
    key: "width",
  },
  height: {
    group: "image",
    type: side(LONGEST_SIDE),
    defaultText: "the model's own",
    help: "in pixels, by the same rule as the width",
    key: "height",
  },
  rng: {
    group: "image",
    type: choice("torch-cuda", "torch-cpu"),
    default: "torch-cuda",
    help: "whose noise a seed reproduces",
    details: "PyTorch's on a GPU, as the reference, or on a CPU",
    key: "rng",
  },
  cudaThreads: {
    group: "image",
    type: {
      ...integer(0, MAX_CUDA_THREADS, CUDA_BLOCK),
      range: undefined,
      fault: (value) => isCudaThreads(value) ? undefined : CUDA_THREADS_RANGE,
    },
    default: 0,
    defaultText: "enough for all",
    help:
      "threads of the GPU whose noise torch-cuda reproduces: noise of more numbers (4 per 8x8 pixels, all images) differs between GPUs; see Whose noise in README",
    key: "cuda_threads",
  },
  ...sourceOptions,
  dtype: {
    group: "load",
    type: choice("f16", "f32"),
    defaultText: "f16 where the adapter supports it",
    help: "storage type of weights and activations",
    key: "dtype",
  },
  keepLoaded: {
    group: "load",
    type: yesOrNo,
    default: false,
    help: "keep every network on the GPU once it is loaded",
    libraryOnly: true,
  },
  tune: {
    group: "load",
    type: choice("auto", "off", "force"),
    default: "auto",
    help: "time kernels to choose the fastest: once per adapter, never, or now",
    details:
      "measurements are kept in the user's cache folder; `off` gives the same bits every time on one adapter",
    key: "tune",
  },
  output: {
    group: "command",
    type: path("FILE"),
    default: "output.png",
    defaultText: "output.png; several: output-0.png, ...",
    help: ".png or .jpg; - for standard output",
    details:
      "a JPEG has the settings in EXIF's UserComment; each file is written whole or not at all",
  },
  saveReferences: {
    group: "command",
    type: switched,
    default: false,
    help:
      "also write the references as the encoder saw them, beside the output",
    details: "cropped and masked: `output.reference-0.png`, …",
  },
  ...identityOptions,
  ...lessWorkOptions,
  lora: {
    group: "image",
    type: loras,
    defaultText: "none",
    help:
      "a LoRA, by file or by name in the model's folder loras, and its scale; several times",
    details:
      "`style=0.8`, or block by block `style=0.8:1,0,…` with 17 or 26 weights, as in A1111; of any tool that trains them for SD 1.5",
    key: "lora",
    recordOnlyIfGiven: true,
  },
  ...controlTable,
  guessMode: {
    group: "image",
    type: yesOrNo,
    default: false,
    defaultText: "no",
    help:
      "ControlNets see only the prompt's half of guidance, and say less of what is fine, or not",
    details: "lets an image follow them without a prompt, as in diffusers",
    key: "guess_mode",
    recordOnlyIfGiven: true,
  },
  ...passOptions,
  fromImage: {
    group: "command",
    type: path("FILE"),
    help:
      "repeat what made an earlier image: settings, model, adapter, face options; other options override it",
    details:
      "a PNG or JPEG of this command, or one with AUTOMATIC1111's `parameters`; warnings name what differs or is missing",
  },
  json: {
    group: "command",
    type: switched,
    default: false,
    help: "one JSON object on stdout, everything else on stderr",
  },
  quiet: {
    group: "command",
    type: switched,
    default: false,
    help: "no progress; warnings and errors only",
  },
  help: {
    group: "command",
    type: switched,
    default: false,
    alias: "-h",
    help: "this list",
  },
  version: {
    group: "command",
    type: switched,
    default: false,
    help: "the version alone",
  },
};

/** An option with its names. */
export interface NamedOption extends Option {
  /** As the library calls it. */
  readonly name: OptionName;
  /** As the command calls it. */
  readonly flag: string;
}

/** Every option, in the table's order. */
export const options: readonly NamedOption[] = Object.entries(table).map(
  ([name, option]) => ({
    ...option,
    name: name as OptionName,
    flag: flagName(name),
  }),
);

/** An option as it is typed, without the dashes: `guidanceScale` is `guidance-scale`. */
export function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The options of some groups, in the table's order. */
export function optionsOf(...groups: OptionGroup[]): readonly NamedOption[] {
  return options.filter(({ group }) => groups.includes(group));
}
