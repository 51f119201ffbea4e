/**
 * The tables of CLIP's two towers, in transformers' names.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import { type Dropped, type Table, TableRows } from "./table.ts";

/** What transformers assumes of a text tower where its config is silent. */
export const STANDARD_TEXT_CONFIG = {
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
} as const;

/** What transformers assumes of a vision tower where its config is silent. */
export const STANDARD_VISION_CONFIG = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  image_size: 224,
  patch_size: 32,
  hidden_act: "quick_gelu",
  layer_norm_eps: 1e-5,
} as const;

const POSITION_IDS: Dropped = {
  names: /\.position_ids$/,
  reason: "the numbers 0, 1, 2, … in order",
};

/**
 * The table of the text tower.
 *
 * @param config the text model's config, or `text_config` of a whole CLIP, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function textEncoderTable(config: CheckpointConfig): Table {
  const t = new TableRows();
  const size = config.size("hidden_size");
  const embeddings = "text_model.embeddings";
  t.tensor(`${embeddings}.token_embedding.weight`, [
    config.size("vocab_size"),
    size,
  ]);
  t.tensor(`${embeddings}.position_embedding.weight`, [
    config.size("max_position_embeddings"),
    size,
  ]);
  layers(t, "text_model.encoder", config);
  t.norm("text_model.final_layer_norm", size);
  const dropped = [POSITION_IDS, ...otherParts("vision_model", "image")];
  return { component: "text_encoder", rows: t.rows, dropped };
}

/**
 * The table of the vision tower, of a whole CLIP or alone.
 *
 * @param config `vision_config`, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function imageEncoderTable(config: CheckpointConfig): Table {
  const t = new TableRows();
  const size = config.size("hidden_size");
  const patch = config.size("patch_size");
  const side = Math.floor(config.size("image_size") / patch);
  const embeddings = "vision_model.embeddings";
  t.tensor(`${embeddings}.class_embedding`, [size]);
  t.tensor(`${embeddings}.patch_embedding.weight`, [size, 3, patch, patch]);
  t.tensor(`${embeddings}.position_embedding.weight`, [side ** 2 + 1, size]);
  // Spelt so in the checkpoint.
  t.norm("vision_model.pre_layrnorm", size);
  layers(t, "vision_model.encoder", config);
  t.norm("vision_model.post_layernorm", size);
  const dropped = [POSITION_IDS, ...otherParts("text_model", "text")];
  return { component: "image_encoder", rows: t.rows, dropped };
}

function layers(t: TableRows, path: string, config: CheckpointConfig): void {
  const size = config.size("hidden_size");
  const inner = config.size("intermediate_size");
  for (let i = 0; i < config.layers("num_hidden_layers"); i++) {
    const layer = `${path}.layers.${i}`;
    t.norm(`${layer}.layer_norm1`, size);
    for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
      t.linear(`${layer}.self_attn.${name}`, size, size);
    }
    t.norm(`${layer}.layer_norm2`, size);
    t.linear(`${layer}.mlp.fc1`, inner, size);
    t.linear(`${layer}.mlp.fc2`, size, inner);
  }
}

function otherParts(tower: string, kind: string): Dropped[] {
  return [
    {
      names: new RegExp(`^${tower}\\.`),
      reason: `the ${kind} tower is not used here`,
    },
    {
      names:
        /^(logit_scale|text_projection\.weight|visual_projection\.weight)$/,
      reason: "only for comparing texts with images",
    },
  ];
}
