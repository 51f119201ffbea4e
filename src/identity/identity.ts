/**
 * Encodes faces as an identity: parses the face, runs CLIP's vision tower on it
 * and resamples its features to tokens.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Component } from "../weights/components.ts";
import { applyMask } from "../face/parse.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { cropToSeen, type Fit, fitReference } from "./fit.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import { Graph } from "../graph/graph.ts";
import type { Network } from "../graph/network.ts";
import {
  clipPreprocess,
  type ClipPreprocessConfig,
} from "../image/clip_preprocess.ts";
import type { Image } from "../image/image.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  toChannels4,
} from "../image/normalize.ts";
import { resizeImage } from "../image/resize.ts";
import { bisenet, type FaceParserConfig } from "../models/bisenet.ts";
import { clipVision, type ClipVisionConfig } from "../models/clip.ts";
import { type IdentityConfig, idResampler } from "../models/id_resampler.ts";
import { argmax } from "../ops/argmax.ts";
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import { referenceName } from "./references.ts";

/** Which model made an identity, as hashes in hexadecimal SHA-256. */
export interface IdentityHashes {
  /** Of all files of the model, {@linkcode MasterWeaver.hash}. */
  readonly modelHash: string;
  /** Of the identity adapter's file. */
  readonly adapterHash: string;
}

/** An identity's numbers. */
export interface IdentityTokens {
  /** (maxReferences · tokens, C): the references' tokens, padded with an all-zero reference's. */
  readonly tokens: Float32Array;
  /** The same for all-zero references: the unconditional half of guidance. */
  readonly unconditional: Float32Array;
}

/**
 * Who an image shows. It can be saved and used again with the same model, which
 * means the same files: another adapter, another conversion or a quantised copy
 * gives other numbers.
 */
export interface Identity extends IdentityTokens, IdentityHashes {
  /** The references as the encoder saw them. */
  readonly references: readonly Image[];
}

/** The components of a model that make an identity. */
export interface IdentityComponents {
  /** CLIP's vision tower and its preprocessing. */
  readonly vision: Component<
    ClipVisionConfig & { readonly preprocess: ClipPreprocessConfig }
  >;
  /** The identity adapter, which holds the resampler's weights. */
  readonly adapter: Component<IdentityConfig>;
  /** BiSeNet. */
  readonly parser: Component<FaceParserConfig>;
  /** Width of the UNet's cross-attention. */
  readonly channels: number;
}

/** The networks that make identities. */
export interface IdentityNetworks {
  /** BiSeNet. */
  readonly parser: Network;
  /** CLIP's vision tower and the resampler. */
  readonly encoder: Network;
}

/** How references are encoded. */
export interface EncodeOptions extends CallOptions {
  /** Whether everything but the face is blackened first. */
  readonly parse: boolean;
  /** How references are made square; where not given, as the reference implementation does. */
  readonly fit?: Fit;
}

/** Encodes identities. */
export class IdentityEncoder {
  readonly #gpu: Gpu;
  readonly #storage: StorageType;
  readonly #components: IdentityComponents;
  readonly #networks: IdentityNetworks;
  readonly #hashes: IdentityHashes;
  #zeros: Float32Array | null = null;

  /**
   * Takes the components; weights are loaded when they are first needed.
   *
   * @param gpu the device
   * @param storage storage type of activations and weights
   * @param hashes recorded in every identity
   */
  constructor(
    gpu: Gpu,
    storage: StorageType,
    components: IdentityComponents,
    networks: IdentityNetworks,
    hashes: IdentityHashes,
  ) {
    this.#gpu = gpu;
    this.#storage = storage;
    this.#components = components;
    this.#networks = networks;
    this.#hashes = hashes;
  }

  /**
   * Encodes faces as an identity, padded to the adapter's number of references.
   *
   * @param faces aligned, or as given
   * @throws {MasterWeaverError} `non-finite` naming the network, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async encode(
    faces: readonly Image[],
    options: EncodeOptions,
  ): Promise<Identity> {
    const total = (options.parse ? 2 : 1) * faces.length;
    let done = 0;
    const report = () => {
      throwIfAborted(options.signal);
      options.onProgress?.({ stage: "identity", done: done++, total });
    };
    const pauser = new Pauser(options.signal);
    const { preprocess } = this.#components.vision.config;
    const fit = { ...options, preprocess };
    const square: Image[] = [];
    for (const [i, face] of faces.entries()) {
      square.push(await fitReference(face, referenceName(i), fit, pauser));
    }
    const references = options.parse
      ? await this.#parse(square, report, options, pauser)
      : square;
    const tokens = await this.#tokens(references, report, options, pauser);
    report();
    const seen: Image[] = [];
    for (const reference of references) {
      seen.push(await cropToSeen(reference, preprocess, pauser));
    }
    const { maxReferences } = this.#components.adapter.config;
    const zeros = this.#zeros!;
    while (tokens.length < maxReferences) tokens.push(zeros);
    return {
      tokens: joined(tokens),
      unconditional: joined(tokens.map(() => zeros)),
      references: seen,
      ...this.#hashes,
    };
  }

  /** Paces the GPU's work, and ends it when the call is aborted. */
  #pace({ signal }: EncodeOptions): Pace {
    return new Pace(this.#gpu, () => throwIfAborted(signal));
  }

  /** What the encoder sees: the face alone, on black, at the face parser's input size. */
  #parse(
    faces: readonly Image[],
    report: () => void,
    options: EncodeOptions,
    pauser: Pauser,
  ): Promise<Image[]> {
    const { inputSize, classes: none } = this.#components.parser.config;
    return this.#networks.parser.use({
      plans: {
        parse: { key: "parse", graph: () => parserGraph(this.#components) },
      },
      ...networkProgress("face parser", options),
    }, async ({ parse: plan }) => {
      const parsed: Image[] = [];
      for (const [i, image] of faces.entries()) {
        report();
        const side = inputSize;
        const face = await resizeImage(image, side, side, "bilinear", pauser);
        plan.write("pixels", toChannels4(face, IMAGENET_MEAN, IMAGENET_STD));
        await plan.runPaced(this.#pace(options));
        const { classes } = await plan.read("classes");
        if (classes.includes(none)) {
          throw notFinite("face parser", referenceName(i), "f32");
        }
        parsed.push(applyMask(face, Uint32Array.from(classes)));
      }
      return parsed;
    });
  }

  /** The tokens of each reference; the first time also those of an all-zero one. */
  #tokens(
    references: readonly Image[],
    report: () => void,
    options: EncodeOptions,
    pauser: Pauser,
  ): Promise<Float32Array[]> {
    const { imageSize, preprocess } = this.#components.vision.config;
    return this.#networks.encoder.use({
      plans: {
        encode: {
          key: "encode",
          graph: () => identityGraph(this.#storage, this.#components),
        },
      },
      ...networkProgress("image encoder", options),
    }, async ({ encode: plan }) => {
      const encode = async (pixels: Float32Array, name: string) => {
        plan.write("pixels", pixels);
        await plan.runPaced(this.#pace(options));
        const { tokens } = await plan.read("tokens");
        if (allFinite(tokens)) return Float32Array.from(tokens);
        const { features } = await plan.read("features");
        const first = allFinite(features)
          ? "identity adapter"
          : "image encoder";
        throw notFinite(first, name, this.#storage);
      };
      const encoded: Float32Array[] = [];
      for (const [i, reference] of references.entries()) {
        report();
        const pixels = await clipPreprocess(reference, preprocess, pauser);
        encoded.push(await encode(pixels, referenceName(i)));
      }
      this.#zeros ??= await encode(
        new Float32Array(imageSize * imageSize * 4),
        "The empty reference",
      );
      return encoded;
    });
  }
}

/**
 * `pixels` (1, S, S, 4), normalised → `tokens` (1, tokens, C), and `features`
 * (1, patches + 1, F), which show in which network numbers went wrong.
 */
export function identityGraph(
  storage: StorageType,
  { vision, adapter, channels }: IdentityComponents,
): Graph {
  const g = new Graph(storage);
  const { imageSize } = vision.config;
  const pixels = g.input("pixels", [1, imageSize, imageSize, 4], storage);
  const w = vision.weights.at("vision_model");
  const features = clipVision(pixels, w, vision.config);
  g.output("features", features);
  g.output(
    "tokens",
    idResampler(
      features,
      adapter.weights.at("id_encoder"),
      adapter.config,
      channels,
    ),
  );
  return g;
}

/**
 * `pixels` (1, S, S, 4), normalised → `classes` u32 (1, S, S), 0..classes − 1,
 * or the number of classes where scores are not finite.
 *
 * Always f32: rounding could move a pixel from one class to another.
 */
export function parserGraph(
  { parser }: Pick<IdentityComponents, "parser">,
): Graph {
  const g = new Graph("f32");
  const { inputSize } = parser.config;
  const pixels = g.input("pixels", [1, inputSize, inputSize, 4], "f32");
  const scores = bisenet(pixels, parser.weights, parser.config);
  g.output("classes", g.apply(argmax, { x: scores }, {}));
  return g;
}

function allFinite(values: Float32Array | Uint32Array): boolean {
  return values.every(Number.isFinite);
}

/** The error of values that are not finite, and the first network that gave them. */
function notFinite(
  network: string,
  name: string,
  storage: StorageType,
): MasterWeaverError {
  const advice = storage === "f16"
    ? 'load the model with dtype: "f32"; if that does not help, convert it again from a sound checkpoint'
    : "its weights are damaged or too large: convert the model again from a sound checkpoint";
  return new MasterWeaverError(
    "non-finite",
    `${name}: the ${network} gave numbers that are not finite; ${advice}`,
  );
}

function joined(lists: readonly Float32Array[]): Float32Array {
  const length = lists.reduce((sum, list) => sum + list.length, 0);
  const whole = new Float32Array(length);
  let start = 0;
  for (const list of lists) {
    whole.set(list, start);
    start += list.length;
  }
  return whole;
}
