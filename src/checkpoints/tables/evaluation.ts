/**
 * The table of what measures images: the projections of a whole CLIP, and the
 * mini model's identity head.
 *
 * @module
 */
import {
  embedIdentity,
  evaluationConfig,
  projectImage,
  projectText,
} from "../../models/evaluation.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import { type Dropped, plainRow, type Table } from "./table.ts";

/** The projections, named as in transformers' `CLIPModel`. */
const IMAGE_PROJECTION = "visual_projection.weight";
const TEXT_PROJECTION = "text_projection.weight";
/** The identity head's names in its own file start without this. */
const HEAD = "id_head.";
/** The identity head's layers, as its own file names them. */
const HEAD_HIDDEN = "0.weight";
const HEAD_OUT = "2.weight";

const ORDER = [
  "visual_projection",
  "text_projection",
  "id_head",
  "weight",
  "bias",
];

/** The towers themselves, which are components of their own. */
const TOWERS: readonly Dropped[] = [{
  names: /^(text_model|vision_model)\./,
  reason: "the towers are components of their own",
}, {
  names: /^logit_scale$/,
  reason: "only for training",
}];

/**
 * The config of a checkpoint's evaluation, from the shapes of its tensors;
 * undefined where it has nothing that measures images.
 *
 * @param checkpoints a CLIP's files and, where there is one, the identity head's
 */
export function evaluationSizes(
  checkpoints: readonly Checkpoint[],
): Record<string, number> | undefined {
  const shape = (name: string): readonly number[] =>
    checkpoints.map(({ tensors }) => tensors.get(name)?.shape)
      .find((found) => found !== undefined) ?? [];
  // Where a network is not there, no tensor has its widths.
  const [hidden = 0, headWidth = 1] = shape(HEAD_HIDDEN);
  const [identity = 0] = shape(HEAD_OUT);
  const [image = 0, imageWidth = headWidth] = shape(IMAGE_PROJECTION);
  const [text = 0, textWidth = 1] = shape(TEXT_PROJECTION);
  if (image + text + identity === 0) return;
  return {
    image_width: imageWidth,
    text_width: textWidth,
    image_projection_dim: image,
    text_projection_dim: text,
    id_head_hidden: hidden,
    id_head_dim: identity,
  };
}

/** Whether a checkpoint holds an identity head. */
export function isIdentityHead({ tensors }: Checkpoint): boolean {
  return tensors.has(HEAD_HIDDEN) && tensors.has(HEAD_OUT);
}

/**
 * The table of what measures images.
 *
 * @param config as {@linkcode evaluationSizes} makes it
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function evaluationTable(config: CheckpointConfig): Table {
  const sizes = evaluationConfig(config.json);
  const weights = requestedWeights({
    component: "evaluation",
    config,
    order: ORDER,
    build: (g, w) => {
      const { imageWidth, textWidth } = sizes;
      const image = g.input("image", [1, imageWidth], "f32");
      const text = g.input("text", [1, 1, textWidth], "f32");
      if (sizes.imageEmbedding > 0) projectImage(image, w, sizes);
      if (sizes.textEmbedding > 0) projectText(text, w, sizes);
      if (sizes.identityEmbedding > 0) embedIdentity(image, w, sizes);
    },
  });
  const rows = weights.map((weight) =>
    plainRow(weight, [
      weight.name.startsWith(HEAD)
        ? weight.name.slice(HEAD.length)
        : weight.name,
    ])
  );
  return { component: "evaluation", rows, dropped: TOWERS };
}
