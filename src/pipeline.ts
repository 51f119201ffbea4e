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
} from "./components/networks.ts";
import type { Engine } from "./engine.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "./load.ts";
import { checkFace } from "./face/check_face.ts";
import type { DetectedFace } from "./face/detect.ts";
import { FaceFinder } from "./face/finder.ts";
import type { Lora } from "./checkpoints/lora_reader.ts";
import { prepareControls } from "./generate/control_images.ts";
import { checkControls, type ControlUse } from "./generate/control_input.ts";
import {
  checkLoras,
  lorasOfPrompt,
  type LoraUse,
} from "./generate/lora_input.ts";
import { adaptComponents } from "./generate/loras.ts";
import { PREVIEW_NAME, readPreviewMap } from "./generate/preview_map.ts";
import {
  type EmbeddingFiles,
  readPrompts,
  type TextTower,
} from "./generate/prompts.ts";
import { type Preview, PreviewSource } from "./generate/previews.ts";
import { prepareSource } from "./generate/source_pixels.ts";
import { Gpu } from "./gpu/gpu.ts";
import type { StorageType } from "./gpu/limits.ts";
import type { Choice } from "./graph/tuner.ts";
import type { Identity, IdentityTokens } from "./identity/identity.ts";
import { checkIdentity, type SavedIdentity } from "./identity/input.ts";
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
import type { IdentityChoices } from "./options/settings.ts";
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
import { CallQueue, type TurnOptions } from "./call_queue.ts";

/** Milliseconds between two previews: a few a second would slow a fast GPU down. */
const PREVIEW_INTERVAL = 500;

/** How references are prepared and encoded. */
export interface IdentityOptions
  extends Partial<IdentityChoices>, CallOptions, TurnOptions {}

/** What an image is made from. */
export interface GenerateOptions
  extends Partial<Settings>, CallOptions, TurnOptions {
  /**
   * Receives small images of what there is so far: a linear map of the latents,
   * which the model's `preview.json` holds. Without that file it is learnt from
   * the first images, which have no previews themselves; a warning says so.
   */
  readonly onPreview?: (preview: Preview) => void;
  /** The least milliseconds between two previews, 0..60000; 500 where not given. */
  readonly previewInterval?: number;
  /** What the image shows; may be empty. */
  prompt: string;
  /**
   * LoRAs, added in this order. Another image may have others: only the weights
   * that they change are streamed to the GPU again.
   */
  readonly loras?: readonly LoraUse[];
  /**
   * LoRAs by the names that stand for them in the prompt, `<lora:NAME:0.8>`; with
   * the `promptSyntax` `a1111`. Only those that it names act, after `loras`.
   */
  readonly promptLoras?: Readonly<Record<string, Lora>>;
  /**
   * ControlNets, each with its image. What they say is added up, and they see the
   * prompt alone, not the identity.
   */
  readonly controls?: readonly ControlUse[];
  /**
   * Embeddings of textual inversion by the names that stand for them in prompts, as
   * AUTOMATIC1111, kohya and diffusers save them; with the `promptSyntax` `a1111`.
   * Only those that a prompt names are read.
   */
  readonly embeddings?: EmbeddingFiles;
  /**
   * Who it shows, from {@linkcode MasterWeaver.encodeIdentity} of the same
   * model: the same files, not another adapter or a quantised copy. Without it the
   * image is plain Stable Diffusion's, and `idScale` must be 0 or not given.
   */
  readonly identity?: SavedIdentity;
  /** The image to start from instead of noise; any size, resized to width and height. */
  readonly initImage?: Image;
  /** What of the initial image is repainted: what is white. */
  readonly mask?: Image;
}

/** What {@linkcode MasterWeaver.generate} returns. */
export interface Generated {
  /** The images, in order. */
  readonly images: readonly Image[];
  /** Every setting, defaults filled in; `idScale` is 0 without an identity. */
  readonly settings: Settings;
  /** The end of the prompt that did not fit; empty where all of it did. */
  readonly truncatedPrompt: string;
}

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
    const { identity, onProgress, onWarning, signal, whenBusy, ...others } =
      options;
    const { onPreview, previewInterval = PREVIEW_INTERVAL, ...more } = others;
    const { embeddings, loras: uses, promptLoras, ...rest } = more;
    const { controls: controlUses, initImage, mask, ...given } = rest;
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
      const applied = await prepareControls(
        controls,
        settings,
        () => this.#finder(),
        pauser,
      );
      const engine = await this.#ready();
      const previews = onPreview && {
        onPreview,
        interval: previewInterval,
        source: this.#previewSource ??= await this.#readPreviews(onWarning),
      };
      const made = await engine.generate({
        text,
        identity: tokens,
        settings,
        sampler,
        source: ready?.source,
        adapted,
        controls: applied,
      }, { onProgress, onWarning, signal, previews });
      const images = ready ? await ready.finish(made, pauser) : made;
      return { images, settings, truncatedPrompt };
    });
  }

  /** The model's map of previews; where that cannot be used, one that is learnt. */
  async #readPreviews(
    onWarning: CallOptions["onWarning"],
  ): Promise<PreviewSource> {
    const { file, config } = this.#components.vae;
    const own = { vae: file.hash, channels: config.latentChannels };
    const { preview } = this.#files;
    try {
      if (preview) return new PreviewSource(await readPreviewMap(preview, own));
      onWarning?.(withoutPreviews(
        `the model has no ${PREVIEW_NAME}; give one among its files`,
      ));
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      onWarning?.(withoutPreviews(error.message));
    }
    return new PreviewSource(own);
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

function withoutPreviews(why: string): string {
  return `No previews of the first images: ${why}`;
}
