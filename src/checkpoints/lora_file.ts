/**
 * LoRA files as they are written: in kohya's form and in diffusers'.
 *
 * @module
 */
import type { LoraLayer } from "../weights/lora.ts";
import { swapped } from "./lora_layout.ts";
import { diffusersKey, kohyaKey, type LoraNetwork } from "./lora_names.ts";
import type { SafetensorsContent } from "./safetensors_writer.ts";

/** What a safetensors file is written from. */
export interface LoraContent {
  /** Its tensors. */
  readonly tensors: SafetensorsContent[];
  /** What it says of itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The key of diffusers' metadata. */
export const ADAPTER_METADATA = "lora_adapter_metadata";

/**
 * A LoRA of Stable Diffusion 1 as kohya's tools write it, which WebUIs read.
 *
 * @param layers all of one rank and alpha
 * @param network whose layers they are
 */
export function kohyaLora(
  layers: readonly LoraLayer[],
  network: LoraNetwork = "unet",
): LoraContent {
  const { rank, alpha } = layers[0];
  const windowed = layers.some(({ shape }) => shape.length > 2 && shape[1] > 1);
  return {
    tensors: layers.flatMap((layer) => [
      ...factorsOf(
        layer,
        (factor) => kohyaKey({ path: layer.path, factor, network }),
      ),
      {
        name: kohyaKey({ path: layer.path, factor: "alpha", network }),
        shape: [],
        floats: () => [Float32Array.of(alpha)],
      },
    ]),
    metadata: {
      format: "pt",
      ss_base_model_version: "sd_v1",
      ss_network_module: "networks.lora",
      ss_network_dim: String(rank),
      ss_network_alpha: String(alpha),
      // Convolutions with a window have a rank of their own there.
      ...windowed && {
        ss_network_args: JSON.stringify({
          conv_dim: String(rank),
          conv_alpha: String(alpha),
        }),
      },
      ss_v2: "False",
      "modelspec.architecture": "stable-diffusion-v1/lora",
    },
  };
}

/**
 * A LoRA of a UNet as diffusers writes `pytorch_lora_weights.safetensors`.
 *
 * @param layers all of one rank and alpha
 */
export function diffusersLora(layers: readonly LoraLayer[]): LoraContent {
  const { rank, alpha } = layers[0];
  return {
    tensors: layers.flatMap((layer) =>
      factorsOf(layer, (factor) => diffusersKey({ path: layer.path, factor }))
    ),
    metadata: {
      format: "pt",
      // The only place that has alpha: peft's config of the UNet.
      [ADAPTER_METADATA]: JSON.stringify({
        "unet.r": rank,
        "unet.lora_alpha": alpha,
        "unet.target_modules": layers.map(({ path }) => path),
      }),
    },
  };
}

function factorsOf(
  { shape, rank, down, up }: LoraLayer,
  name: (factor: "down" | "up") => string,
): SafetensorsContent[] {
  const [rows, ...rest] = shape;
  const isConv = rest.length > 1;
  const inner = isConv ? [rest.at(-1)!, ...rest.slice(0, -1)] : rest;
  return [
    {
      name: name("down"),
      shape: [rank, ...inner],
      floats: () => [swapped(down, rank, rest.at(-1)!, "first")],
    },
    {
      name: name("up"),
      shape: isConv ? [rows, rank, 1, 1] : [rows, rank],
      floats: () => [Float32Array.from(up)],
    },
  ];
}
