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
import { type StepKind, stepKinds, stepName } from "./diffusion/step_kinds.ts";
import { torchCpuNormal, torchCudaNormal } from "./diffusion/noise.ts";
import type { Gpu, Real } from "./gpu/gpu.ts";
import { Graph, type Tensor } from "./graph/graph.ts";
import type { Network } from "./graph/network.ts";
import type { GpuTensor, Plan } from "./graph/plan.ts";
import { firstHalf, GpuTensors } from "./graph/tensors.ts";
import type { IdentityTokens } from "./identity.ts";
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
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "./progress.ts";

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
  /** Whether both halves of guidance are computed, in some step at least. */
  readonly guided: boolean;
  /** Whether some steps use deep features of others. */
  readonly reuse?: boolean;
  /** Share of the tokens that self-attention merges; none where not given. */
  readonly mergeTokens?: number;
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

/** A step's plan, and what it computes. */
interface Step {
  readonly kind: StepKind;
  readonly plan: Plan;
}

/** The networks that paint. */
export interface PainterNetworks {
  /** Text and identity to keys and values. */
  readonly condition: Network;
  /** One denoising step. */
  readonly step: Network;
  /** Latents of one picture to its pixels. */
  readonly decode: Network;
}

/** Paints pictures of one layout. */
export class Painter implements Disposable {
  readonly #gpu: Gpu;
  readonly #real: Real;
  readonly #parts: PainterParts;
  readonly #networks: PainterNetworks;
  /** What it paints. */
  readonly layout: Layout;
  /** Keys and values of the cross-attentions, latents, deep features. */
  readonly #tensors: GpuTensors;

  private constructor(
    gpu: Gpu,
    real: Real,
    parts: PainterParts,
    networks: PainterNetworks,
    layout: Layout,
    tensors: GpuTensors,
  ) {
    this.#gpu = gpu;
    this.#real = real;
    this.#parts = parts;
    this.#networks = networks;
    this.layout = layout;
    this.#tensors = tensors;
  }

  /** Makes what one network hands to the next; loads none. */
  static async make(
    gpu: Gpu,
    real: Real,
    parts: PainterParts,
    networks: PainterNetworks,
    layout: Layout,
  ): Promise<Painter> {
    const { inputs, outputs } = stepGraph(real, parts, layout);
    const handed = [...inputs, ...outputs].filter(([name]) =>
      name === "latents" || name === "deep" || /\.[kv]$/.test(name)
    );
    const tensors = await GpuTensors.make(gpu, Object.fromEntries(handed));
    return new Painter(gpu, real, parts, networks, layout, tensors);
  }

  /**
   * Paints.
   *
   * @returns one picture for each of the layout's images
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async paint(
    ids: PromptIds,
    identity: IdentityTokens,
    settings: Settings,
    options: CallOptions,
  ): Promise<Image[]> {
    await this.#condition(ids, identity, options);
    await this.#denoise(settings, options);
    return await this.#decode(options);
  }

  /** Text and identity to keys and values. */
  #condition(
    ids: PromptIds,
    identity: IdentityTokens,
    options: CallOptions,
  ): Promise<void> {
    return this.#networks.condition.use({
      owner: this,
      plans: {
        condition: {
          graph: () => conditionGraph(this.#real, this.#parts, this.layout),
          bindings: this.#tensors.bindings,
        },
      },
      ...networkProgress("text encoder", options),
    }, ({ condition }) => {
      this.#writeConditions(condition, ids, identity);
      condition.run();
      return Promise.resolve();
    });
  }

  /** The conditional half first, so that it can be used without the other. */
  #writeConditions(plan: Plan, ids: PromptIds, identity: IdentityTokens): void {
    const { guided } = this.layout;
    const halves = guided ? [...ids.prompt, ...ids.negative] : [...ids.prompt];
    plan.write("ids", Uint32Array.from(halves));
    const { length } = identity.tokens;
    const tokens = new Float32Array((guided ? 2 : 1) * length);
    tokens.set(identity.tokens);
    if (guided) tokens.set(identity.unconditional, length);
    plan.write("identity", tokens);
  }

  /** Noise to latents of pictures: one plan a kind of step, none made on the way. */
  #denoise(settings: Settings, options: CallOptions): Promise<void> {
    const kinds = stepKinds(settings);
    const recipes = kinds.map((kind) => [stepName(kind), {
      graph: () => stepGraph(this.#real, this.#parts, this.layout, kind),
      bindings: this.#bindings(kind),
    }]);
    return this.#networks.step.use({
      owner: this,
      plans: Object.fromEntries(recipes),
      ...networkProgress("UNet", options),
    }, async (plans) => {
      const steps = kinds.map((kind) => ({
        kind,
        plan: plans[stepName(kind)],
      }));
      this.#start(steps, settings);
      await this.#loop(steps, options);
    });
  }

  /** What a kind of step binds: without guidance, the conditional half alone. */
  #bindings({ guided }: StepKind): Readonly<Record<string, GpuTensor>> {
    const { bindings } = this.#tensors;
    if (guided === this.layout.guided) return bindings;
    return Object.fromEntries(
      Object.entries(bindings).map(([name, tensor]) => [
        name,
        name === "latents" ? tensor : firstHalf(tensor),
      ]),
    );
  }

  /** Writes what stays over all steps, and the noise. */
  #start(steps: readonly Step[], settings: Settings): void {
    const { idScale, guidanceScale } = settings;
    for (const [plan, kind] of new Map(steps.map((s) => [s.plan, s.kind]))) {
      plan.write("identity_scale", Float32Array.of(idScale));
      if (kind.guided) {
        plan.write("guidance_scale", Float32Array.of(guidanceScale));
      }
    }
    steps[0].plan.write("latents", this.#noise(settings));
  }

  /** Noise as PyTorch draws it, (B, C, H, W), as (B, H, W, C). */
  #noise({ seed, rng }: Settings): Float32Array {
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
    return latents;
  }

  /**
   * The loop: writes two small inputs and replays the step's dispatches.
   *
   * Steps are queued ahead as long as the queue stays short in time, so that
   * waiting costs little and a stop is heard soon.
   */
  async #loop(
    steps: readonly Step[],
    { onProgress, signal }: CallOptions,
  ): Promise<void> {
    const { scheduler } = this.#parts.unet.config;
    const { timesteps, coefficients } = ddimSchedule(
      scheduler,
      steps.length,
    );
    const times = new Float32Array(2 * this.layout.images);
    const factors = new Float32Array(2);
    const total = steps.length;
    onProgress?.({ stage: "denoise", done: 0, total });
    let queued = 0;
    let ahead = 1;
    let since = performance.now();
    for (const [i, { kind, plan }] of steps.entries()) {
      throwIfAborted(signal);
      const t = times.subarray(0, (kind.guided ? 2 : 1) * this.layout.images);
      t.fill(timesteps[i]);
      const { sample, eps } = ddimStepCoefficients(coefficients[i]);
      factors[0] = sample;
      factors[1] = eps;
      plan.write("t", t);
      plan.write("coefficients", factors);
      plan.run();
      queued++;
      if (queued >= ahead || i === total - 1) {
        await this.#gpu.idle();
        const now = performance.now();
        ahead = Math.max(
          1,
          Math.floor(QUEUE_MILLISECONDS * queued / (now - since)),
        );
        since = now;
        queued = 0;
        onProgress?.({ stage: "denoise", done: i + 1, total });
      }
    }
  }

  /** Latents to pictures. */
  #decode(options: CallOptions): Promise<Image[]> {
    return this.#networks.decode.use({
      owner: this,
      // Its latents are its own, of one picture.
      plans: {
        decode: {
          graph: () => decodeGraph(this.#real, this.#parts, this.layout),
        },
      },
      ...networkProgress("VAE", options),
    }, ({ decode }) => this.#decodeEach(decode, options));
  }

  /** One picture after the other, each read back when it is done. */
  async #decodeEach(
    plan: Plan,
    { onProgress, signal }: CallOptions,
  ): Promise<Image[]> {
    const { images } = this.layout;
    const { slice } = this.#tensors.bindings.latents;
    const bytes = slice.size / images;
    const { spec } = plan.tensor("pixels");
    const [, height, width] = spec.shape;
    const pictures: Image[] = [];
    onProgress?.({ stage: "decode", done: 0, total: images });
    for (let i = 0; i < images; i++) {
      throwIfAborted(signal);
      plan.copy("latents", {
        buffer: slice.buffer,
        offset: slice.offset + i * bytes,
        size: bytes,
      });
      plan.run();
      const { pixels } = await plan.read("pixels");
      const data = new Uint8ClampedArray(pixels.buffer);
      pictures.push({ width, height, data });
      onProgress?.({ stage: "decode", done: i + 1, total: images });
    }
    return pictures;
  }

  /** Frees what one network hands to the next. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }
}

/**
 * `ids` u32 (B, T) and `identity` (B, S, C), B the halves of guidance, the
 * conditional one first, to `….attn2.k` and `….attn2.v` of every
 * cross-attention, one for every picture.
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

/**
 * One step: `latents` f32 (B, h, w, C) becomes less noisy, in place.
 *
 * @param kind its work; as the layout says where not given
 */
export function stepGraph(
  real: Real,
  { text, unet: component, adapter }: PainterParts,
  layout: Layout,
  { guided, reused }: StepKind = { guided: layout.guided, reused: false },
): Graph {
  const { images, height, width, reuse, mergeTokens } = layout;
  const g = new Graph(real);
  const { channels, blockOutChannels } = component.config;
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
      deep: reused
        ? g.input("deep", [batch, height, width, blockOutChannels[0]], real)
        : undefined,
      mergeTokens,
    },
    component.weights,
    component.config,
  );
  if (reuse && !reused) g.output("deep", g.named.get("deep")!);
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
