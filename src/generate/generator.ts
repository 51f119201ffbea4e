/**
 * Generates images: conditioning, the denoising loop, decoding.
 *
 * @module
 */
import type { CallOptions } from "../base/progress.ts";
import type { Image } from "../image/image.ts";
import { checkSchedule } from "../samplers/check_schedule.ts";
import {
  chooseSampler,
  type SamplerChoice,
} from "../samplers/choose_sampler.ts";
import {
  type NoiseSettings,
  type NoiseSource,
  noiseSource,
} from "../samplers/latent_noise.ts";
import type { Sampler, SamplerSchedule } from "../samplers/sampler.ts";
import { type Conditions, encodeConditions } from "./conditions.ts";
import type { GeneratorContext } from "./context.ts";
import {
  type AppliedControl,
  encodeControls,
  type UsedControls,
  usedControls,
} from "./controls.ts";
import { type DecodeChoices, decodeLatents } from "./decode.ts";
import { denoise, type DenoisedStep, type Denoising } from "./denoise.ts";
import { Handover, handoverKey } from "./handover.ts";
import {
  encodeLarger,
  type Hires,
  latentStart,
  resizeLatents,
} from "./hires.ts";
import type { AdaptedComponents } from "./loras.ts";
import { type PreviewRequest, PreviewTaker, readLatents } from "./previews.ts";
import { handoverSpecs, type RunShape } from "./run_shape.ts";
import {
  type PreparedStart,
  prepareStart,
  type SourceImage,
} from "./from_image.ts";
import { noiseStart, type Start } from "./start.ts";
import {
  type StepKind,
  stepKinds,
  stepNumbers,
  type StepRules,
} from "./step_kinds.ts";
import { textConditions, type TextShape } from "./text_conditions.ts";
import { TinyPreviews } from "./tiny_previews.ts";
import {
  ImageUpscaler,
  UPSCALE_TILES,
  type Upscaler,
  type UpscaleTiles,
} from "./upscale.ts";

export type { GeneratorComponents, GeneratorNetworks } from "./context.ts";
export type { RunShape } from "./run_shape.ts";
export { conditionGraph } from "./graphs/conditions.ts";
export { decodeGraph } from "./graphs/decode.ts";
export { encodeGraph } from "./graphs/encode.ts";
export { stepGraph } from "./graphs/step.ts";

/** How an image is made; see the settings of the same names. */
export interface ImageSettings
  extends
    Omit<StepRules, "controls">,
    NoiseSettings,
    SamplerChoice,
    DecodeChoices {
  /** How strongly the identity is followed, where there is one; 0 ignores it. */
  readonly idScale: number;
  /** Images that are denoised together. */
  readonly numImages: number;
  /** Columns of the image, a multiple of the autoencoder's factor. */
  readonly width: number;
  /** Rows of the image, a multiple of the autoencoder's factor. */
  readonly height: number;
  /** Share of the tokens that self-attention merges, 0..0.75. */
  readonly mergeTokens: number;
  /** Whether ControlNets see the conditional half of guidance alone; false by default. */
  readonly guessMode?: boolean;
  /** The layer of the text tower that is the last, counted from its end; 1 by default. */
  readonly clipSkip?: number;
  /** How far guidance is brought back to the contrast of the conditional half, 0..1. */
  readonly guidanceRescale?: number;
}

/** What images are made from. */
export interface ImageRequest extends Conditions {
  /** How they are made. */
  readonly settings: ImageSettings;
  /** The sampler; the one that the settings choose by default. */
  readonly sampler?: Sampler;
  /** Makes the initial latents; noise by default. */
  readonly start?: Start;
  /** The image to start from, instead of another start. */
  readonly source?: SourceImage;
  /** The model with LoRAs; as its files have it by default. */
  readonly adapted?: AdaptedComponents;
  /** ControlNets, each with its image; none by default. */
  readonly controls?: readonly AppliedControl[];
  /** A second pass, of a larger size, with images of that size for ControlNets. */
  readonly hires?: Hires & { readonly controls?: readonly AppliedControl[] };
}

/** Latents that are denoised, and how. */
interface Denoised {
  readonly handover: Handover;
  readonly runShape: RunShape;
  /** Steps that were run. */
  readonly steps: number;
}

/** Options of a call that generates images. */
export interface GenerateCallOptions extends CallOptions {
  /** Receives each step once it is submitted; awaited before the next one. */
  readonly onStep?: (step: DenoisedStep) => void | Promise<void>;
  /** Previews that are wanted. */
  readonly previews?: PreviewRequest;
}

/** Generates images with a model; keeps the handover between calls of one run shape. */
export class ImageGenerator implements Disposable {
  readonly #context: GeneratorContext;
  readonly #upscaler: ImageUpscaler;
  #kept: { readonly key: string; readonly handover: Handover } | null = null;

  /** A generator that has loaded nothing yet. */
  constructor(context: GeneratorContext) {
    this.#context = context;
    const { gpu, storage, networks } = context;
    this.#upscaler = new ImageUpscaler({
      gpu,
      storage,
      network: networks.upscale,
      networkF32: networks.upscaleF32,
    });
  }

  /**
   * Generates images.
   *
   * @returns `numImages` images
   * @throws {MasterWeaverError} `bad-option`, `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async generate(
    request: ImageRequest,
    options: GenerateCallOptions = {},
  ): Promise<Image[]> {
    const { hires } = request;
    const first = await this.#denoise(request, options);
    const denoised = hires
      ? await this.#secondPass(hires, request, first, options)
      : first;
    return await this.#decode(request, denoised, options);
  }

  /**
   * Makes an image larger.
   *
   * @param by how much
   * @throws {MasterWeaverError} `non-finite`, `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
   */
  async upscale(
    image: Image,
    by: number,
    upscaler: Upscaler,
    options: CallOptions,
    tiles: UpscaleTiles = UPSCALE_TILES,
  ): Promise<Image> {
    const size = {
      width: Math.round(image.width * by),
      height: Math.round(image.height * by),
    };
    return await this.#upscaler.upscale(image, size, upscaler, options, tiles);
  }

  /** Decodes denoised latents; previews learn from the images. */
  async #decode(
    { settings }: Pick<ImageRequest, "settings">,
    { handover, runShape, steps }: Denoised,
    options: GenerateCallOptions,
  ): Promise<Image[]> {
    const context = this.#context;
    const { previews } = options;
    const images = await decodeLatents(
      context,
      handover,
      steps,
      options,
      settings,
    );
    if (previews?.source.learns) {
      const latents = await readLatents(context.gpu, handover.latents);
      previews.source.learn(latents, runShape, images);
    }
    return images;
  }

  /** Denoises the first pass's latents again, larger. */
  async #secondPass(
    hires: NonNullable<ImageRequest["hires"]>,
    request: ImageRequest,
    first: Denoised,
    options: GenerateCallOptions,
  ): Promise<Denoised> {
    const { width, height, steps, upscaler } = hires;
    const { settings, start: _start, source: _source, ...others } = request;
    const latents = upscaler === "latent"
      ? await this.#largerLatents(first, hires)
      : await encodeLarger(
        this.#context,
        await this.#decode(request, first, options),
        hires,
        [this.#upscaler, upscaler],
        options,
        settings.vaeTiling,
      );
    const all = new Float32Array(latents.length * latents[0].length);
    latents.forEach((own, i) => all.set(own, i * own.length));
    return await this.#denoise({
      ...others,
      settings: { ...settings, width, height, steps },
      start: latentStart(all, hires),
      controls: hires.controls,
    }, options);
  }

  async #largerLatents(
    { handover, runShape }: Denoised,
    { width, height }: Hires,
  ): Promise<Float32Array[]> {
    const { factor } = this.#context.components.vae.config;
    const size = { height: height / factor, width: width / factor };
    const latents = await readLatents(this.#context.gpu, handover.latents);
    return latents.map((own) => resizeLatents(own, runShape, size));
  }

  /** Conditions, start and denoising loop. */
  async #denoise(
    request: ImageRequest,
    options: GenerateCallOptions,
  ): Promise<Denoised> {
    const { scheduler, channels } = this.#context.components.unet.config;
    const { settings, sampler = chooseSampler(scheduler, settings) } = request;
    const sizes = { ...this.#size(settings), channels };
    const draw = noiseSource(settings, sizes, options.onWarning);
    const { start, ...prepared } = await this.#start(request, draw, options);
    const { schedule, runs, steps } = scheduled(
      sampler,
      settings.steps,
      start,
    );
    const { controls: given = [], settings: { guessMode = false } } = request;
    const controls = usedControls(given, runs.length, guessMode);
    const context = this.#with(request.adapted, controls);
    const kinds = stepKinds(
      { ...settings, steps, controls: controls?.controls },
      runs,
    );
    const text = textConditions(
      request.text,
      settings.steps,
      kinds.some(({ guided }) => guided),
      context.components.text.config.hiddenSize,
    );
    const runShape = {
      ...this.#runShape(request, kinds, text.shape),
      ...prepared.repainting && { repaints: true },
      ...controls && { controls: controls.shape },
    };
    const handover = await this.#handover(context, runShape, sampler);

    await encodeConditions(
      context,
      { ...runShape, clipSkip: settings.clipSkip },
      handover,
      { text, identity: request.identity },
      options,
    );
    if (controls) {
      await encodeControls(context, runShape, handover, controls, options);
    }

    const denoising = {
      ...settings,
      runShape,
      kinds,
      sampler,
      schedule,
      start,
      draw,
      stepNoise: schedule.stepNoise?.(settings, sizes),
      controls,
      conditionsAt: text.at,
      ...prepared,
    };
    await takeSteps(context, handover, denoising, options);
    return { handover, runShape, steps };
  }

  /** Where a run starts, and what of an image it repaints. */
  async #start(
    { settings, source, start }: ImageRequest,
    draw: NoiseSource,
    options: CallOptions,
  ): Promise<PreparedStart> {
    const { channels, inputChannels } = this.#context.components.unet.config;
    if (!source && inputChannels === channels) {
      return { start: start ?? noiseStart };
    }
    const prepared = await prepareStart(
      this.#context,
      source,
      this.#size(settings),
      draw,
      options,
      settings.vaeTiling,
    );
    // An inpainting UNet reads its condition wherever it starts.
    return start ? { ...prepared, start } : prepared;
  }

  /** What the stages work with: the model, with the call's LoRAs and ControlNets. */
  #with(
    adapted: AdaptedComponents | undefined,
    controls: UsedControls | undefined,
  ): GeneratorContext {
    if (!adapted && !controls) return this.#context;
    const components = adapted?.components ?? this.#context.components;
    return {
      ...this.#context,
      components: { ...components, ...controls && { controls: controls.nets } },
      contents: adapted?.contents,
      adapted: adapted?.key,
    };
  }

  /** Images of a call, and the size of their latents. */
  #size({ numImages, height, width }: ImageSettings) {
    const { factor } = this.#context.components.vae.config;
    return {
      images: numImages,
      height: height / factor,
      width: width / factor,
    };
  }

  /** The run shape of a call. */
  #runShape(
    { settings, identity }: ImageRequest,
    kinds: readonly StepKind[],
    { textTokens, conditions }: TextShape,
  ): RunShape {
    const { mergeTokens, guidanceRescale = 0 } = settings;
    return {
      ...this.#size(settings),
      guided: kinds.some(({ guided }) => guided),
      identity: identity !== undefined,
      cachesFeatures: kinds.some(({ cached }) => cached),
      mergeTokens,
      rescalesGuidance: guidanceRescale > 0,
      textTokens,
      conditions,
    };
  }

  /** The handover for a run shape: the one that is kept, or a new one that replaces it. */
  async #handover(
    { gpu, storage, components }: GeneratorContext,
    runShape: RunShape,
    sampler: Sampler,
  ): Promise<Handover> {
    const specs = handoverSpecs(storage, components, runShape, sampler);
    const key = handoverKey(specs);
    if (this.#kept?.key !== key) {
      this[Symbol.dispose]();
      this.#kept = { key, handover: await Handover.make(gpu, specs) };
    }
    return this.#kept!.handover;
  }

  /** Frees the handover; the generator can still be used. */
  [Symbol.dispose](): void {
    this.#kept?.handover[Symbol.dispose]();
    this.#kept = null;
  }
}

/** The schedule of a run, and which of its steps are run. */
function scheduled(
  sampler: Sampler,
  asked: number,
  start: Start,
): {
  readonly schedule: SamplerSchedule;
  /** Their numbers in the schedule. */
  readonly runs: readonly number[];
  /** How many of the steps that were asked for are run. */
  readonly steps: number;
} {
  const whole = sampler.schedule(asked);
  const first = start.firstStep(whole);
  const schedule = first === 0 ? whole : sampler.schedule(asked, first);
  checkSchedule(sampler, schedule, first);
  const runs = stepNumbers(schedule.steps, first);
  return { schedule, runs, steps: runs[runs.length - 1] + 1 };
}

/** Runs the denoising loop, and takes previews between its steps. */
async function takeSteps(
  context: GeneratorContext,
  handover: Handover,
  denoising: Denoising,
  options: GenerateCallOptions,
): Promise<void> {
  const { previews, onStep } = options;
  const tiny = previews?.decoder === "taesd"
    ? new TinyPreviews(context, denoising.runShape, options)
    : undefined;
  const taker = previews && new PreviewTaker(
    context.gpu,
    previews,
    denoising.sampler,
    options,
    tiny && ((latents) => tiny.images(latents)),
  );
  try {
    for await (const step of denoise(context, handover, denoising, options)) {
      await onStep?.(step);
      await taker?.take(step);
    }
  } finally {
    taker?.[Symbol.dispose]();
    await tiny?.[Symbol.asyncDispose]();
  }
}
