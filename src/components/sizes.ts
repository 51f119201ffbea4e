/**
 * Checks that the sizes in a model's configs fit, within and between components.
 * Building the networks would refuse them, too, but could not name the key.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { ClipPreprocessConfig } from "../image/clip_preprocess.ts";
import type { ClipTextConfig, ClipVisionConfig } from "../models/clip.ts";
import type { RrdbConfig } from "../models/rrdbnet.ts";
import type { TaesdConfig } from "../models/taesd.ts";
import type { UNetConfig } from "../models/unet.ts";
import type { VaeConfig } from "../models/vae.ts";

/** Requires that the groups and heads of a UNet divide its channels. */
export function checkUnetSizes<C extends UNetConfig>(config: C): C {
  const { blockOutChannels, downAttention, upAttention, groups, heads } =
    config;
  const levels = blockOutChannels.length;
  for (
    const [key, { length }] of [
      ["down_block_types", downAttention],
      ["up_block_types", upAttention],
    ] as const
  ) {
    if (length !== levels) {
      throw wrong(
        "unet",
        key,
        `${length} blocks`,
        `as many as ${levels}, its block_out_channels`,
      );
    }
  }
  requireDivides("unet", "norm_num_groups", groups, blockOutChannels);
  requireDivides("unet", "attention_head_dim", heads, [
    ...blockOutChannels.filter((_, i) =>
      downAttention[i] || upAttention[levels - 1 - i]
    ),
    blockOutChannels[levels - 1],
  ]);
  return config;
}

/** Requires that the groups of an autoencoder divide its channels. */
export function checkVaeSizes(config: VaeConfig): VaeConfig {
  requireDivides(
    "vae",
    "norm_num_groups",
    config.groups,
    config.blockOutChannels,
  );
  return config;
}

/** Requires that a tiny autoencoder has a number of blocks for each of its levels. */
export function checkTaesdSizes(config: TaesdConfig): TaesdConfig {
  const levels = config.decoderChannels.length;
  for (
    const [key, { length }] of [
      ["num_decoder_blocks", config.decoderBlocks],
      ["encoder_block_out_channels", config.encoderChannels],
      ["num_encoder_blocks", config.encoderBlocks],
    ] as const
  ) {
    if (length !== levels) {
      throw wrong(
        "taesd",
        key,
        `${length} levels`,
        `as many as ${levels}, its decoder_block_out_channels`,
      );
    }
  }
  return config;
}

/** Most blocks of an upscaler, and most doublings: those known have 23 and 3. */
const MOST_BLOCKS = 64, MOST_DOUBLINGS = 4;

/** Requires that an upscaler is of a size that can be, and enlarges images or keeps their size. */
export function checkUpscalerSizes(config: RrdbConfig): RrdbConfig {
  const { blocks, doublings, unshuffle, scale } = config;
  if (blocks > MOST_BLOCKS) {
    throw wrong("upscaler", "num_block", blocks, `at most ${MOST_BLOCKS}`);
  }
  if (doublings > MOST_DOUBLINGS) {
    throw wrong(
      "upscaler",
      "doublings",
      doublings,
      `at most ${MOST_DOUBLINGS}`,
    );
  }
  if (scale < 1) {
    throw wrong(
      "upscaler",
      "pixel_unshuffle",
      unshuffle,
      `at most ${2 ** doublings}, what its doublings undo`,
    );
  }
  return config;
}

/** Requires that the heads of a text tower divide its channels. */
export function checkTextSizes(config: ClipTextConfig): ClipTextConfig {
  const { heads, hiddenSize } = config;
  requireDivides("text_encoder", "num_attention_heads", heads, [hiddenSize]);
  return config;
}

/** Requires that a vision tower is fed images of its own size, in whole patches. */
export function checkVisionSizes<
  C extends ClipVisionConfig & { readonly preprocess: ClipPreprocessConfig },
>(config: C): C {
  const { heads, hiddenSize, imageSize, patchSize, preprocess } = config;
  const name = "image_encoder";
  requireDivides(name, "num_attention_heads", heads, [hiddenSize]);
  if (imageSize % patchSize !== 0) {
    throw wrong(
      name,
      "patch_size",
      patchSize,
      `a divisor of its image_size, ${imageSize}`,
    );
  }
  if (preprocess.crop !== imageSize) {
    throw wrong(
      name,
      "preprocessor's crop_size",
      preprocess.crop,
      `${imageSize}, its image_size`,
    );
  }
  return config;
}

/** Components of a model whose sizes depend on one another, where present. */
export interface SizedComponents {
  /** CLIP's text tower. */
  readonly text?: { readonly config: ClipTextConfig };
  /** The UNet. */
  readonly unet?: { readonly config: UNetConfig };
  /** The autoencoder. */
  readonly vae?: { readonly config: VaeConfig };
  /** The tiny autoencoder. */
  readonly taesd?: { readonly config: TaesdConfig };
}

/**
 * Requires that components fit each other.
 *
 * @throws {MasterWeaverError} `bad-model` naming both keys
 */
export function checkSizesTogether(
  { text, unet, vae, taesd }: SizedComponents,
): void {
  if (vae && taesd && vae.config.factor !== taesd.config.factor) {
    throw wrong(
      "taesd",
      "decoder_block_out_channels",
      `${taesd.config.decoderChannels.length} levels`,
      `${Math.log2(vae.config.factor) + 1}, as the vae has`,
    );
  }
  if (!unet) return;
  const { crossAttentionDim, channels } = unet.config;
  if (text && text.config.hiddenSize !== crossAttentionDim) {
    throw wrong(
      "text_encoder",
      "hidden_size",
      text.config.hiddenSize,
      `${crossAttentionDim}, the unet's cross_attention_dim`,
    );
  }
  if (vae && vae.config.latentChannels !== channels) {
    throw wrong(
      "vae",
      "latent_channels",
      vae.config.latentChannels,
      `${channels}, the unet's in_channels`,
    );
  }
  if (taesd && taesd.config.latentChannels !== channels) {
    throw wrong(
      "taesd",
      "latent_channels",
      taesd.config.latentChannels,
      `${channels}, the unet's in_channels`,
    );
  }
}

function requireDivides(
  name: string,
  key: string,
  divisor: number,
  numbers: readonly number[],
): void {
  const bad = numbers.find((number) => number % divisor !== 0);
  if (bad !== undefined) {
    throw wrong(name, key, divisor, `a divisor of its ${bad} channels`);
  }
}

function wrong(
  name: string,
  key: string,
  found: number | string,
  expected: string,
): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    `The config of ${name} is not supported: ${key} is ${found}, expected ${expected}`,
  );
}
