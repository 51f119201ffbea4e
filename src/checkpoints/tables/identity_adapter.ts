/**
 * The table of the identity adapter: its encoder, and the keys and values it
 * adds to the UNet's text attention.
 *
 * @module
 */
import { idResampler } from "../../models/id_resampler.ts";
import { crossAttentions, crossKeys } from "../../models/unet.ts";
import { WeightScope } from "../../weights/scope.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import { plainRow, type Table } from "./table.ts";
import { unetSizes } from "./unet.ts";

/** What the reference implementation hard-codes for Stable Diffusion 1.5. */
export const STANDARD_ADAPTER_CONFIG = {
  num_tokens: 16,
  depth: 1,
  dim_head: 64,
  heads: 12,
  ff_mult: 4,
  max_references: 3,
  align_faces: true,
} as const;

/** A UNet's stages, in the order in which it registers its modules. */
const STAGES = ["down_blocks", "up_blocks", "mid_block"];

/** Modules of an adapter, in the file's order. */
const ORDER = [
  "id_encoder",
  "latents",
  "proj_in",
  "layers",
  "norm1",
  "norm2",
  "to_q",
  "to_kv",
  "to_out",
  "final_attn",
  "proj_out",
  "norm_out",
  ...STAGES,
  "attentions",
  "resnets",
  "transformer_blocks",
  "attn2",
  "to_k_img",
  "to_v_img",
  "weight",
  "bias",
];

/**
 * The table of an adapter. `adapter_modules` are numbered by the UNet's
 * attention layers; they get the layers' own paths.
 *
 * @param config `adapter_config.json`, complete
 * @param unet diffusers' `unet/config.json` of the model it is for
 * @param imageWidth width of the image encoder's hidden states
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function identityAdapterTable(
  config: CheckpointConfig,
  unet: CheckpointConfig,
  imageWidth: number,
): Table {
  const unetConfig = unetSizes(unet);
  const dim = unetConfig.crossAttentionDim;
  const sizes = {
    tokens: config.size("num_tokens"),
    depth: config.layers("depth"),
    heads: config.size("heads"),
    headWidth: config.size("dim_head"),
    feedForward: config.size("ff_mult"),
    maxReferences: 1,
    alignFaces: false,
  };
  const weights = requestedWeights({
    component: "identity_adapter",
    config,
    order: ORDER,
    build: (g, w) => {
      const features = g.input("features", [1, 1, imageWidth], "f32");
      const identity = idResampler(features, w.at("id_encoder"), sizes, dim);
      const text = g.input("text", [1, 1, dim], "f32");
      // Takes the UNet's own keys and values, which are in the UNet's table.
      const others = WeightScope.recording("unet");
      for (const attention of crossAttentions(unetConfig)) {
        crossKeys(attention, text, others, identity, w);
      }
    },
  });
  const key = checkpointKey(weights.map(({ name }) => name));
  const rows = weights.map((weight) => {
    const { dict, name } = key(weight.name)!;
    return plainRow(weight, [`${dict}.${name}`]);
  });
  return { component: "identity_adapter", rows, dropped: [] };
}

/** Where the reference keeps a tensor. */
export interface CheckpointKey {
  /** `id_encoder` or `adapter_modules`. */
  readonly dict: string;
  /** Its name there. */
  readonly name: string;
}

const IDENTITY_LAYER =
  /^((down_blocks|up_blocks|mid_block)(?:\.(\d+))?\.attentions\.(\d+))\.transformer_blocks\.0\.attn2\.(to_[kv]_img\.weight)$/;

/**
 * The reverse: what the reference calls an adapter's tensors. Every attention
 * layer has an `attn1` before its `attn2`, so the k-th of a UNet, counted from
 * 0, has the position 2 k + 1.
 *
 * @param names all tensors of the adapter
 * @returns gives the key of a name; undefined where no adapter has that name
 */
export function checkpointKey(
  names: readonly string[],
): (name: string) => CheckpointKey | undefined {
  const layers = new Map<string, number[]>();
  for (const name of names) {
    const match = IDENTITY_LAYER.exec(name);
    if (!match) continue;
    const [, path, stage, block = "0", attention] = match;
    layers.set(path, [
      STAGES.indexOf(stage),
      Number(block),
      Number(attention),
    ]);
  }
  const order = [...layers].sort(([, a], [, b]) =>
    a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
  ).map(([path]) => path);
  return (name) => {
    const encoder = "id_encoder";
    if (name.startsWith(`${encoder}.`)) {
      return { dict: encoder, name: name.slice(encoder.length + 1) };
    }
    const match = IDENTITY_LAYER.exec(name);
    if (!match) return;
    const position = 2 * order.indexOf(match[1]) + 1;
    return { dict: "adapter_modules", name: `${position}.${match[5]}` };
  };
}
