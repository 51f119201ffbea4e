/**
 * The facade: photos become an identity; a prompt, with an identity or without one,
 * becomes images.
 *
 * @module
 */
import { Pauser } from "./base/pauser.ts";
import { type ModelFiles, withoutIdentity } from "./weights/components.ts";
import {
  type Components,
  followsIdentities,
  type ModelComponents,
  openUpscaler,
} from "./components/networks.ts";
import {
  checkUpscaledSize,
  openPasses,
  upscaleTiles,
} from "./components/passes.ts";
import { checkPasses } from "./options/hires_settings.ts";
import type { Engine } from "./engine.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "./load.ts";
import { checkFace } from "./face/check_face.ts";
import type { DetectedFace } from "./face/detect.ts";
import { FaceFinder } from "./face/finder.ts";
import { prepareControls } from "./generate/control_images.ts";
import { checkControls } from "./generate/control_input.ts";
import { checkLoras, lorasOfPrompt } from "./generate/lora_input.ts";
import { adaptComponents } from "./generate/loras.ts";
import { previewSource } from "./generate/preview_source.ts";
import { readPrompts, type TextTower } from "./generate/prompts.ts";
import type { PreviewSource } from "./generate/previews.ts";
import { withoutTaesd } from "./generate/decoder.ts";
import { prepareSource } from "./generate/source_pixels.ts";
import { Gpu } from "./gpu/gpu.ts";
import type { StorageType } from "./gpu/limits.ts";
import type { Choice } from "./graph/tuner.ts";
import type { Identity, IdentityTokens } from "./identity/identity.ts";
import { checkIdentity } from "./identity/input.ts";
import { checkImage, overWhite } from "./image/check.ts";
import type { Image } from "./image/image.ts";
import { checkOptions } from "./options/checks.ts";
import {
  checkSettings,
  type Settings,
  type SizeRule,
  withoutIdScale,
  withoutUndefined,
} from "./options/options.ts";
import {
  sizeOfSource,
  sourceSettings,
  withStrength,
} from "./options/source_settings.ts";
import { MasterWeaverError } from "./base/errors.ts";
import { type CallOptions, untilAborted } from "./base/progress.ts";
import {
  cannotAlign,
  checkChoices,
  checkPhotos,
  prepareReferences,
} from "./identity/references.ts";
import { chooseSampler } from "./samplers/choose_sampler.ts";
import type { ClipTokenizer } from "./text/tokenizer.ts";
import { CallQueue } from "./call_queue.ts";
import type {
  Generated,
  GenerateOptions,
  IdentityOptions,
  UpscaleOptions,
} from "./call_options.ts";

export type {
  Generated,
  GenerateOptions,
  IdentityOptions,
  UpscaleOptions,
} from "./call_options.ts";

/** Milliseconds between two previews: a few a second would slow a fast GPU down. */
const PREVIEW_INTERVAL = 500;

/**
 * A loaded model.
 *
 * @example From a web page, with its own model files
 * ```ts no-eval
 * import { MasterWeaver, MemorySource } from "./core.ts";
 *
 * const files: Record<string, MemorySource> = {};
 * for (const name of ["text_encoder", "unet", "vae", "image_encoder", "identity_adapter", "face_parser"]) {
 *   const response = await fetch(`model/${name}.weave`);
 *   files[name] = new MemorySource(await response.bytes(), name);
 * }
 * await using weaver = await MasterWeaver.load(files);
 * ```
 */
export class MasterWeaver implements AsyncDisposable {
  /** Storage of activations and weights. */
  readonly dtype: StorageType;
  /** Hexadecimal SHA-256 that covers all its files. */
  readonly hash: string;
  readonly #components: ModelComponents;
  readonly #tokenizer: ClipTokenizer;
  readonly #files: ModelFiles;
  readonly #openEngine: (gpu: Gpu) => Engine;
  readonly #calls = new CallQueue();
  #engine: Engine;
  #faceFinder: Promise<FaceFinder | null> | null = null;
  #previewSource: PreviewSource | null = null;

  /**
   * Takes over a loaded model.
   *
   * @param model one whose engine nobody else uses
   */
  protected constructor(model: LoadedModel) {
    this.dtype = model.dtype;
    this.hash = model.hash;
    this.#components = model.components;
    this.#tokenizer = model.tokenizer;
    this.#files = model.files;
    this.#openEngine = model.openEngine;
    this.#engine = model.engine;
  }

  /**
   * Loads a model: opens its files and checks every name and shape. Weights
   * are streamed to the GPU when a network is first needed; damage in them is
   * found then.
   *
   * @param files a converted model's files by component; the caller closes them
   * @throws {MasterWeaverError} `no-adapter`, `bad-model`, `cannot-read`, `bad-option`, `aborted`
   */
  static async load(
    files: ModelFiles,
    options: LoadOptions = {},
  ): Promise<MasterWeaver> {
    return new MasterWeaver(await loadModel(files, options));
  }

  /** The GPU it runs on; a new one after a device was lost. */
  get gpu(): Gpu {
    return this.#engine.gpu;
  }

  /** Widths and heights an image may have, in pixels. */
  get size(): SizeRule {
    const { unet, vae } = this.#components;
    const { factor } = vae.config;
    return { own: unet.config.sampleSize * factor, multiple: factor };
  }

  /** The kernel chosen for each kind of op that was needed so far. */
  get kernels(): readonly Choice[] {
    return this.#engine.tuner.choices;
  }

  /** Milliseconds spent on choosing {@linkcode kernels}. */
  get tuneMilliseconds(): number {
    return this.#engine.tuner.milliseconds;
  }

  /** The most references an identity may have; 0 where the model follows none. */
  get maxReferences(): number {
    const components = this.#components;
    return followsIdentities(components)
      ? components.adapter.config.maxReferences
      : 0;
  }

  /** Finds and aligns faces; null where the model has no face detector. */
  #finder(): Promise<FaceFinder | null> {
    return this.#faceFinder ??= this.#loadFinder().catch((error) => {
      // Not remembered: the next call may succeed.
      this.#faceFinder = null;
      throw error;
    });
  }

  async #loadFinder(): Promise<FaceFinder | null> {
    const { face_detector: detector, landmarks } = this.#files;
    return detector ? await FaceFinder.load(detector, landmarks) : null;
  }

  /**
   * Finds the faces of a photo, as dlib does.
   *
   * @returns best first; with landmarks where the model has that component
   * @throws {MasterWeaverError} `bad-model` where there is no face detector, `bad-image`, `bad-option`, `cannot-read`, `aborted`
   *
   * @example
   * ```ts no-eval
   * import { MasterWeaver, readImage } from "./mod.ts";
   *
   * await using weaver = await MasterWeaver.load("weights/mini");
   * const photo = await readImage("group.jpg");
   * for (const { rect, score } of await weaver.detectFaces(photo)) {
   *   console.log(rect.left, rect.top, rect.right, rect.bottom, score);
   * }
   * ```
   */
  async detectFaces(
    photo: Image,
    options: Pick<CallOptions, "signal"> = {},
  ): Promise<DetectedFace[]> {
    checkOptions("detectFaces", options);
    checkImage(photo, "photo");
    const image = overWhite(photo);
    return await this.#calls.runAlongside(options.signal, async (signal) => {
      const finder = await untilAborted(this.#finder(), signal);
      if (!finder) throw cannotAlign(finder);
      return await finder.detect(image, new Pauser(signal));
    });
  }

  /**
   * Aligns a face as in FFHQ, the dataset that the encoder was trained on.
   *
   * @param photo the photo it was found in
   * @param face one of {@linkcode detectFaces}
   * @returns 512 × 512
   * @throws {MasterWeaverError} `bad-model` without the landmark model, `bad-image`, `bad-option` where the face is not in this photo, `cannot-read`, `aborted`
   */
  async alignFace(
    photo: Image,
    face: Pick<DetectedFace, "rect" | "landmarks">,
    options: Pick<CallOptions, "signal"> = {},
  ): Promise<Image> {
    checkOptions("alignFace", options);
    checkImage(photo, "photo");
    checkFace(face, photo);
    const image = overWhite(photo);
    return await this.#calls.runAlongside(options.signal, async (signal) => {
      const finder = await untilAborted(this.#finder(), signal);
      if (!finder || (!finder.canAlign && !face.landmarks)) {
        throw cannotAlign(finder);
      }
      return await finder.align(image, face, new Pauser(signal));
    });
  }

  /**
   * Encodes photos of one person as an identity, which many images can use.
   *
   * @param photos one to {@linkcode maxReferences}
   * @throws {MasterWeaverError} `bad-model` where the model follows no identities, `bad-option`, `bad-image`, `cannot-read`, `no-face`, `non-finite`, `aborted`, `busy`, `disposed`, `out-of-memory`, `device-lost`, `gpu`
   */
  async encodeIdentity(
    photos: readonly Image[],
    options: IdentityOptions = {},
  ): Promise<Identity> {
    checkOptions("encodeIdentity", options);
    const { alignFaces } = this.#identityComponents().adapter.config;
    const checked = checkPhotos(photos, this.maxReferences);
    checkChoices(options, checked.length);
    return await this.#calls.run(options, async (signal) => {
      const call = { ...options, signal };
      const faces = await prepareReferences(
        checked,
        call,
        alignFaces,
        () => this.#finder(),
      );
      const engine = await this.#ready();
      return await engine.encode(faces, {
        ...call,
        parse: call.parse ?? true,
      });
    });
  }

  /**
   * Makes images from a prompt, of an identity where one is given.
   *
   * @throws {MasterWeaverError} `bad-option`, `bad-checkpoint` where a LoRA is for another model, `bad-image`, `no-face` where a control image should show one, `bad-model`, `cannot-read`, `non-finite`, `aborted`, `busy`, `disposed`, `out-of-memory`, `device-lost`, `gpu`
   */
  async generate(options: GenerateOptions): Promise<Generated> {
    checkOptions("generate", options);
    const { identity, onProgress, onWarning, signal, whenBusy, ...called } =
      options;
    const { onPreview, previewInterval = PREVIEW_INTERVAL, ...more } = called;
    const { previews: shown, upscalers = {}, ...rest } = more;
    const { embeddings, loras: uses, promptLoras, ...others } = rest;
    const { controls: controlUses, initImage, mask, ...given } = others;
    if (initImage !== undefined) checkImage(initImage, "initImage");
    if (mask !== undefined) checkImage(mask, "mask");
    const sized = checkSettings(
      {
        ...sizeOfSource(initImage, given.outpaint, this.size),
        ...withoutUndefined(given),
      },
      this.size,
    );
    const fromImage = sourceSettings(sized, {
      initImage: initImage !== undefined,
      mask: mask !== undefined,
    });
    const started = withStrength(sized, fromImage);
    checkPasses(started, this.size, initImage !== undefined);
    const checked = identity === undefined
      ? withoutIdScale(started, given)
      : started;
    const { loras, lora } = checkLoras(uses, checked.lora ?? "");
    const settings: Settings = { ...checked, ...lora !== "" && { lora } };
    const { scheduler } = this.#components.unet.config;
    const sampler = chooseSampler(scheduler, settings);
    const controls = checkControls(
      controlUses,
      settings.guessMode,
      this.#components,
    );
    const { hires, upscale } = await openPasses(
      settings,
      this.size,
      upscalers,
      initImage,
    );
    const needsTiny = settings.decoder === "taesd" || shown === "taesd";
    if (needsTiny && !this.#components.taesd) throw withoutTaesd();
    const tokens = identity === undefined
      ? undefined
      : this.#checkIdentity(identity);
    const tower = this.#textTower(settings);
    const { text, truncatedPrompt, extraNetworks } = await readPrompts(
      settings,
      tower,
      embeddings,
      onWarning,
    );
    const acting = [
      ...loras,
      ...lorasOfPrompt(extraNetworks, promptLoras, onWarning),
    ];
    const adapted = acting.length > 0
      ? adaptComponents(this.#components, acting)
      : undefined;
    return await this.#calls.run({ whenBusy, signal }, async (signal) => {
      const pauser = new Pauser(signal);
      const ready = fromImage && initImage &&
        await prepareSource(
          { initImage, mask, settings: fromImage },
          { onWarning },
          pauser,
        );
      const prepare = (size: Pick<Settings, "width" | "height">) =>
        prepareControls(
          controls,
          { ...settings, width: size.width, height: size.height },
          () => this.#finder(),
          pauser,
        );
      const applied = await prepare(settings);
      const appliedAgain = hires && await prepare(hires);
      const engine = await this.#ready();
      const previews = onPreview && {
        onPreview,
        interval: previewInterval,
        source: this.#previewSource ??= await previewSource(
          this.#components.vae,
          this.#files.preview,
          onWarning,
        ),
        decoder: shown,
      };
      const call = { onProgress, onWarning, signal };
      const made = await engine.generate({
        text,
        identity: tokens,
        settings,
        sampler,
        source: ready?.source,
        adapted,
        controls: applied,
        hires: hires && { ...hires, controls: appliedAgain },
      }, { ...call, previews });
      const done = ready ? await ready.finish(made, pauser) : made;
      if (!upscale) return { images: done, settings, truncatedPrompt };
      const images: Image[] = [];
      for (const image of done) {
        const { by, upscaler } = upscale;
        images.push(await engine.upscale(image, by, upscaler, call));
      }
      return { images, settings, truncatedPrompt };
    });
  }

  /**
   * Makes an image larger.
   *
   * @throws {MasterWeaverError} `bad-option`, `bad-image`, `bad-model` where the file is no upscaler, `cannot-read`, `non-finite`, `aborted`, `busy`, `disposed`, `out-of-memory`, `device-lost`, `gpu`
   */
  async upscale(image: Image, options: UpscaleOptions = {}): Promise<Image> {
    checkOptions("upscale", options);
    checkImage(image, "image");
    const { upscaleBy = 2, tile, overlap, whenBusy, signal, ...call } = options;
    const tiles = upscaleTiles({ tile, overlap });
    checkUpscaledSize(image, upscaleBy);
    const upscaler = options.upscaler
      ? await openUpscaler(options.upscaler)
      : null;
    const opaque = overWhite(image);
    return await this.#calls.run({ whenBusy, signal }, async (signal) => {
      const engine = await this.#ready();
      const { onProgress, onWarning } = call;
      const own = { onProgress, onWarning, signal };
      return await engine.upscale(opaque, upscaleBy, upscaler, own, tiles);
    });
  }

  /** The text tower; its layers that are left out must be among those it has. */
  #textTower({ clipSkip }: Pick<Settings, "clipSkip">): TextTower {
    const { layers, hiddenSize } = this.#components.text.config;
    if (clipSkip > layers) {
      throw new MasterWeaverError(
        "bad-option",
        `Option clipSkip must be at most ${layers}, the layers of this model's text encoder, got ${clipSkip}`,
      );
    }
    return { tokenizer: this.#tokenizer, channels: hiddenSize };
  }

  /** The engine; a new one, on a new device, where the old one was lost. */
  async #ready(): Promise<Engine> {
    const { gpu } = this.#engine;
    // An error that an earlier call left behind must not fail this one.
    await gpu.settle();
    if (gpu.isLost) {
      this.#engine[Symbol.dispose]();
      this.#engine = this.#openEngine(await Gpu.open());
    }
    return this.#engine;
  }

  /** The components, where they follow identities. */
  #identityComponents(): Components {
    if (followsIdentities(this.#components)) return this.#components;
    throw withoutIdentity(this.#files);
  }

  #checkIdentity(identity: unknown): IdentityTokens {
    const { adapter, unet } = this.#identityComponents();
    const { maxReferences, tokens } = adapter.config;
    return checkIdentity(identity, {
      length: maxReferences * tokens * unet.config.crossAttentionDim,
      modelHash: this.hash,
      adapterHash: adapter.file.hash,
    });
  }

  /** Stops running calls and frees everything on the GPU; later calls are refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls.close();
    // Some drivers do not survive a device that is destroyed at work.
    await this.gpu.drain();
    this.#engine[Symbol.dispose]();
  }
}
