/**
 * The tables of CLIP's two towers, in transformers' names.
 *
 * @module
 */
import {
  clipText,
  type ClipTowerConfig,
  clipVision,
} from "../../models/clip.ts";
import { layerNorm } from "../../models/layers.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import { type Dropped, plainRow, type Table } from "./table.ts";

/** transformers' defaults for what a text tower's config leaves out. */
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

/** transformers' defaults for what a vision tower's config leaves out. */
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

/** Modules of both towers, in the order they run. */
const ORDER = [
  "text_model",
  "vision_model",
  "embeddings",
  "token_embedding",
  "class_embedding",
  "patch_embedding",
  "position_embedding",
  // The checkpoint's own spelling.
  "pre_layrnorm",
  "encoder",
  "layers",
  "layer_norm1",
  "self_attn",
  "q_proj",
  "k_proj",
  "v_proj",
  "out_proj",
  "layer_norm2",
  "mlp",
  "fc1",
  "fc2",
  "final_layer_norm",
  "post_layernorm",
  "weight",
  "bias",
];

/**
 * The table of the text tower.
 *
 * @param config the text model's config, or `text_config` of a whole CLIP, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function textEncoderTable(config: CheckpointConfig): Table {
  const sizes = {
    ...towerSizes(config),
    vocabularySize: config.size("vocab_size"),
    positions: config.size("max_position_embeddings"),
  };
  const weights = requestedWeights({
    component: "text_encoder",
    config,
    order: ORDER,
    build: (g, w) => {
      const ids = g.input("ids", [1, sizes.positions], "u32");
      clipText(ids, w.at("text_model"), sizes);
    },
  });
  const rows = weights.map((weight) => plainRow(weight));
  const dropped = [POSITION_IDS, ...otherTower("vision_model", "image")];
  return { component: "text_encoder", rows, dropped };
}

/**
 * The table of the vision tower, of a whole CLIP or alone: all of its layers,
 * although only the penultimate one's output is used here.
 *
 * @param config `vision_config`, complete
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function imageEncoderTable(config: CheckpointConfig): Table {
  const tower = towerSizes(config);
  const patchSize = config.size("patch_size");
  const side = Math.floor(config.size("image_size") / patchSize);
  const sizes = { ...tower, patchSize, imageSize: side * patchSize };
  const model = "vision_model";
  const weights = requestedWeights({
    component: "image_encoder",
    config,
    order: ORDER,
    overImages: [`${model}.embeddings.patch_embedding`],
    build: (g, w) => {
      const { imageSize } = sizes;
      const pixels = g.input("pixels", [1, imageSize, imageSize, 4], "f32");
      // The graph stops before its last layer: one more asks for all of them.
      const x = clipVision(pixels, w.at(model), {
        ...sizes,
        layers: sizes.layers + 1,
      });
      layerNorm(x, w.at(model).at("post_layernorm"), sizes.eps);
    },
  });
  const rows = weights.map((weight) => plainRow(weight));
  const dropped = [POSITION_IDS, ...otherTower("text_model", "text")];
  return { component: "image_encoder", rows, dropped };
}

/** The sizes that decide the shapes of a tower's weights. */
function towerSizes(config: CheckpointConfig): ClipTowerConfig {
  return {
    hiddenSize: config.size("hidden_size"),
    intermediateSize: config.size("intermediate_size"),
    layers: config.layers("num_hidden_layers"),
    heads: 1,
    activation: "quick_gelu",
    eps: 1e-5,
  };
}

function otherTower(tower: string, kind: string): Dropped[] {
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
