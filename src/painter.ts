/**
 * Text, identity and noise to pictures: the denoising loop and the decoder.
 *
 * @module
 */
import type { Component } from "./components.ts";
import {
  type DdimConfig,
  ddimSchedule,
  ddimStepCoefficients,
} from "./diffusion/ddim.ts";
import { torchCpuNormal, torchCudaNormal } from "./diffusion/noise.ts";
import type { Gpu, Real } from "./gpu/gpu.ts";
import { Graph, type Tensor } from "./graph/graph.ts";
import { type GpuTensor, Plan } from "./graph/plan.ts";
import type { Identity } from "./identity.ts";
import type { Image } from "./image/image.ts";
import { clipText, type ClipTextConfig } from "./models/clip.ts";
import type { IdentityConfig } from "./models/id_resampler.ts";
import {
  crossAttentions,
  type CrossKeys,
  crossKeys,
  unet,
  type UNetConfig,
} from "./models/unet.ts";
import { type VaeConfig, vaeDecode } from "./models/vae.ts";
import { ddimStep, guidance } from "./ops/diffusion.ts";
import { map } from "./ops/elementwise.ts";
import { imageOutput } from "./ops/outputs.ts";
import { elementCount } from "./ops/op.ts";
import { view } from "./ops/views.ts";
import type { Settings } from "./options.ts";
import { type CallOptions, throwIfAborted } from "./progress.ts";

/** The parts of a model that paint. */
export interface PainterParts {
  /** CLIP's text tower. */
  readonly text: Component<ClipTextConfig>;
  /** The UNet and its noise schedule. */
  readonly unet: Component<UNetConfig & { readonly scheduler: DdimConfig }>;
  /** The identity's keys and values, among the adapter's weights. */
  readonly adapter: Component<IdentityConfig>;
  /** The autoencoder. */
  readonly vae: Component<VaeConfig>;
}

/** What decides the shapes of the plans. */
export interface Layout {
  /** Pictures at once. */
  readonly images: number;
  /** Rows of the latents. */
  readonly height: number;
  /** Columns of the latents. */
  readonly width: number;
  /** Whether both halves of guidance are computed. */
  readonly guided: boolean;
}

/** Token ids of a prompt and of the negative prompt, each (T). */
export interface PromptIds {
  /** What the picture shows. */
  readonly prompt: Int32Array;
  /** What it should not show. */
  readonly negative: Int32Array;
}

/** Steps are queued for about this long before the GPU is waited for. */
const QUEUE_MILLISECONDS = 250;

/** Plans for pictures of one layout, ready to run. */
export class Painter implements Disposable {
  readonly #gpu: Gpu;
  readonly #parts: PainterParts;
  /** What its plans are made for. */
  readonly layout: Layout;
  /** Text and identity to keys and values. */
  readonly condition: Plan;
  /** One denoising step. */
  readonly step: Plan;
  /** Latents of one picture to its pixels. */
  readonly decode: Plan;

  private constructor(
    gpu: Gpu,
    parts: PainterParts,
    layout: Layout,
    plans: readonly [Plan, Plan, Plan],
  ) {
    this.#gpu = gpu;
    this.#parts = parts;
    this.layout = layout;
    [this.condition, this.step, this.decode] = plans;
  }

  /** Makes the plans; the parts' weights must be loaded. */
  static async make(
    gpu: Gpu,
    real: Real,
    parts: PainterParts,
    layout: Layout,
    { onProgress }: CallOptions = {},
  ): Promise<Painter> {
    const made: Plan[] = [];
    const report = () =>
      onProgress?.({ stage: "compile", done: made.length, total: 3 });
    const make = async (...args: Parameters<typeof Plan.make>) => {
      made.push(await Plan.make(...args));
      report();
      return made.at(-1)!;
    };
    report();
    try {
      const condition = await make(gpu, conditionGraph(real, parts, layout), {
        weights: [parts.text.store, parts.unet.store, parts.adapter.store],
      });
      const keys: Record<string, GpuTensor> = {};
      for (const { path } of crossAttentions(parts.unet.config)) {
        for (const name of [`${path}.k`, `${path}.v`]) {
          keys[name] = condition.tensor(name);
        }
      }
      const step = await make(gpu, stepGraph(real, parts, layout), {
        weights: [parts.unet.store],
        bindings: keys,
      });
      const decode = await make(gpu, decodeGraph(real, parts, layout), {
        weights: [parts.vae.store],
      });
      return new Painter(gpu, parts, layout, [condition, step, decode]);
    } catch (error) {
      for (const plan of made) plan[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Paints.
   *
   * @returns one picture for each of the layout's images
   * @throws {MasterWeaverError} `aborted`, `device-lost`, `gpu`
   */
  async paint(
    ids: PromptIds,
    identity: Identity,
    settings: Settings,
    options: CallOptions,
  ): Promise<Image[]> {
    this.#condition(ids, identity, settings);
    this.#start(settings);
    await this.#denoise(settings.steps, options);
    return await this.#decode(options);
  }

  /** Text and identity, unconditional half first. */
  #condition(ids: PromptIds, identity: Identity, settings: Settings): void {
    const { guided } = this.layout;
    const halves = guided
      ? [ids.negative, ids.prompt].map((half) => [...half]).flat()
      : [...ids.prompt];
    this.condition.write("ids", Uint32Array.from(halves));
    const tokens = new Float32Array(
      (guided ? 2 : 1) * identity.tokens.length,
    );
    if (guided) tokens.set(identity.unconditional);
    tokens.set(identity.tokens, tokens.length - identity.tokens.length);
    this.condition.write("identity", tokens);
    this.condition.run();
    this.step.write("identity_scale", Float32Array.of(settings.idScale));
    if (guided) {
      this.step.write(
        "guidance_scale",
        Float32Array.of(settings.guidanceScale),
      );
    }
  }

  /** Noise as PyTorch draws it, (B, C, H, W), to (B, H, W, C). */
  #start({ seed, rng }: Settings): void {
    const { images, height, width } = this.layout;
    const { channels } = this.#parts.unet.config;
    const pixels = height * width;
    const draw = rng === "torch-cpu" ? torchCpuNormal : torchCudaNormal;
    const noise = draw(seed, images * channels * pixels);
    const latents = new Float32Array(noise.length);
    for (let b = 0; b < images; b++) {
      for (let c = 0; c < channels; c++) {
        const plane = (b * channels + c) * pixels;
        for (let i = 0; i < pixels; i++) {
          latents[(b * pixels + i) * channels + c] = noise[plane + i];
        }
      }
    }
    this.step.write("latents", latents);
  }

  /**
   * The loop: writes two small inputs and replays the step's dispatches.
   *
   * Steps are queued ahead as long as the queue stays short in time, so that
   * waiting costs little and a stop is heard soon.
   */
  async #denoise(
    steps: number,
    { onProgress, signal }: CallOptions,
  ): Promise<void> {
    const { scheduler } = this.#parts.unet.config;
    const { timesteps, coefficients } = ddimSchedule(scheduler, steps);
    const batch = elementCount(this.step.tensor("t").spec.shape);
    const t = new Float32Array(batch);
    const factors = new Float32Array(2);
    onProgress?.({ stage: "denoise", done: 0, total: steps });
    let queued = 0;
    let ahead = 1;
    let since = performance.now();
    for (let i = 0; i < steps; i++) {
      throwIfAborted(signal);
      t.fill(timesteps[i]);
      const { sample, eps } = ddimStepCoefficients(coefficients[i]);
      factors[0] = sample;
      factors[1] = eps;
      this.step.write("t", t);
      this.step.write("coefficients", factors);
      this.step.run();
      queued++;
      if (queued >= ahead || i === steps - 1) {
        await this.#gpu.idle();
        const now = performance.now();
        ahead = Math.max(
          1,
          Math.floor(QUEUE_MILLISECONDS * queued / (now - since)),
        );
        since = now;
        queued = 0;
        onProgress?.({ stage: "denoise", done: i + 1, total: steps });
      }
    }
  }

  /** One picture after the other, each read back when it is done. */
  async #decode({ onProgress, signal }: CallOptions): Promise<Image[]> {
    const { images } = this.layout;
    const { slice } = this.step.tensor("latents");
    const bytes = slice.size / images;
    const { spec } = this.decode.tensor("pixels");
    const [, height, width] = spec.shape;
    const pictures: Image[] = [];
    onProgress?.({ stage: "decode", done: 0, total: images });
    for (let i = 0; i < images; i++) {
      throwIfAborted(signal);
      this.decode.copy("latents", {
        buffer: slice.buffer,
        offset: slice.offset + i * bytes,
        size: bytes,
      });
      this.decode.run();
      const { pixels } = await this.decode.read("pixels");
      const data = new Uint8ClampedArray(pixels.buffer);
      pictures.push({ width, height, data });
      onProgress?.({ stage: "decode", done: i + 1, total: images });
    }
    return pictures;
  }

  /** Frees the plans. */
  [Symbol.dispose](): void {
    for (const plan of [this.condition, this.step, this.decode]) {
      plan[Symbol.dispose]();
    }
  }
}

/**
 * `ids` u32 (B, T) and `identity` (B, S, C), B the halves of guidance, to
 * `….attn2.k` and `….attn2.v` of every cross-attention, one for every picture.
 */
export function conditionGraph(
  real: Real,
  { text, unet: component, adapter }: PainterParts,
  { images, guided }: Layout,
): Graph {
  const g = new Graph(real);
  const halves = guided ? 2 : 1;
  const { tokens, maxReferences } = adapter.config;
  const { crossAttentionDim } = component.config;
  const ids = g.input("ids", [halves, text.config.positions], "u32");
  const identity = g.input(
    "identity",
    [halves, maxReferences * tokens, crossAttentionDim],
    real,
  );
  const embedding = clipText(ids, text.weights.at("text_model"), text.config);
  g.name("text", embedding);
  for (const attention of crossAttentions(component.config)) {
    const { k, v } = crossKeys(
      attention,
      embedding,
      component.weights,
      identity,
      adapter.weights,
    );
    g.output(`${attention.path}.k`, repeatEach(k, images));
    g.output(`${attention.path}.v`, repeatEach(v, images));
  }
  return g;
}

/** Each of B tensors `times` times, one after the other: (B · times, T, C). */
function repeatEach(x: Tensor, times: number): Tensor {
  if (times === 1) return x;
  const [batch, tokens, channels] = x.shape;
  const one = tokens * channels;
  return x.graph.apply(view, { x }, {
    shape: [batch, times, one],
    strides: [one, 0, 1],
  }).reshape(batch * times, tokens, channels);
}

/** One step: `latents` f32 (B, h, w, C) becomes less noisy, in place. */
export function stepGraph(
  real: Real,
  { text, unet: component, adapter }: PainterParts,
  { images, height, width, guided }: Layout,
): Graph {
  const g = new Graph(real);
  const { channels } = component.config;
  const halves = guided ? 2 : 1;
  const batch = halves * images;
  const shape = [images, height, width, channels];
  const latents = g.input("latents", shape, "f32");
  const textKeys = text.config.positions;
  const keys = textKeys +
    adapter.config.maxReferences * adapter.config.tokens;

  // The same latents for both halves of guidance.
  const sample = g.apply(view, { x: latents }, {
    shape: [halves, elementCount(shape)],
    strides: [0, 1],
    dtype: real,
  }).reshape(batch, height, width, channels);
  const cross = (path: string, width: number): CrossKeys => ({
    k: g.input(`${path}.k`, [batch, keys, width], real),
    v: g.input(`${path}.v`, [batch, keys, width], real),
    textKeys,
  });
  const predicted = unet(
    {
      sample,
      t: g.input("t", [batch], "f32"),
      cross: ({ path, channels }) => cross(path, channels),
      identityScale: g.input("identity_scale", [1], "f32"),
    },
    component.weights,
    component.config,
  );
  const eps = guided
    ? g.apply(guidance, {
      x: predicted,
      scale: g.input("guidance_scale", [1], "f32"),
    }, {})
    : toF32(predicted);
  const coefficients = g.input("coefficients", [2], "f32");
  g.apply(ddimStep, { latents, eps, coefficients }, {});
  return g;
}

function toF32(x: Tensor): Tensor {
  const total = elementCount(x.shape);
  return x.graph.apply(view, { x }, {
    shape: [total],
    strides: [1],
    dtype: "f32",
  }).reshape(...x.shape);
}

/** `latents` f32 (1, h, w, C) → `pixels` u32 (1, H, W). */
export function decodeGraph(
  real: Real,
  { vae }: PainterParts,
  { height, width }: Layout,
): Graph {
  const g = new Graph(real);
  const { latentChannels, scalingFactor } = vae.config;
  const latents = g.input("latents", [1, height, width, latentChannels], "f32");
  const typed = g.apply(view, { x: latents }, {
    shape: [elementCount(latents.shape)],
    strides: [1],
    dtype: real,
  }).reshape(...latents.shape);
  const scaled = g.apply(map, { x: typed }, { scale: 1 / scalingFactor });
  const picture = vaeDecode(scaled, vae.weights, vae.config);
  g.name("decoded", picture);
  g.output("pixels", g.apply(imageOutput, { x: picture }, {}));
  return g;
}
