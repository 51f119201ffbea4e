/**
 * The table of the identity adapter: its encoder, and the keys and values it
 * adds to the UNet's text attention.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import { type Table, TableRows } from "./table.ts";
import { attentionLayers } from "./unet.ts";

/** What the reference writes into its code, for Stable Diffusion 1.5. */
export const STANDARD_ADAPTER_CONFIG = {
  num_tokens: 16,
  depth: 1,
  dim_head: 64,
  heads: 12,
  ff_mult: 4,
  max_references: 3,
  align_faces: true,
} as const;

/**
 * The table of an adapter. `adapter_modules` are numbered by the UNet's
 * attention layers; they get the layers' own paths.
 *
 * @param config `adapter_config.json`, complete
 * @param unet diffusers' `unet/config.json` of the model it is for
 * @param imageWidth width of the image encoder's states
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function identityAdapterTable(
  config: CheckpointConfig,
  unet: CheckpointConfig,
  imageWidth: number,
): Table {
  const t = new TableRows();
  const dim = unet.size("cross_attention_dim");
  const inner = config.size("heads") * config.size("dim_head");
  const path = "id_encoder";
  t.tensor(`${path}.latents`, [1, config.size("num_tokens"), dim]);
  t.linear(`${path}.proj_in`, dim, imageWidth);
  for (let i = 0; i < config.layers("depth"); i++) {
    attention(t, `${path}.layers.${i}.0`, dim, inner);
    const wide = config.size("ff_mult") * dim;
    t.norm(`${path}.layers.${i}.1.0`, dim);
    t.linear(`${path}.layers.${i}.1.1`, wide, dim, false);
    t.linear(`${path}.layers.${i}.1.3`, dim, wide, false);
  }
  attention(t, `${path}.final_attn`, dim, inner);
  t.linear(`${path}.proj_out`, dim, dim);
  t.norm(`${path}.norm_out`, dim);
  for (const [i, layer] of attentionLayers(unet).entries()) {
    if (!layer.path.endsWith(".attn2")) continue;
    for (const name of ["to_k_img.weight", "to_v_img.weight"]) {
      t.tensor(`${layer.path}.${name}`, [layer.channels, dim], [
        `adapter_modules.${i}.${name}`,
      ]);
    }
  }
  return { component: "identity_adapter", rows: t.rows, dropped: [] };
}

function attention(
  t: TableRows,
  path: string,
  dim: number,
  inner: number,
): void {
  t.norm(`${path}.norm1`, dim);
  t.norm(`${path}.norm2`, dim);
  t.linear(`${path}.to_q`, inner, dim, false);
  t.linear(`${path}.to_kv`, 2 * inner, dim, false);
  t.linear(`${path}.to_out`, dim, inner, false);
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
/** In the order in which a UNet registers its modules. */
const STAGES = ["down_blocks", "up_blocks", "mid_block"];

/**
 * The way back: what the reference calls an adapter's tensors. Every attention
 * layer has an `attn1` before its `attn2`, so the k-th of a UNet, counted from
 * 0, has the position 2 k + 1.
 *
 * @param names all tensors of the adapter
 * @returns gives the key of a name, or nothing where it is none of an adapter
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
