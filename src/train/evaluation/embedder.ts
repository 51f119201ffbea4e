/**
 * Embeds images and prompts to compare them: CLIP's own two towers with their
 * projections, and the identity head, where the model has them.
 *
 * @module
 */
import { Pauser } from "../../base/pauser.ts";
import { type CallOptions, throwIfAborted } from "../../base/progress.ts";
import type { Components } from "../../components/networks.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { Pace } from "../../gpu/pace.ts";
import { applyMask } from "../../face/parse.ts";
import { Graph } from "../../graph/graph.ts";
import { Network } from "../../graph/network.ts";
import { Tuner } from "../../graph/tuner.ts";
import { clipPreprocess } from "../../image/clip_preprocess.ts";
import { parserGraph } from "../../identity/identity.ts";
import type { Image } from "../../image/image.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  toChannels4,
} from "../../image/normalize.ts";
import { resizeImage } from "../../image/resize.ts";
import { clipText, clipVision, clipVisionPooled } from "../../models/clip.ts";
import {
  embedIdentity,
  type EvaluationConfig,
  meanPatch,
  projectImage,
  projectText,
} from "../../models/evaluation.ts";
import type { ClipTokenizer } from "../../text/tokenizer.ts";
import type { Component } from "../../weights/components.ts";

/** The components of a model that measure images. */
export interface EmbedderComponents
  extends Pick<Components, "text" | "vision" | "parser"> {
  /** The projections and the identity head; some models have none. */
  readonly evaluation?: Component<EvaluationConfig>;
}

/** What an image is compared by. */
export interface ImageEmbedding {
  /** CLIP's image embedding; not where the model lacks the projection. */
  readonly clip?: Float32Array;
  /**
   * Of the face alone, as the identity encoder sees it: the mean patch token of
   * the vision tower's penultimate layer.
   */
  readonly features: Float32Array;
  /** Of the face alone: the identity head's; not where the model lacks it. */
  readonly identity?: Float32Array;
}

/** Embeds images and prompts, in f32. */
export class Embedder implements Disposable {
  readonly #gpu: Gpu;
  readonly #components: EmbedderComponents;
  readonly #tokenizer: ClipTokenizer;
  readonly #parser: Network;
  readonly #image: Network;
  readonly #text: Network;

  /**
   * Checks that the components fit each other; weights are loaded when they are
   * first needed.
   *
   * @param gpu the device
   * @param components of one model
   * @param tokenizer the text tower's
   * @throws {MasterWeaverError} `bad-model` naming what is missing or misshapen
   */
  constructor(
    gpu: Gpu,
    components: EmbedderComponents,
    tokenizer: ClipTokenizer,
  ) {
    imageGraph(components);
    const { evaluation } = components;
    if (evaluation && evaluation.config.textEmbedding > 0) {
      textGraph(components);
    }
    evaluation?.weights.finish();
    this.#gpu = gpu;
    this.#components = components;
    this.#tokenizer = tokenizer;
    const network = () => new Network(gpu, true, new Tuner(gpu, "off"));
    this.#parser = network();
    this.#image = network();
    this.#text = network();
  }

  /** Whether {@linkcode embedText} gives embeddings that images can be compared with. */
  get comparesTexts(): boolean {
    return comparesTexts(this.#components);
  }

  /**
   * Embeds an image: all of it by CLIP, and its face, all else blackened.
   *
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async embedImage(
    image: Image,
    call: Pick<CallOptions, "signal"> = {},
  ): Promise<ImageEmbedding> {
    const { clip } = await this.#embed(image, call);
    const face = await this.#embed(await this.#parse(image, call), call);
    return { ...face, ...clip ? { clip } : {} };
  }

  /** Everything that the image tower gives for an image. */
  #embed(
    image: Image,
    { signal }: Pick<CallOptions, "signal">,
  ): Promise<ImageEmbedding> {
    const { preprocess } = this.#components.vision.config;
    const graph = () => imageGraph(this.#components);
    return this.#image.use(
      { plans: { image: { key: "image", graph } }, signal },
      async ({ image: plan }) => {
        const pauser = new Pauser(signal);
        plan.write("pixels", await clipPreprocess(image, preprocess, pauser));
        await plan.runPaced(new Pace(this.#gpu, () => throwIfAborted(signal)));
        const names = outputsOf(this.#components);
        const read = await plan.read(...names);
        return Object.fromEntries(
          names.map((name) => [name, Float32Array.from(read[name])]),
        ) as unknown as ImageEmbedding;
      },
    );
  }

  /** The face on black, at the face parser's size, as for the identity encoder. */
  #parse(
    image: Image,
    { signal }: Pick<CallOptions, "signal">,
  ): Promise<Image> {
    const { inputSize: side } = this.#components.parser.config;
    const graph = () => parserGraph(this.#components);
    return this.#parser.use(
      { plans: { parse: { key: "parse", graph } }, signal },
      async ({ parse: plan }) => {
        const pauser = new Pauser(signal);
        const face = await resizeImage(image, side, side, "bilinear", pauser);
        plan.write("pixels", toChannels4(face, IMAGENET_MEAN, IMAGENET_STD));
        await plan.runPaced(new Pace(this.#gpu, () => throwIfAborted(signal)));
        const { classes } = await plan.read("classes");
        return applyMask(face, Uint32Array.from(classes));
      },
    );
  }

  /**
   * Embeds a prompt; only where {@linkcode comparesTexts}.
   *
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  embedText(
    prompt: string,
    { signal }: Pick<CallOptions, "signal"> = {},
  ): Promise<Float32Array> {
    const graph = () => textGraph(this.#components);
    return this.#text.use(
      { plans: { text: { key: "text", graph } }, signal },
      async ({ text: plan }) => {
        const { ids } = this.#tokenizer.encode(prompt);
        plan.write("ids", Uint32Array.from(ids));
        await plan.runPaced(new Pace(this.#gpu, () => throwIfAborted(signal)));
        const { clip } = await plan.read("clip");
        const width = clip.length / ids.length;
        // Every prompt ends with an end token, and what follows it is the same.
        const end = ids.indexOf(ids.at(-1)!);
        return Float32Array.from(clip.subarray(end * width, (end + 1) * width));
      },
    );
  }

  /** Frees the networks. */
  [Symbol.dispose](): void {
    this.#parser[Symbol.dispose]();
    this.#image[Symbol.dispose]();
    this.#text[Symbol.dispose]();
  }
}

/**
 * `pixels` (B, S, S, 4), normalised → `features` (B, C), and where the model has
 * them `clip` (B, P) and `identity` (B, I).
 *
 * @param batch images at a time
 */
export function imageGraph(
  { vision, evaluation }: EmbedderComponents,
  batch = 1,
): Graph {
  const g = new Graph("f32");
  const { imageSize } = vision.config;
  const pixels = g.input("pixels", [batch, imageSize, imageSize, 4], "f32");
  const w = vision.weights.at("vision_model");
  const features = clipVision(pixels, w, vision.config);
  const mean = meanPatch(features);
  g.output("features", mean);
  if (!evaluation) return g;
  const { config, weights } = evaluation;
  if (config.imageEmbedding > 0) {
    const pooled = clipVisionPooled(features, w, vision.config);
    g.output("clip", projectImage(pooled, weights, config));
  }
  if (config.identityEmbedding > 0) {
    g.output("identity", embedIdentity(mean, weights, config));
  }
  return g;
}

/**
 * `ids` u32 (B, T) → `clip` (B, T, P): the embedding at every token.
 *
 * @param batch prompts at a time
 */
export function textGraph(
  { text, evaluation }: EmbedderComponents,
  batch = 1,
): Graph {
  const g = new Graph("f32");
  const ids = g.input("ids", [batch, text.config.positions], "u32");
  const hidden = clipText(ids, text.weights.at("text_model"), text.config);
  if (evaluation) {
    g.output(
      "clip",
      projectText(hidden, evaluation.weights, evaluation.config),
    );
  }
  return g;
}

/** Whether a model can compare texts with images: both projections, of one width. */
function comparesTexts({ evaluation }: EmbedderComponents): boolean {
  const { imageEmbedding = 0, textEmbedding = 0 } = evaluation?.config ?? {};
  return textEmbedding > 0 && imageEmbedding === textEmbedding;
}

/** What {@linkcode imageGraph} gives. */
function outputsOf(
  { evaluation }: EmbedderComponents,
): (keyof ImageEmbedding)[] {
  const { imageEmbedding = 0, identityEmbedding = 0 } = evaluation?.config ??
    {};
  return [
    "features",
    ...imageEmbedding > 0 ? ["clip" as const] : [],
    ...identityEmbedding > 0 ? ["identity" as const] : [],
  ];
}
