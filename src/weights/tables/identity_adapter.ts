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
