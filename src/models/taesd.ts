/**
 * The tiny autoencoder (TAESD), which decodes latents to nearly the same image as
 * the model's own autoencoder, in a small part of the time.
 *
 * Source: diffusers' `AutoencoderTiny`.
 *
 * @module
 */
import type { Tensor } from "../graph/graph.ts";
import { map } from "../ops/map.ts";
import type { WeightScope } from "../weights/scope.ts";
import { ConfigReader } from "./config.ts";
import { conv2d } from "./layers.ts";

/** Sizes of the tiny autoencoder, from diffusers' config. */
export interface TaesdConfig {
  /** Channels of each level of the encoder, finest first. */
  readonly encoderChannels: readonly number[];
  /** Residual blocks of each level of the encoder. */
  readonly encoderBlocks: readonly number[];
  /** Channels of each level of the decoder, coarsest first. */
  readonly decoderChannels: readonly number[];
  /** Residual blocks of each level of the decoder. */
  readonly decoderBlocks: readonly number[];
  /** Channels of the latents. */
  readonly latentChannels: number;
  /** Factor by which its latents are multiplied for the UNet: 1, as it was trained on the UNet's own. */
  readonly scalingFactor: number;
  /** Pixels of the image per latent along each side. */
  readonly factor: number;
}

/** Latents are squeezed into this range, softly. */
const RANGE = 3;

/** Reads the config of `taesd`. */
export function taesdConfig(json: unknown): TaesdConfig {
  const config = new ConfigReader(json, "taesd");
  config.only("in_channels", 3);
  config.only("out_channels", 3);
  config.only("act_fn", "relu");
  config.only("upsample_fn", "nearest");
  config.only("upsampling_scaling_factor", 2);
  const decoderChannels = config.integers("decoder_block_out_channels");
  return {
    encoderChannels: config.integers("encoder_block_out_channels"),
    encoderBlocks: config.integers("num_encoder_blocks"),
    decoderChannels,
    decoderBlocks: config.integers("num_decoder_blocks"),
    latentChannels: config.integer("latent_channels", 4),
    scalingFactor: config.positive("scaling_factor", 1),
    factor: 2 ** (decoderChannels.length - 1),
  };
}

/**
 * Latents → an image.
 *
 * @param latents (B, h, w, latent channels), as the UNet has them
 * @returns (B, factor · h, factor · w, 3) in about −1..1
 */
export function taesdDecode(
  latents: Tensor,
  w: WeightScope,
  { decoderChannels, decoderBlocks }: TaesdConfig,
): Tensor {
  const layers = new Layers(w.at("decoder.layers"));
  const last = decoderChannels.length - 1;
  let x = conv2d(squeeze(latents), layers.next(), decoderChannels[0], {
    activation: "relu",
  });
  layers.skip(); // the activation, a layer of its own in PyTorch
  decoderChannels.forEach((channels, level) => {
    for (let i = 0; i < decoderBlocks[level]; i++) {
      x = block(x, layers.next(), channels);
    }
    if (level === last) x = conv2d(x, layers.next(), 3);
    else {
      layers.skip(); // the upsampling
      x = conv2d(x, layers.next(), channels, {
        bias: false,
        upsampleTo: [2 * x.shape[1], 2 * x.shape[2]],
      });
    }
  });
  return x.graph.apply(map, { x }, { scale: 2, offset: -1 });
}

/**
 * An image → its latents, which are no distribution.
 *
 * @param image (B, H, W, 4) in −1..1, the fourth channel zero
 * @returns (B, H / factor, W / factor, latent channels)
 */
export function taesdEncode(
  image: Tensor,
  w: WeightScope,
  { encoderChannels, encoderBlocks, latentChannels }: TaesdConfig,
): Tensor {
  const layers = new Layers(w.at("encoder.layers"));
  const half = { scale: 0.5, offset: 0.5 };
  // The fourth channel's weights are zero, so it stays without effect.
  let x = image.graph.apply(map, { x: image }, half);
  encoderChannels.forEach((channels, level) => {
    x = level === 0
      ? conv2d(x, layers.next(), channels)
      : conv2d(x, layers.next(), channels, { bias: false, stride: 2 });
    for (let i = 0; i < encoderBlocks[level]; i++) {
      x = block(x, layers.next(), channels);
    }
  });
  return conv2d(x, layers.next(), latentChannels);
}

/** The layers of a `torch.nn.Sequential`, which are numbered. */
class Layers {
  readonly #w: WeightScope;
  #index = 0;

  constructor(w: WeightScope) {
    this.#w = w;
  }

  next(): WeightScope {
    return this.#w.at(String(this.#index++));
  }

  /** Passes over a layer without weights. */
  skip(): void {
    this.#index++;
  }
}

/** diffusers' `AutoencoderTinyBlock`: ReLU(x + three convolutions of x). */
function block(x: Tensor, w: WeightScope, channels: number): Tensor {
  const activation = "relu";
  let h = conv2d(x, w.at("conv.0"), channels, { activation });
  h = conv2d(h, w.at("conv.2"), channels, { activation });
  return conv2d(h, w.at("conv.4"), channels, { residual: x, activation });
}

/** 3 · tanh(x / 3), by tanh(z) = 2 · sigmoid(2 · z) − 1. */
function squeeze(x: Tensor): Tensor {
  const g = x.graph;
  const doubled = g.apply(map, { x }, { scale: 2 / RANGE });
  return g.apply(map, { x: doubled }, {
    activation: "sigmoid",
    scale: 2 * RANGE,
    offset: -RANGE,
  });
}
