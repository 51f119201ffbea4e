/**
 * What turns latents into images: the model's own autoencoder, or the tiny one.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { NetworkName } from "../base/progress.ts";
import type { StorageType } from "../gpu/gpu.ts";
import type { Graph } from "../graph/graph.ts";
import type { Network, PlanRecipe } from "../graph/network.ts";
import type { GeneratorContext } from "./context.ts";
import {
  decodeGraph,
  decodeTileGraph,
  tinyDecodeGraph,
  tinyTileGraph,
} from "./graphs/decode.ts";
import type { Handover } from "./handover.ts";
import { type DecodeKey, planKey } from "./plan_key.ts";
import { decodingTiles, type TileRule } from "./tiles.ts";

/** A decoder, as its option names it. */
export type DecoderName = "vae" | "taesd";

/** In tiles always, never, or where the whole does not fit the device. */
export type VaeTiling = "auto" | "on" | "off";

/** What turns latents into images, in one storage type. */
export interface Decoder {
  /** What progress calls it. */
  readonly called: NetworkName;
  /** Its network. */
  readonly network: Network;
  /** Pixels for each of the latents along a side. */
  readonly factor: number;
  /** How large images are cut. */
  readonly tiles: TileRule;
  /** The plan for a whole image: outputs `pixels` and `health`. */
  readonly whole: (size: DecodeSize) => PlanRecipe;
  /** The plan for a tile: outputs `tile` and `health`. */
  readonly tile: (size: DecodeSize) => PlanRecipe;
}

/** Some of the images, to be decoded with one storage type. */
export interface SomeImages {
  /** What decodes them. */
  readonly decoder: Decoder;
  /** Their latents, and the marks of earlier stages. */
  readonly handover: Handover;
  /** Their numbers. */
  readonly images: readonly number[];
  /** Number of denoising steps, for messages. */
  readonly steps: number;
}

/** Rows and columns of latents. */
export type DecodeSize = Pick<DecodeKey, "height" | "width">;

/**
 * A model's decoder.
 *
 * @param type storage of activations and weights
 * @throws {MasterWeaverError} `bad-model` where it has no tiny autoencoder
 */
export function decoderOf(
  context: Pick<GeneratorContext, "storage" | "components" | "networks">,
  type: StorageType,
  name: DecoderName = "vae",
): Decoder {
  const { storage, components, networks } = context;
  const isOwnType = type === storage;
  const { vae, taesd } = components;
  const { factor, sampleSize } = vae.config;
  const key = (size: DecodeSize, tile?: true) =>
    planKey({
      graph: "decode",
      storage: type,
      details: { ...size, tile, ...name === "taesd" && { decoder: name } },
    });
  const decoder = (
    whole: (size: DecodeSize) => Graph,
    tile: (size: DecodeSize) => Graph,
  ): Pick<Decoder, "factor" | "tiles" | "whole" | "tile"> => ({
    factor,
    tiles: decodingTiles(sampleSize, factor),
    whole: (size) => ({ key: key(size), graph: () => whole(size) }),
    tile: (size) => ({ key: key(size, true), graph: () => tile(size) }),
  });
  if (name === "vae") {
    return {
      called: "VAE",
      network: networks[isOwnType ? "decode" : "decodeF32"],
      ...decoder(
        (size) => decodeGraph(type, components, size),
        (size) => decodeTileGraph(type, components, size),
      ),
    };
  }
  if (!taesd) throw withoutTaesd();
  return {
    called: "TAESD",
    network: networks[isOwnType ? "decodeTiny" : "decodeTinyF32"],
    ...decoder(
      (size) => tinyDecodeGraph(type, { taesd }, size),
      (size) => tinyTileGraph(type, { taesd }, size),
    ),
  };
}

/** The error where the tiny autoencoder is asked for and there is none. */
export function withoutTaesd(): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    "The model has no taesd.weave, the tiny autoencoder: convert TAESD into the model's folder, or give its file as taesd",
  );
}
