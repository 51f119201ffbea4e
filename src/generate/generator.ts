/**
 * Text, identity and noise to images: the denoising loop and the decoder.
 *
 * @module
 */
import { ddimSchedule, ddimStepCoefficients } from "../samplers/ddim.ts";
import { latentNoise } from "../samplers/latent_noise.ts";
import { type StepKind, stepKinds, stepName } from "./step_kinds.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Pace } from "../gpu/pace.ts";
import type { Network } from "../graph/network.ts";
import type { GpuTensor, Plan } from "../graph/plan.ts";
import { firstHalf, GpuTensors } from "../graph/tensors.ts";
import {
  decoderNotFinite,
  healthy,
  isMarked,
  requireFinite,
} from "./health.ts";
import type { IdentityTokens } from "../identity/identity.ts";
import type { Image } from "../image/image.ts";
import type { Settings } from "../options/options.ts";
import {
  conditionGraph,
  decodeGraph,
  type GeneratorComponents,
  type Layout,
  stepGraph,
} from "./graphs.ts";
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";

export {
  conditionGraph,
  decodeGraph,
  type GeneratorComponents,
  type Layout,
  stepGraph,
} from "./graphs.ts";

/** Token ids of a prompt and of the negative prompt, each (T). */
export interface PromptIds {
  /** What the image shows. */
  readonly prompt: Int32Array;
  /** What it should not show. */
  readonly negative: Int32Array;
}

/** A step's plan, and what it computes. */
interface Step {
  readonly kind: StepKind;
  readonly plan: Plan;
}

/** The networks that paint. */
export interface GeneratorNetworks {
  /** Text and identity to keys and values. */
  readonly condition: Network;
  /** One denoising step. */
  readonly step: Network;
  /** Latents of one image to its pixels. */
  readonly decode: Network;
  /** The same in f32, for what f16 does not hold. */
  readonly decodeF32: Network;
}

/** Paints images of one layout. */
export class ImageGenerator implements Disposable {
  readonly #gpu: Gpu;
  readonly #storage: StorageType;
  readonly #parts: GeneratorComponents;
  readonly #networks: GeneratorNetworks;
  /** What it paints. */
  readonly layout: Layout;
  /** Keys and values of the cross-attentions, latents, deep features. */
  readonly #tensors: GpuTensors;

  private constructor(
    gpu: Gpu,
    storage: StorageType,
    parts: GeneratorComponents,
    networks: GeneratorNetworks,
    layout: Layout,
    tensors: GpuTensors,
  ) {
    this.#gpu = gpu;
    this.#storage = storage;
    this.#parts = parts;
    this.#networks = networks;
    this.layout = layout;
    this.#tensors = tensors;
  }

  /** Makes what one network hands to the next; loads none. */
  static async make(
    gpu: Gpu,
    storage: StorageType,
    parts: GeneratorComponents,
    networks: GeneratorNetworks,
    layout: Layout,
  ): Promise<ImageGenerator> {
    const { inputs, outputs } = stepGraph(storage, parts, layout);
    const handed = [...inputs, ...outputs].filter(([name]) =>
      /^(latents|health|deep)$|\.[kv]$/.test(name)
    );
    const tensors = await GpuTensors.make(gpu, Object.fromEntries(handed));
    return new ImageGenerator(gpu, storage, parts, networks, layout, tensors);
  }

  /**
   * Paints.
   *
   * @returns one image for each of the layout's images
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
    return await this.#decode(settings, options);
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
          graph: () => conditionGraph(this.#storage, this.#parts, this.layout),
          bindings: this.#tensors.bindings,
        },
      },
      ...networkProgress("text encoder", options),
    }, async ({ condition }) => {
      this.#writeConditions(condition, ids, identity);
      await condition.runPaced(this.#pace(options));
    });
  }

  /** Feeds the GPU until the call is stopped. */
  #pace({ signal }: CallOptions): Pace {
    return new Pace(this.#gpu, () => throwIfAborted(signal));
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
    plan.write("health", healthy());
  }

  /** Noise to latents of images: one plan a kind of step, none made on the way. */
  #denoise(settings: Settings, options: CallOptions): Promise<void> {
    const kinds = stepKinds(settings);
    const recipes = kinds.map((kind) => [stepName(kind), {
      graph: () => stepGraph(this.#storage, this.#parts, this.layout, kind),
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
      this.#start(steps, settings, options);
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
        /^(latents|health)$/.test(name) ? tensor : firstHalf(tensor),
      ]),
    );
  }

  /** Writes what stays over all steps, and the noise. */
  #start(
    steps: readonly Step[],
    settings: Settings,
    options: CallOptions,
  ): void {
    const { idScale, guidanceScale } = settings;
    for (const [plan, kind] of new Map(steps.map((s) => [s.plan, s.kind]))) {
      plan.write("identity_scale", Float32Array.of(idScale));
      if (kind.guided) {
        plan.write("guidance_scale", Float32Array.of(guidanceScale));
      }
    }
    const { channels } = this.#parts.unet.config;
    steps[0].plan.write(
      "latents",
      latentNoise(settings, { ...this.layout, channels }, options.onWarning),
    );
  }

  /** The loop: writes three small inputs and replays the step's dispatches. */
  async #loop(
    steps: readonly Step[],
    options: CallOptions,
  ): Promise<void> {
    const { onProgress, signal } = options;
    const { scheduler } = this.#parts.unet.config;
    const { timesteps, coefficients } = ddimSchedule(
      scheduler,
      steps.length,
    );
    const times = new Float32Array(2 * this.layout.images);
    const factors = new Float32Array(2);
    const number = new Uint32Array(1);
    const total = steps.length;
    const pace = this.#pace(options);
    onProgress?.({ stage: "denoise", done: 0, total });
    for (const [i, { kind, plan }] of steps.entries()) {
      throwIfAborted(signal);
      const t = times.subarray(0, (kind.guided ? 2 : 1) * this.layout.images);
      t.fill(timesteps[i]);
      const { sample, eps } = ddimStepCoefficients(coefficients[i]);
      factors[0] = sample;
      factors[1] = eps;
      plan.write("t", t);
      plan.write("coefficients", factors);
      number[0] = i + 1;
      plan.write("step", number);
      await plan.runPaced(
        pace,
        () => onProgress?.({ stage: "denoise", done: i + 1, total }),
      );
    }
    await pace.finish();
  }

  /** Latents to images; in f32 where they are more than f16 holds. */
  async #decode(settings: Settings, options: CallOptions): Promise<Image[]> {
    const all = [...Array(this.layout.images).keys()];
    const decoded = await this.#decodeIn(this.#storage, all, settings, options);
    const failed = all.filter((i) => decoded[i] === null);
    if (failed.length > 0 && this.#storage === "f16") {
      options.onWarning?.(
        `The VAE overflows in f16: decoding ${failed.length} of ${all.length} images again in f32 (no-half-vae); use dtype: "f32" to have all in f32`,
      );
      const again = await this.#decodeIn("f32", failed, settings, options);
      failed.forEach((image, i) => decoded[image] = again[i]);
    }
    return decoded.map((image) => {
      if (image === null) throw decoderNotFinite();
      return image;
    });
  }

  /** Some images with a decoder of a type; null where one is not finite. */
  #decodeIn(
    storage: StorageType,
    images: readonly number[],
    settings: Settings,
    options: CallOptions,
  ): Promise<(Image | null)[]> {
    const again = storage !== this.#storage;
    const network = this.#networks[again ? "decodeF32" : "decode"];
    const { health } = this.#tensors.bindings;
    return network.use({
      owner: this,
      // Its latents are its own, of one image.
      plans: {
        decode: {
          graph: () => decodeGraph(storage, this.#parts, this.layout),
          bindings: { health },
        },
      },
      ...networkProgress("VAE", options),
    }, ({ decode }) => this.#decodeEach(decode, images, settings, options));
  }

  /** One image after the other, each read back when it is done. */
  async #decodeEach(
    plan: Plan,
    images: readonly number[],
    { steps }: Settings,
    options: CallOptions,
  ): Promise<(Image | null)[]> {
    const { onProgress, signal } = options;
    const { slice } = this.#tensors.bindings.latents;
    const bytes = slice.size / this.layout.images;
    const { spec } = plan.tensor("pixels");
    const [, height, width] = spec.shape;
    const total = images.length;
    const decoded: (Image | null)[] = [];
    onProgress?.({ stage: "decode", done: 0, total });
    for (const image of images) {
      throwIfAborted(signal);
      plan.copy("latents", {
        buffer: slice.buffer,
        offset: slice.offset + image * bytes,
        size: bytes,
      });
      await plan.runPaced(this.#pace(options));
      const { pixels, health } = await plan.read("pixels", "health");
      requireFinite(health, this.#storage, steps);
      if (isMarked(health, "decoded")) {
        // The next one has not gone wrong yet.
        plan.write("health", healthy());
        decoded.push(null);
      } else {
        const data = new Uint8ClampedArray(pixels.buffer);
        decoded.push({ width, height, data });
      }
      onProgress?.({ stage: "decode", done: decoded.length, total });
    }
    return decoded;
  }

  /** Frees what one network hands to the next. */
  [Symbol.dispose](): void {
    this.#tensors[Symbol.dispose]();
  }
}
