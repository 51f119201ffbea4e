/**
 * Recognises which network a checkpoint without a config holds, by its tensors'
 * names, or what else it is where it is not supported.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
} from "./checkpoint.ts";
import { ARCHITECTURE } from "./gguf.ts";
import { ggufNames } from "./tables/gguf_names.ts";
import { LORA } from "./tables/harmless.ts";

/** What a single file can hold. */
export type CheckpointContent =
  /** BiSeNet, such as `79999_iter.pth`. */
  | "face_parser"
  /** `id_encoder` and `adapter_modules`, such as `adapter_final.pt`. */
  | "identity_adapter"
  /** A whole Stable Diffusion, in the single-file layout. */
  | "single_file"
  /** Its autoencoder alone, in that layout's names. */
  | "single_file_vae"
  /** A ControlNet, in diffusers' names. */
  | "controlnet"
  /** A ControlNet, in the original code's names. */
  | "ldm_controlnet"
  /** The UNet, in diffusers' names. */
  | "unet"
  /** The autoencoder, in diffusers' names. */
  | "vae"
  /** CLIP's vision tower, alone or with the text tower. */
  | "image_encoder"
  /** CLIP's text tower. */
  | "text_encoder"
  /** The tiny autoencoder, or one half of it. */
  | "taesd"
  /** An upscaler of ESRGAN's kind. */
  | "upscaler";

/** Signs of models that are not supported, the surest first. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^(conditioner\.|add_embedding\.)/, "Stable Diffusion XL"],
  [/^model\.diffusion_model\.label_emb\./, "Stable Diffusion XL"],
  [/^(cond_stage_model\.model\.|depth_model\.)/, "Stable Diffusion 2"],
  [/^(model\.diffusion_model\.)?joint_blocks\./, "Stable Diffusion 3"],
  [/^(model\.diffusion_model\.)?double_blocks\./, "FLUX"],
];

/** Signs of what may also be beside a supported network. */
const BESIDE: readonly (readonly [RegExp, string])[] = [
  [LORA, "a LoRA, which is used as it is, from the folder loras of a model"],
  [/^(image_proj|ip_adapter)\./, "an IP-Adapter"],
  [
    /^(emb_params$|string_to_param\.|clip_[lg]$)/,
    "a textual inversion, which is used as it is, from the folder embeddings of a model",
  ],
  [
    /^body\.\d+\.weight$/,
    "an upscaler of another kind (SRVGGNetCompact); RRDBNet, of ESRGAN and Real-ESRGAN, is supported",
  ],
  [
    /^layers\.\d+\.residual_group\./,
    "an upscaler of another kind (SwinIR or HAT); RRDBNet, of ESRGAN and Real-ESRGAN, is supported",
  ],
  [/^(optimizer_state|exp_avg|state\.\d+\.)/, "an optimizer's state"],
];

/** What a UNet is for, by the input channels of its first convolution. */
const INPUTS: Readonly<Record<number, string>> = {
  5: "a depth-to-image UNet",
  7: "an upscaling UNet",
  8: "a UNet for editing by instruction (InstructPix2Pix)",
  9: "an inpainting UNet",
};

/** A tensor that each supported network has, and no other. */
const SUPPORTED: readonly (readonly [string, CheckpointContent])[] = [
  // The first files of ControlNets also hold the model they were trained with.
  ["control_model.zero_convs.0.0.weight", "ldm_controlnet"],
  ["zero_convs.0.0.weight", "ldm_controlnet"],
  ["controlnet_down_blocks.0.weight", "controlnet"],
  ["cp.resnet.conv1.weight", "face_parser"],
  ["id_encoder.latents", "identity_adapter"],
  ["model.diffusion_model.input_blocks.0.0.weight", "single_file"],
  ["model_ema.diffusion_modelinput_blocks00weight", "single_file"],
  ["first_stage_model.decoder.conv_in.weight", "single_file"],
  ["decoder.up.0.block.0.norm1.weight", "single_file_vae"],
  ["decoder.up_blocks.0.resnets.0.norm1.weight", "vae"],
  ["down_blocks.0.resnets.0.norm1.weight", "unet"],
  // The tiny autoencoder: diffusers' names, its first release's, and its halves'.
  ["decoder.layers.2.conv.0.weight", "taesd"],
  ["encoder.layers.1.conv.0.weight", "taesd"],
  ["decoder.3.conv.0.weight", "taesd"],
  ["encoder.1.conv.0.weight", "taesd"],
  ["3.conv.0.weight", "taesd"],
  // Upscalers: Real-ESRGAN's names, ESRGAN's, and those between.
  ["body.0.rdb1.conv1.weight", "upscaler"],
  ["model.1.sub.0.RDB1.conv1.0.weight", "upscaler"],
  ["RRDB_trunk.0.RDB1.conv1.weight", "upscaler"],
  ["vision_model.embeddings.patch_embedding.weight", "image_encoder"],
  ["text_model.embeddings.token_embedding.weight", "text_encoder"],
];

/** First convolutions, in the three layouts. */
const FIRST_CONVOLUTIONS = [
  "model.diffusion_model.input_blocks.0.0.weight",
  "model_ema.diffusion_modelinput_blocks00weight",
  "control_model.input_blocks.0.0.weight",
  "input_blocks.0.0.weight",
  "conv_in.weight",
];

/** Key projections of cross-attention, which are as wide as the text encoder. */
const TEXT_KEY = /attn2\.to_k\.weight$/;
const TEXT_WIDTHS: Readonly<Record<number, string>> = {
  1024: "Stable Diffusion 2",
  2048: "Stable Diffusion XL",
};

/** Language models and others that share no tensor with Stable Diffusion 1. */
const OTHER_ARCHITECTURE =
  /^(llama|mllama|deci|falcon|grok|gpt|baichuan|starcoder|refact|bert|nomic|neo-?bert|jina|bloom|stablelm|qwen|phi|plamo|codeshell|orion|internlm|minicpm|gemma|starcoder|rwkv|arwkv|mamba|xverse|command|cohere|dbrx|olmo|openelm|arctic|deepseek|chatglm|glm|bitnet|t5|jais|nemotron|exaone|granite|chameleon|wavtokenizer|plm|bailing|dots|ernie|hunyuan|smollm|lfm2|dream|llada|apertus|mistral|mixtral|mpt|kimi|whisper|flux|sdxl|sd3|sd2|aura|wan|ltxv|lumina|hidream|cosmos|hyvid|pixart|chroma|z_?image|anima)/i;

/** What every refusal ends with. */
const EXPECTED = "expected Stable Diffusion 1.5 or a network of it, CLIP " +
  "ViT-L/14, a ControlNet for it, an identity adapter (adapter_final.pt), " +
  "a face parser (79999_iter.pth), TAESD or an upscaler of ESRGAN's kind";

/**
 * Recognises what a checkpoint holds.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` saying what it is instead
 */
export function recognise(checkpoint: Checkpoint): CheckpointContent {
  const { name, tensors } = checkpoint;
  const found = SUPPORTED.find(([tensor]) => tensors.has(tensor))?.[1];
  const other = otherArchitecture(checkpoint, found !== undefined) ??
    whatElse(checkpoint) ??
    (found ? undefined : sign(BESIDE, checkpoint));
  if (other) throw badCheckpoint(name, `it is ${other}; ${EXPECTED}`);
  if (found) return found;
  const first = tensors.keys().next().value;
  throw badCheckpoint(
    name,
    first === undefined
      ? `it holds no tensors; ${EXPECTED}`
      : `its tensors are of no network known here (the first of ${tensors.size} is ${
        brief(first)
      }); ${EXPECTED}`,
  );
}

/** The architecture that a GGUF file names, where it is another one. */
function otherArchitecture(
  { kind, metadata }: Checkpoint,
  isKnown: boolean,
): string | undefined {
  const named = metadata[ARCHITECTURE];
  if (kind !== "gguf" || named === undefined) return;
  // Programs do not agree on a name for Stable Diffusion 1.
  const isOther = OTHER_ARCHITECTURE.test(named) ||
    (!isKnown && !/^(sd|stable|diffusion|clip|unet|vae)/i.test(named));
  return isOther
    ? `a GGUF file of the architecture ${brief(named)}`
    : undefined;
}

/** What the first sign that matches a tensor's name stands for. */
function sign(signs: typeof OTHERS, { tensors }: Checkpoint) {
  const names = [...tensors.keys()];
  return signs.find(([pattern]) => names.some((name) => pattern.test(name)))
    ?.[1];
}

/** What an unsupported checkpoint is; undefined where nothing shows that it is. */
function whatElse(checkpoint: Checkpoint): string | undefined {
  const other = sign(OTHERS, checkpoint);
  if (other) return other;
  const { tensors } = checkpoint;
  const names = [...tensors.keys()];
  for (const name of FIRST_CONVOLUTIONS) {
    const inputs = tensors.get(name)?.shape[1];
    if (inputs !== undefined && Object.hasOwn(INPUTS, inputs)) {
      return `${
        INPUTS[inputs]
      } (its first convolution has ${inputs} input channels, expected 4)`;
    }
  }
  const key = names.find((name) => TEXT_KEY.test(name));
  const width = key === undefined ? undefined : tensors.get(key)!.shape[1];
  if (width !== undefined && Object.hasOwn(TEXT_WIDTHS, width)) {
    return `${TEXT_WIDTHS[width]} (its text is ${width} wide, expected 768)`;
  }
}

/** Prefixes that training programs put before every name of a checkpoint. */
const WRAPPERS = [
  "state_dict.",
  "model_state_dict.",
  // Real-ESRGAN's, of which the running mean is meant to be used.
  "params_ema.",
  "params.",
  "module.",
];

/**
 * Removes what a training program put around the tensors: the entry
 * `state_dict` beside optimizer states and counters, and `module.` before every
 * name.
 *
 * @param checkpoint as it was opened
 * @returns the same where there is nothing to remove
 */
export function unwrapped(checkpoint: Checkpoint): Checkpoint {
  const names = ggufNames(checkpoint);
  if (names) {
    return { ...checkpoint, tensors: renamed(checkpoint.tensors, names) };
  }
  for (const wrapper of WRAPPERS) {
    const inside = [...checkpoint.tensors].filter(([name]) =>
      name.startsWith(wrapper)
    );
    const outside = checkpoint.tensors.size - inside.length;
    if (inside.length === 0 || (wrapper === "module." && outside > 0)) continue;
    return unwrapped({
      ...checkpoint,
      otherValues: checkpoint.otherValues + outside,
      tensors: renamed(inside, (name) => name.slice(wrapper.length)),
    });
  }
  return checkpoint;
}

function renamed(
  tensors: Iterable<readonly [string, CheckpointTensor]>,
  rename: (name: string) => string,
): Map<string, CheckpointTensor> {
  const pairs = Array.from(tensors, ([name, tensor]) => {
    const other = rename(name);
    return [other, { ...tensor, name: other }] as const;
  });
  return new Map(pairs);
}
