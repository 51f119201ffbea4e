/**
 * Text, identity and noise to images: conditions, the denoising loop, decoding.
 *
 * @module
 */
import type { CallOptions } from "../base/progress.ts";
import type { Image } from "../image/image.ts";
import { ddimSampler } from "../samplers/ddim.ts";
import { type NoiseSettings, noiseSource } from "../samplers/latent_noise.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { type Conditions, encodeConditions } from "./conditions.ts";
import type { GeneratorContext } from "./context.ts";
import { decodeLatents } from "./decode.ts";
import { denoise, type DenoisedStep } from "./denoise.ts";
import { Handover, handoverKey } from "./handover.ts";
import { handedSpecs, type Layout } from "./layout.ts";
import { noiseStart, type Start } from "./start.ts";
import { type StepKind, stepKinds, type StepRules } from "./step_kinds.ts";

export type { GeneratorComponents, GeneratorNetworks } from "./context.ts";
export type { Layout } from "./layout.ts";
export { conditionGraph } from "./graphs/conditions.ts";
export { decodeGraph } from "./graphs/decode.ts";
export { stepGraph } from "./graphs/step.ts";

/** How an image is made; the settings of the same names. */
export interface ImageSettings extends StepRules, NoiseSettings {
  /** How strongly the identity is followed; 0 leaves it out. */
  readonly idScale: number;
  /** Images made at once. */
  readonly numImages: number;
  /** Columns of the image, a multiple of the autoencoder's factor. */
  readonly width: number;
  /** Rows of the image, a multiple of the autoencoder's factor. */
  readonly height: number;
  /** Share of the tokens that self-attention merges. */
  readonly mergeTokens: number;
}

/** What images are made from. */
export interface ImageRequest extends Conditions {
  /** How they are made. */
  readonly settings: ImageSettings;
  /** How noise is taken away; DDIM where not given. */
  readonly sampler?: Sampler;
  /** What is denoised; noise where not given. */
  readonly start?: Start;
}

/** What a caller is told while images are made. */
export interface GenerateCallOptions extends CallOptions {
  /** Told of each step when it is submitted; awaited before the next one. */
  readonly onStep?: (step: DenoisedStep) => void | Promise<void>;
}

/** Makes images of a model, and keeps what stages hand on for the next. */
export class ImageGenerator implements Disposable {
  readonly #context: GeneratorContext;
  #handed: { readonly key: string; readonly handover: Handover } | null = null;

  /** Nothing is loaded yet. */
  constructor(context: GeneratorContext) {
    this.#context = context;
  }

  /**
   * Makes images.
   *
   * @returns as many as the settings say
   * @throws {MasterWeaverError} `bad-option`, `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async generate(
    request: ImageRequest,
    options: GenerateCallOptions = {},
  ): Promise<Image[]> {
    const context = this.#context;
    const { scheduler } = context.components.unet.config;
    const {
      settings,
      sampler = ddimSampler(scheduler),
      start = noiseStart,
    } = request;
    const schedule = sampler.schedule(settings.steps);
    const steps = schedule.steps.length - start.firstStep(schedule);
    const kinds = stepKinds({ ...settings, steps });
    const layout = this.#layout(settings, kinds);
    const handover = await this.#handover(layout, sampler);

    await encodeConditions(context, layout, handover, request, options);

    const denoising = {
      ...settings,
      layout,
      kinds,
      sampler,
      schedule,
      start,
      draw: this.#noise(settings, layout, options),
    };
    for await (const step of denoise(context, handover, denoising, options)) {
      await options.onStep?.(step);
    }
    return await decodeLatents(context, handover, steps, options);
  }

  /** What decides the plans. */
  #layout(
    { numImages, height, width, mergeTokens }: ImageSettings,
    kinds: readonly StepKind[],
  ): Layout {
    const { factor } = this.#context.components.vae.config;
    return {
      images: numImages,
      height: height / factor,
      width: width / factor,
      guided: kinds.some(({ guided }) => guided),
      cachesFeatures: kinds.some(({ cached }) => cached),
      mergeTokens,
    };
  }

  #noise(
    settings: ImageSettings,
    layout: Layout,
    { onWarning }: CallOptions,
  ) {
    const { channels } = this.#context.components.unet.config;
    return noiseSource(settings, { ...layout, channels }, onWarning);
  }

  /** What stages hand on in a layout: that at hand, or another in its place. */
  async #handover(layout: Layout, sampler: Sampler): Promise<Handover> {
    const { gpu, storage, components } = this.#context;
    const specs = handedSpecs(storage, components, layout, sampler);
    const key = handoverKey(specs);
    if (this.#handed?.key !== key) {
      this[Symbol.dispose]();
      this.#handed = { key, handover: await Handover.make(gpu, specs) };
    }
    return this.#handed!.handover;
  }

  /** Frees what stages hand on; it can be used again. */
  [Symbol.dispose](): void {
    this.#handed?.handover[Symbol.dispose]();
    this.#handed = null;
  }
}
