/**
 * Decides which tensors of which network are quantised. `weights/FORMAT.md` has
 * the same rules in words.
 *
 * @module
 */
import { BLOCK, type WeaveDtype } from "./dtype.ts";

/** The type a model is converted to; single tensors may be stored finer. */
export type ModelDtype = "f32" | "f16" | "q8" | "q4";

/** All of them, the finest first. */
export const MODEL_DTYPES: readonly ModelDtype[] = ["f32", "f16", "q8", "q4"];

/** How one network is quantised. */
interface ComponentPolicy {
  /** The coarsest type its weights take. */
  readonly coarsest: "f16" | "q8" | "q4";
  /** Weights that stay f16, by the start of their names. */
  readonly keep: readonly string[];
}

/**
 * By network. Kept are the weights at a network's edges: embedding tables, which
 * are looked up and not multiplied, and the layers through which latents, pixels
 * and timesteps enter and leave. Together they are under 1 % of a UNet; a
 * ControlNet leaves by several, which are 3 % of it.
 */
const POLICIES: Readonly<Record<string, ComponentPolicy>> = {
  unet: { coarsest: "q4", keep: ["conv_in", "conv_out", "time_embedding"] },
  controlnet: {
    coarsest: "q4",
    keep: [
      "conv_in",
      "time_embedding",
      "controlnet_cond_embedding",
      "controlnet_down_blocks",
      "controlnet_mid_block",
    ],
  },
  text_encoder: { coarsest: "q4", keep: ["text_model.embeddings"] },
  image_encoder: { coarsest: "q4", keep: ["vision_model.embeddings"] },
  // The resampler is small, and everything known about a face passes through it.
  identity_adapter: { coarsest: "q4", keep: ["id_encoder"] },
  // Its errors are directly visible; no later step corrects them.
  vae: {
    coarsest: "q8",
    keep: [
      "encoder.conv_in",
      "encoder.conv_out",
      "decoder.conv_in",
      "decoder.conv_out",
      "quant_conv",
      "post_quant_conv",
    ],
  },
  // Small, and most of it is computed at conversion, so stored as f32.
  face_parser: { coarsest: "f16", keep: [] },
  // Two small matrices, and what they measure is the effect of quantising others.
  evaluation: { coarsest: "f16", keep: [] },
};

/** Whether a component is a network, whose weights may be stored as any type. */
export function isNetwork(component: string): boolean {
  return Object.hasOwn(POLICIES, component);
}

/** What is known about a tensor when its type is chosen. */
export interface TensorInfo {
  /** Its name. */
  readonly name: string;
  /** Its dimensions as stored: convolutions are (O, kh, kw, I). */
  readonly shape: readonly number[];
  /** Whether its values were computed at conversion, and must stay f32. */
  readonly exact?: boolean;
}

/**
 * The type a tensor is stored as.
 *
 * The weights of linear layers and convolutions are quantised where the input
 * width is a multiple of 32, in the networks listed here. Norms, biases,
 * embeddings, first and last convolutions stay f16.
 *
 * @param component `unet`, …
 * @param wanted the type the model is converted to
 * @example
 * ```ts
 * import { storedDtype } from "./quantisation_policy.ts";
 *
 * const conv = { name: "mid_block.resnets.0.conv1.weight", shape: [640, 3, 3, 640] };
 * console.log(storedDtype("unet", conv, "q4")); // q4
 * console.log(storedDtype("vae", conv, "q4")); // q8
 * console.log(storedDtype("unet", { name: "conv_in.weight", shape: [320, 3, 3, 4] }, "q4")); // f16
 * ```
 */
export function storedDtype(
  component: string,
  { name, shape, exact }: TensorInfo,
  wanted: ModelDtype,
): WeaveDtype {
  if (exact) return "f32";
  if (wanted === "f32" || wanted === "f16") return wanted;
  const policy = isNetwork(component) ? POLICIES[component] : undefined;
  const isProduct = name.endsWith(".weight") &&
    (shape.length === 2 || shape.length === 4) &&
    shape[shape.length - 1] % BLOCK === 0;
  const isKept = policy?.keep.some((path) => name.startsWith(`${path}.`));
  if (!policy || !isProduct || isKept) return "f16";
  return finer(policy.coarsest, wanted);
}

function finer(a: ModelDtype, b: ModelDtype): ModelDtype {
  return MODEL_DTYPES.indexOf(a) < MODEL_DTYPES.indexOf(b) ? a : b;
}
