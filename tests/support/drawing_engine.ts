/**
 * An engine without a model or a GPU, for tests of the studio: its images are of
 * one colour, which the seed decides.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { encodeJpeg, encodePng } from "../../src/host/codecs/codec.ts";
import { imageSize } from "../../src/host/codecs/image_size.ts";
import type {
  EncodedIdentity,
  EngineCall,
  ImageFile,
  ImageTask,
  MadeImages,
  Person,
  StudioEngine,
  UpscaleTask,
} from "../../src/studio/engine/engine.ts";
import type {
  ExtrasResource,
  ModelResource,
} from "../../src/studio/wire/resources.ts";

/** How a drawing engine behaves. */
export interface DrawingOptions {
  /** Milliseconds for each step. */
  readonly stepTime?: number;
  /** Takes no time, and draws small images whatever was asked for. */
  readonly isInstant?: boolean;
  /** Says that its model follows no identities. */
  readonly isPlain?: boolean;
  /** Says that its model aligns faces. */
  readonly alignsFaces?: boolean;
  /** Fails each image of this prompt. */
  readonly failsFor?: string;
}

const model: ModelResource = {
  name: "drawn",
  hash: "0".repeat(64),
  adapterHash: "1".repeat(64),
  dtype: "f32",
  gpu: "none",
  size: { own: 64, multiple: 4 },
  maxReferences: 3,
  alignFaces: false,
  faces: { detects: true, aligns: false },
  previews: true,
  taesd: true,
};

/** The extra files that it says it has. */
export const drawnExtras: ExtrasResource = {
  loras: ["ink", "watercolour"],
  embeddings: ["easynegative"],
  controlnets: ["canny", "face"],
  upscalers: ["sharp"],
};

/** Draws instead of computing. */
export class DrawingEngine implements StudioEngine {
  readonly model: ModelResource;
  readonly #options: DrawingOptions;
  /** People that were encoded and images that were made. */
  readonly counts = { encoded: 0, images: 0 };
  /** The last images that were asked for. */
  lastTask: ImageTask | undefined;

  /** An engine that works for as long as it is told. */
  constructor(options: DrawingOptions = {}) {
    this.#options = options;
    const { alignsFaces: aligns = false } = options;
    const faces = { detects: true, aligns };
    this.model = {
      ...model,
      alignFaces: aligns,
      faces,
      ...options.isPlain && { adapterHash: null, maxReferences: 0 },
    };
  }

  extras(): Promise<ExtrasResource> {
    return Promise.resolve(drawnExtras);
  }

  async encode(
    { photos, choices }: Person,
    { signal }: EngineCall,
  ): Promise<EncodedIdentity> {
    await this.#wait(signal);
    this.counts.encoded++;
    const hashes = photos.map(({ hash }) => hash);
    const id = hashes.join("").slice(0, 64);
    return {
      id,
      identity: {
        tokens: [photos.length],
        unconditional: [0],
        modelHash: model.hash,
        adapterHash: model.adapterHash!,
      },
      faces: photos.map((_, i) => drawn(i, 64, 64, "png", {})),
      warnings: [],
      choices,
      photoHashes: hashes,
    };
  }

  async generate(
    task: ImageTask,
    { onProgress, onPreview, signal }: EngineCall,
  ): Promise<MadeImages> {
    const { settings, format, preview } = task;
    this.lastTask = task;
    const { steps: total, seed, numImages, prompt } = settings;
    const { width, height } = this.#options.isInstant
      ? { width: 8, height: 8 }
      : settings;
    for (let done = 0; done <= total; done++) {
      onProgress?.({ stage: "denoise", done, total });
      if (preview && done > 0) {
        const { bytes } = drawn(done, 8, 8, "png", {});
        onPreview?.({
          step: done,
          total,
          images: Array(numImages).fill(bytes),
        });
      }
      await this.#wait(signal);
    }
    if (prompt === this.#options.failsFor) {
      throw new MasterWeaverError("gpu", "The GPU refused a command");
    }
    this.counts.images += numImages;
    return {
      images: Array.from(
        { length: numImages },
        (_, i) =>
          drawn(Number(seed) + i, width, height, format, {
            prompt,
            seed: String(seed),
          }),
      ),
      truncatedPrompt: "",
    };
  }

  async upscale(
    { image, by, format }: UpscaleTask,
    { onProgress, signal }: EngineCall,
  ): Promise<MadeImages> {
    onProgress?.({ stage: "decode", done: 0, total: 1 });
    await this.#wait(signal);
    const { width, height } = imageSize(image.bytes)!;
    const [columns, rows] = [width, height].map((n) => Math.round(n * by));
    const made = drawn(0, columns, rows, format, {});
    return { images: [made], truncatedPrompt: "" };
  }

  async #wait(signal?: AbortSignal): Promise<void> {
    const { stepTime = 0, isInstant } = this.#options;
    if (isInstant) return;
    await new Promise((resolve) => setTimeout(resolve, stepTime));
    if (signal?.aborted) {
      throw new MasterWeaverError("aborted", "Stopped before it was done");
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function drawn(
  seed: number,
  width: number,
  height: number,
  format: "png" | "jpeg",
  text: Record<string, string>,
): ImageFile {
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < data.length; i += 4) data[i] = (seed * 37) % 256;
  const image = { width, height, data };
  const isPng = format === "png";
  const bytes = isPng
    ? encodePng(image, text)
    : encodeJpeg(image, text.prompt ?? "");
  return {
    bytes: new Uint8Array(bytes),
    mediaType: isPng ? "image/png" : "image/jpeg",
    width,
    height,
  };
}
