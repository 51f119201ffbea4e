/**
 * Photos to an identity: parse the face, look at it with CLIP, resample to
 * tokens.
 *
 * @module
 */
import type { Component } from "./components.ts";
import { applyMask } from "./face/parse.ts";
import type { Gpu, Real } from "./gpu/gpu.ts";
import { Graph } from "./graph/graph.ts";
import { Plan } from "./graph/plan.ts";
import {
  clipPreprocess,
  type ClipPreprocessConfig,
} from "./image/clip_preprocess.ts";
import type { Image } from "./image/image.ts";
import { IMAGENET_MEAN, IMAGENET_STD, toChannels4 } from "./image/normalize.ts";
import { resizeImage } from "./image/resize.ts";
import { bisenet, type FaceParserConfig } from "./models/bisenet.ts";
import { clipVision, type ClipVisionConfig } from "./models/clip.ts";
import { type IdentityConfig, idResampler } from "./models/id_resampler.ts";
import { argmax } from "./ops/outputs.ts";
import type { CallOptions } from "./progress.ts";

/** Who the picture is of; can be kept and used again with the same model. */
export interface Identity {
  /** (maxReferences · tokens, C): the references' tokens, filled up with zeros' */
  readonly tokens: Float32Array;
  /** The same for all-zero references: what guidance leads away from. */
  readonly unconditional: Float32Array;
  /** What the encoder saw, one picture a reference. */
  readonly references: readonly Image[];
}

/** The parts of a model that make an identity. */
export interface IdentityParts {
  /** CLIP's vision tower and how pictures come to it. */
  readonly vision: Component<
    ClipVisionConfig & { readonly preprocess: ClipPreprocessConfig }
  >;
  /** The resampler's weights, among the adapter's. */
  readonly adapter: Component<IdentityConfig>;
  /** BiSeNet. */
  readonly parser: Component<FaceParserConfig>;
  /** Width of the UNet's cross-attention. */
  readonly channels: number;
}

/** Networks that make identities, ready to run. */
export class IdentityEncoder implements Disposable {
  readonly #parts: IdentityParts;
  readonly #encode: Plan;
  readonly #parse: Plan;
  #zeros: Float32Array | null = null;

  private constructor(parts: IdentityParts, encode: Plan, parse: Plan) {
    this.#parts = parts;
    this.#encode = encode;
    this.#parse = parse;
  }

  /** Makes the plans; the parts' weights must be loaded. */
  static async make(
    gpu: Gpu,
    real: Real,
    parts: IdentityParts,
    { onProgress }: CallOptions = {},
  ): Promise<IdentityEncoder> {
    const report = (done: number) =>
      onProgress?.({ stage: "compile", done, total: 2 });
    report(0);
    const encode = await Plan.make(gpu, identityGraph(real, parts), {
      weights: [parts.vision.store, parts.adapter.store],
    });
    try {
      report(1);
      const parse = await Plan.make(gpu, parserGraph(parts), {
        weights: [parts.parser.store],
      });
      report(2);
      return new IdentityEncoder(parts, encode, parse);
    } catch (error) {
      encode[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * What the encoder looks at: the face alone, on black.
   *
   * @param image a face, aligned or as it came
   * @returns as large as the face parser reads
   */
  async parse(image: Image): Promise<Image> {
    const { inputSize } = this.#parts.parser.config;
    const face = resizeImage(image, inputSize, inputSize, "bilinear");
    this.#parse.write("pixels", toChannels4(face, IMAGENET_MEAN, IMAGENET_STD));
    this.#parse.run();
    const { classes } = await this.#parse.read("classes");
    return applyMask(face, Uint32Array.from(classes));
  }

  /** The tokens of references, filled up to the adapter's number of them. */
  async encode(references: readonly Image[]): Promise<Identity> {
    const { adapter, vision } = this.#parts;
    const { maxReferences } = adapter.config;
    const zeros = this.#zeros ??= await this.#tokens(null);
    const parts: Float32Array[] = [];
    for (const reference of references) {
      parts.push(
        await this.#tokens(clipPreprocess(reference, vision.config.preprocess)),
      );
    }
    while (parts.length < maxReferences) parts.push(zeros);
    return {
      tokens: joined(parts),
      unconditional: joined(parts.map(() => zeros)),
      references,
    };
  }

  /** Tokens of one normalised picture (S, S, 4), or of zeros. */
  async #tokens(pixels: Float32Array | null): Promise<Float32Array> {
    const { imageSize } = this.#parts.vision.config;
    this.#encode.write(
      "pixels",
      pixels ?? new Float32Array(imageSize * imageSize * 4),
    );
    this.#encode.run();
    const { tokens } = await this.#encode.read("tokens");
    return Float32Array.from(tokens);
  }

  /** Frees the plans. */
  [Symbol.dispose](): void {
    this.#encode[Symbol.dispose]();
    this.#parse[Symbol.dispose]();
  }
}

/** `pixels` (1, S, S, 4), normalised → `tokens` (1, tokens, C). */
export function identityGraph(
  real: Real,
  { vision, adapter, channels }: IdentityParts,
): Graph {
  const g = new Graph(real);
  const { imageSize } = vision.config;
  const pixels = g.input("pixels", [1, imageSize, imageSize, 4], real);
  const w = vision.weights.at("vision_model");
  const features = clipVision(pixels, w, vision.config);
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
 * `pixels` (1, S, S, 4), normalised → `classes` u32 (1, S, S).
 *
 * Always f32: a mask that decides between two classes wants no rounding.
 */
export function parserGraph({ parser }: IdentityParts): Graph {
  const g = new Graph("f32");
  const { inputSize } = parser.config;
  const pixels = g.input("pixels", [1, inputSize, inputSize, 4], "f32");
  const scores = bisenet(pixels, parser.weights, parser.config);
  g.output("classes", g.apply(argmax, { x: scores }, {}));
  return g;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Float32Array(length);
  let start = 0;
  for (const part of parts) {
    whole.set(part, start);
    start += part.length;
  }
  return whole;
}
