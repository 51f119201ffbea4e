/**
 * The facade: photos become an identity; a prompt, with an identity or without one,
 * becomes images.
 *
 * @module
 */
import { Pauser } from "./base/pauser.ts";
import { type CallOptions, untilAborted } from "./base/progress.ts";
import type {
  Generated,
  GenerateOptions,
  IdentityOptions,
  UpscaleOptions,
} from "./call_options.ts";
import { CallQueue } from "./call_queue.ts";
import {
  checkCall,
  type CheckedCall,
  identityComponents,
  readCallPrompts,
  sizeRule,
} from "./checked_call.ts";
import { followsIdentities, openUpscaler } from "./components/networks.ts";
import {
  checkUpscaledSize,
  type Passes,
  upscaleTiles,
} from "./components/passes.ts";
import type { Engine } from "./engine.ts";
import { checkFace } from "./face/check_face.ts";
import type { DetectedFace } from "./face/detect.ts";
import { FaceFinder } from "./face/finder.ts";
import { prepareControls } from "./generate/control_images.ts";
import type { ImageRequest } from "./generate/generator.ts";
import { previewSource } from "./generate/preview_source.ts";
import type { PreviewSource } from "./generate/previews.ts";
import { prepareSource } from "./generate/source_pixels.ts";
import { Gpu } from "./gpu/gpu.ts";
import type { StorageType } from "./gpu/limits.ts";
import type { Choice } from "./graph/tuner.ts";
import type { Identity } from "./identity/identity.ts";
import {
  cannotAlign,
  checkChoices,
  checkPhotos,
  prepareReferences,
} from "./identity/references.ts";
import { checkImage, overWhite } from "./image/check.ts";
import type { Image } from "./image/image.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "./load.ts";
import { checkOptions } from "./options/checks.ts";
import type { SizeRule } from "./options/options.ts";
import type { ModelFiles } from "./weights/components.ts";

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
  readonly #model: Omit<LoadedModel, "engine">;
  readonly #calls = new CallQueue();
  #engine: Engine;
  #faceFinder: Promise<FaceFinder | null> | null = null;
  #previewSource: PreviewSource | null = null;

  /**
   * Takes over a loaded model.
   *
   * @param model one whose engine nobody else uses
   */
  protected constructor({ engine, ...model }: LoadedModel) {
    this.dtype = model.dtype;
    this.hash = model.hash;
    this.#model = model;
    this.#engine = engine;
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
    return sizeRule(this.#model.components);
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
    const { components } = this.#model;
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
    const { face_detector: detector, landmarks } = this.#model.files;
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
    const { components, files } = this.#model;
    const { adapter } = identityComponents(components, files);
    const { alignFaces } = adapter.config;
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
   *
   * @example Part of a photo painted anew, with a LoRA, then all of it larger
   * ```ts no-eval
   * import { MasterWeaver, openFile, readImage, readLora, writePng } from "./mod.ts";
   *
   * await using weaver = await MasterWeaver.load("weights/sd15");
   * await using file = await openFile("watercolour.safetensors");
   * const lora = await readLora(file);
   * const { images } = await weaver.generate({
   *   prompt: "a red coat",
   *   initImage: await readImage("photo.jpg"),
   *   mask: await readImage("coat.png"), // white where it is painted anew
   *   strength: 0.8,
   *   sampler: "DPM++ 2M Karras",
   *   loras: [{ lora, scale: 0.8 }],
   *   upscale: "lanczos",
   * });
   * const [image] = images;
   * if (image) await writePng("coat-red.png", image);
   * ```
   */
  async generate(options: GenerateOptions): Promise<Generated> {
    checkOptions("generate", options);
    const { onProgress, onWarning, signal, whenBusy, ...others } = options;
    const { onPreview, previewInterval = PREVIEW_INTERVAL, ...given } = others;
    const checked = await checkCall(given, this.#model);
    const { settings } = checked;
    const prompts = await readCallPrompts(
      checked,
      given,
      this.#model,
      onWarning,
    );
    const { text, truncatedPrompt, adapted } = prompts;
    return await this.#calls.run({ whenBusy, signal }, async (signal) => {
      const call = { onProgress, onWarning, signal };
      const pauser = new Pauser(signal);
      const source = checked.source &&
        await prepareSource(checked.source, call, pauser);
      const controls = await this.#controlled(checked, pauser);
      const engine = await this.#ready();
      const previews = onPreview && {
        onPreview,
        interval: previewInterval,
        source: await this.#previews(onWarning),
        decoder: given.previews,
      };
      const { identity, sampler } = checked;
      const made = await engine.generate({
        text,
        identity,
        settings,
        sampler,
        adapted,
        source: source?.source,
        ...controls,
      }, { ...call, previews });
      const done = source ? await source.finish(made, pauser) : made;
      const images = await upscaled(done, checked.passes, engine, call);
      return { images, settings, truncatedPrompt };
    });
  }

  /** The ControlNets of both passes with their images, and the second pass. */
  async #controlled(
    { settings, controls, passes: { hires } }: CheckedCall,
    pauser: Pauser,
  ): Promise<Pick<ImageRequest, "controls" | "hires">> {
    const finder = () => this.#finder();
    const prepare = (size: Pick<Image, "width" | "height">) =>
      prepareControls(controls, size, finder, pauser);
    return {
      controls: await prepare(settings),
      hires: hires && { ...hires, controls: await prepare(hires) },
    };
  }

  /** What makes previews, which learns from images where the model has no map. */
  async #previews(
    onWarning: CallOptions["onWarning"],
  ): Promise<PreviewSource> {
    const { components, files } = this.#model;
    return this.#previewSource ??= await previewSource(
      components.vae,
      files.preview,
      onWarning,
    );
  }

  /**
   * Makes an image larger.
   *
   * @throws {MasterWeaverError} `bad-option`, `bad-image`, `bad-model` where the file is no upscaler, `cannot-read`, `non-finite`, `aborted`, `busy`, `disposed`, `out-of-memory`, `device-lost`, `gpu`
   *
   * @example
   * ```ts no-eval
   * import { MasterWeaver, openFile, readImage, writePng } from "./mod.ts";
   *
   * await using weaver = await MasterWeaver.load("weights/sd15");
   * // A network of ESRGAN's kind, made by tools/convert.ts.
   * await using upscaler = await openFile("RealESRGAN_x4plus.weave");
   * const photo = await readImage("photo.jpg");
   * await writePng("large.png", await weaver.upscale(photo, { upscaler, upscaleBy: 4 }));
   * ```
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

  /** The engine; a new one, on a new device, where the old one was lost. */
  async #ready(): Promise<Engine> {
    const { gpu } = this.#engine;
    // An error that an earlier call left behind must not fail this one.
    await gpu.settle();
    if (gpu.isLost) {
      this.#engine[Symbol.dispose]();
      this.#engine = this.#model.openEngine(await Gpu.open());
    }
    return this.#engine;
  }

  /** Stops running calls and frees everything on the GPU; later calls are refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls.close();
    // Some drivers do not survive a device that is destroyed at work.
    await this.gpu.drain();
    this.#engine[Symbol.dispose]();
  }
}

/** Images made larger one by one, where that is asked for. */
async function upscaled(
  images: readonly Image[],
  { upscale }: Passes,
  engine: Engine,
  call: CallOptions,
): Promise<readonly Image[]> {
  if (!upscale) return images;
  const larger: Image[] = [];
  for (const image of images) {
    larger.push(
      await engine.upscale(image, upscale.by, upscale.upscaler, call),
    );
  }
  return larger;
}
