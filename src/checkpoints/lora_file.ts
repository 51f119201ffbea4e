/**
 * LoRA files: written in kohya's and in diffusers' form, and read in either.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { jsonFault, parseJson } from "../weights/json.ts";
import { layerPaths, type LoraLayer, weightName } from "../weights/lora.ts";
import { listed } from "../weights/scope.ts";
import type { WeaveFile } from "../weights/weave.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  readFloats,
} from "./checkpoint.ts";
import {
  diffusersKey,
  kohyaKey,
  type LoraFactor,
  LoraNames,
} from "./lora_names.ts";
import type { SafetensorsContent } from "./safetensors_writer.ts";

/** What a safetensors file is written from. */
export interface LoraContent {
  /** Its tensors. */
  readonly tensors: SafetensorsContent[];
  /** What it says of itself. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The key of diffusers' metadata. */
const ADAPTER_METADATA = "lora_adapter_metadata";

/**
 * A LoRA of a Stable Diffusion 1 UNet as kohya's tools write it, which WebUIs read.
 *
 * @param layers all of one rank and alpha
 */
export function kohyaLora(layers: readonly LoraLayer[]): LoraContent {
  const { rank, alpha } = layers[0];
  const windowed = layers.some(({ shape }) => shape.length > 2 && shape[1] > 1);
  return {
    tensors: layers.flatMap((layer) => [
      ...factorsOf(layer, (factor) => kohyaKey({ path: layer.path, factor })),
      {
        name: kohyaKey({ path: layer.path, factor: "alpha" }),
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

/** Moves the channels of each row of taps to the front, or from there to the end. */
function swapped(
  values: Float32Array,
  rows: number,
  channels: number,
  channelsTo: "first" | "last",
): Float32Array<ArrayBuffer> {
  const moved = new Float32Array(values.length);
  const taps = values.length / rows / channels;
  for (let row = 0; row < rows; row++) {
    const start = row * taps * channels;
    for (let tap = 0; tap < taps; tap++) {
      for (let channel = 0; channel < channels; channel++) {
        const last = start + tap * channels + channel;
        const first = start + channel * taps + tap;
        if (channelsTo === "first") moved[first] = values[last];
        else moved[last] = values[first];
      }
    }
  }
  return moved;
}

/** What {@linkcode readLora} found. */
export interface ReadLora {
  /** The layers of the UNet that it changes. */
  readonly layers: LoraLayer[];
  /** Names of tensors that are not the UNet's, such as the text encoder's. */
  readonly others: string[];
}

/** Names of what belongs to no UNet. */
const OTHER_NETWORK = /^(lora_te\d?_|text_encoder(_\d)?\.)/;

type Factors = Partial<Record<LoraFactor, CheckpointTensor>>;

/**
 * Reads a LoRA of a UNet, in kohya's names or in diffusers'.
 *
 * @param unet the UNet that it is for
 * @throws {MasterWeaverError} `bad-checkpoint` where it is for another UNet, or no LoRA
 */
export async function readLora(
  file: Checkpoint,
  unet: WeaveFile,
): Promise<ReadLora> {
  const names = new LoraNames(layerPaths(unet));
  const found = new Map<string, Factors>();
  const others: string[] = [];
  const unknown: string[] = [];
  for (const [name, tensor] of file.tensors) {
    const key = names.parse(name);
    if (key) {
      const factors = found.get(key.path) ?? {};
      factors[key.factor] = tensor;
      found.set(key.path, factors);
    } else (OTHER_NETWORK.test(name) ? others : unknown).push(name);
  }
  if (unknown.length > 0 || found.size === 0) {
    throw badCheckpoint(
      file.name,
      `it is no LoRA of ${unet.name}: expected two factors of some of its layers, got ${
        listed("other tensors", unknown.map(brief)) || "none"
      }; give one that was made for this model`,
    );
  }
  const defaultAlpha = alphaOf(file);
  const layers: LoraLayer[] = [];
  for (const [path, factors] of found) {
    const { shape } = unet.tensors.get(weightName(path))!;
    layers.push(await readLayer(file.name, path, shape, factors, defaultAlpha));
  }
  return { layers, others };
}

async function readLayer(
  file: string,
  path: string,
  shape: readonly number[],
  { down, up, alpha }: Factors,
  defaultAlpha: number | undefined,
): Promise<LoraLayer> {
  if (!down || !up) {
    throw badCheckpoint(
      file,
      `layer ${path} has no factor ${down ? "up" : "down"}`,
    );
  }
  const [rows, ...rest] = shape;
  const channels = rest.at(-1)!;
  const rank = down.shape[0];
  const wanted = [
    [down, [rank, channels, ...rest.slice(0, -1)]],
    [up, [rows, rank]],
  ] as const;
  for (const [{ name, shape: given }, expected] of wanted) {
    if (rank > 0 && isSame(given, expected)) continue;
    throw badCheckpoint(
      file,
      `tensor ${brief(name)} is (${given.join(", ")}), expected (${
        expected.join(", ")
      }) for a weight of ${rows} outputs; it was made for another model`,
    );
  }
  return {
    path,
    shape,
    rank,
    alpha: alpha ? (await readFloats(alpha))[0] : defaultAlpha ?? rank,
    down: swapped(await readFloats(down), rank, channels, "last"),
    up: await readFloats(up),
  };
}

/** Whether shapes are equal but for axes of length 1 at their ends. */
function isSame(a: readonly number[], b: readonly number[]): boolean {
  const axes = Math.max(a.length, b.length);
  return Array.from({ length: axes }, (_, i) => i)
    .every((i) => (a[i] ?? 1) === (b[i] ?? 1));
}

/** The UNet's alpha by diffusers' metadata. */
function alphaOf({ name, metadata }: Checkpoint): number | undefined {
  const text = metadata[ADAPTER_METADATA];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(new TextEncoder().encode(text));
  } catch (cause) {
    throw badCheckpoint(name, `its ${ADAPTER_METADATA} is ${jsonFault(cause)}`);
  }
  const alpha = Object(value)["unet.lora_alpha"];
  return Number.isFinite(alpha) ? alpha : undefined;
}
