/**
 * Previews: what the images look like so far, every now and then during
 * denoising, without the autoencoder.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { CallOptions } from "../base/progress.ts";
import { copyBuffers } from "../gpu/copies.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { readBuffers } from "../gpu/readback.ts";
import { GpuTensors } from "../graph/tensors.ts";
import type { GpuTensor } from "../graph/plan.ts";
import type { Image } from "../image/image.ts";
import type { NoiseLevel, Sampler } from "../samplers/sampler.ts";
import type { DenoisedStep } from "./denoise.ts";
import { PreviewFit } from "./preview_fit.ts";
import { applyPreview, type PreviewMap } from "./preview_map.ts";

/** What the images look like so far. */
export interface Preview {
  /** Steps that are done, from 1. */
  readonly step: number;
  /** Steps in all. */
  readonly total: number;
  /** A small image of each, in order. */
  readonly images: readonly Image[];
}

/** Previews that are wanted. */
export interface PreviewRequest {
  /** Receives them; must return quickly. */
  readonly onPreview: (preview: Preview) => void;
  /** The least milliseconds between two; the first comes as soon as it can. */
  readonly interval: number;
  /** The map from latents to pixels. */
  readonly source: PreviewSource;
}

/** Images after which a map that is learnt stays as it is. */
const ENOUGH_IMAGES = 16;

/** A model's map: one that was read, or one that is learnt from the images it makes. */
export class PreviewSource {
  #map: PreviewMap | null;
  #fit: PreviewFit | null;

  /**
   * A map, or the autoencoder of which one is learnt.
   *
   * @param known a map, or the hash of the autoencoder's file and its latents' channels
   */
  constructor(known: PreviewMap | Pick<PreviewMap, "vae" | "channels">) {
    const isMap = "weights" in known;
    this.#map = isMap ? known : null;
    this.#fit = isMap ? null : new PreviewFit(known);
  }

  /** The map; null before there was an image to learn it from. */
  get map(): PreviewMap | null {
    return this.#map;
  }

  /** Whether more images make it better. */
  get learns(): boolean {
    return this.#fit !== null;
  }

  /**
   * Learns from finished images.
   *
   * @param latents (h, w, C) of each, as they were decoded
   * @param size h and w
   */
  learn(
    latents: readonly Float32Array[],
    size: { readonly height: number; readonly width: number },
    images: readonly Image[],
  ): void {
    const fit = this.#fit;
    if (!fit) return;
    images.forEach((image, i) => fit.add(latents[i], size, image));
    this.#map = fit.map();
    if (fit.images >= ENOUGH_IMAGES) this.#fit = null;
  }
}

/** Latents of an earlier step, kept on the GPU. */
interface Snapshot {
  readonly latents: GpuTensor;
  readonly level: NoiseLevel;
}

/** Takes the previews of one run. */
export class PreviewTaker implements Disposable {
  readonly #gpu: Gpu;
  readonly #request: PreviewRequest;
  readonly #canSolve: boolean;
  readonly #onWarning: CallOptions["onWarning"];
  #kept: GpuTensors | null = null;
  /** Taken after the last step, where the next one is to be shown. */
  #before: Snapshot | null = null;
  /** When the last one was shown. */
  #last = -Infinity;
  #failed = false;

  /**
   * None taken yet.
   *
   * @param gpu where the latents are
   * @param sampler of the run
   */
  constructor(
    gpu: Gpu,
    request: PreviewRequest,
    { drawsNoise, state }: Pick<Sampler, "drawsNoise" | "state">,
    { onWarning }: CallOptions,
  ) {
    this.#gpu = gpu;
    this.#request = request;
    // Others mix in noise, or what earlier steps predicted.
    this.#canSolve = !drawsNoise && state === undefined;
    this.#onWarning = onWarning;
  }

  /**
   * Looks at a step; costs nothing where no preview is due. One that fails ends
   * the previews, not the run.
   *
   * @throws {MasterWeaverError} `device-lost`, `aborted`, and what `onPreview` throws
   */
  async take(step: DenoisedStep): Promise<void> {
    const { map } = this.#request.source;
    if (map === null || this.#failed) return;
    let images: Image[] | null = null;
    try {
      images = await this.#look(step, map);
    } catch (error) {
      const isOnlyPreview = error instanceof MasterWeaverError &&
        error.code !== "device-lost" && error.code !== "aborted";
      if (!isOnlyPreview) throw error;
      this.#failed = true;
      this.#onWarning?.(`No more previews: ${error.message}`);
    }
    const { done, steps: total } = step;
    if (images) this.#request.onPreview({ step: done, total, images });
  }

  /** The images after a step, where they are due. */
  async #look(step: DenoisedStep, map: PreviewMap): Promise<Image[] | null> {
    const { index, total, latents, level } = step;
    const before = this.#before;
    this.#before = null;
    let shown: Image[] | null = null;
    // The last step's images come at once, and sharper.
    if (before && index < total - 1) {
      await step.settled();
      const clean = await this.#clean(before, { latents, level });
      shown = imagesOf(clean, latents, map);
      this.#last = performance.now();
    }
    const isDue = performance.now() - this.#last >= this.#request.interval;
    if (isDue && index < total - 2) {
      this.#before = { latents: await this.#keep(latents), level };
    }
    return shown;
  }

  /** A copy of latents, which the next step overwrites. */
  async #keep(latents: GpuTensor): Promise<GpuTensor> {
    const { spec, slice } = latents;
    this.#kept ??= await GpuTensors.make(this.#gpu, { latents: spec });
    const kept = this.#kept.bindings.latents;
    copyBuffers(this.#gpu, [[slice, kept.slice]]);
    return kept;
  }

  /** Latents without their noise. */
  async #clean(before: Snapshot, after: Snapshot): Promise<Float32Array> {
    const { level } = after;
    if (!this.#canSolve) {
      const [bytes] = await readBuffers(this.#gpu, [after.latents.slice]);
      return scaled(new Float32Array(bytes), level);
    }
    const [old, now] = await readBuffers(this.#gpu, [
      before.latents.slice,
      after.latents.slice,
    ]);
    return cleanLatents(
      { latents: new Float32Array(old), level: before.level },
      { latents: new Float32Array(now), level },
    );
  }

  /** Frees the copy. */
  [Symbol.dispose](): void {
    this.#kept?.[Symbol.dispose]();
    this.#kept = null;
  }
}

/** Latents on the host. */
export interface NoisyLatents {
  /** (n, h, w, C) */
  readonly latents: Float32Array;
  /** How much noise is in them. */
  readonly level: NoiseLevel;
}

/**
 * Latents without their noise, from before and after one step.
 *
 * A step that draws no noise keeps x0 and ε: with before = a · x0 + s · ε and
 * after = a' · x0 + s' · ε, these are two equations for x0.
 */
export function cleanLatents(
  before: NoisyLatents,
  after: NoisyLatents,
): Float32Array {
  const { image: a, noise: s } = before.level;
  const { image: nextA, noise: nextS } = after.level;
  const divisor = a * nextS - nextA * s;
  // A step that hardly changes the level tells nothing.
  if (Math.abs(divisor) < 1e-6) return scaled(after.latents, after.level);
  return after.latents.map((value, i) =>
    (before.latents[i] * nextS - value * s) / divisor
  );
}

/** Latents at the size that they have without noise, which is still in them. */
function scaled(latents: Float32Array, { image }: NoiseLevel): Float32Array {
  return latents.map((value) => value / image);
}

/** Reads the latents of each image of a batch. */
export async function readLatents(
  gpu: Gpu,
  { spec, slice }: GpuTensor,
): Promise<Float32Array[]> {
  const [bytes] = await readBuffers(gpu, [slice]);
  return perImage(new Float32Array(bytes), spec.shape[0]);
}

function perImage(latents: Float32Array, images: number): Float32Array[] {
  const length = latents.length / images;
  return Array.from(
    { length: images },
    (_, i) => latents.subarray(i * length, (i + 1) * length),
  );
}

function imagesOf(
  latents: Float32Array,
  { spec: { shape: [images, height, width] } }: GpuTensor,
  map: PreviewMap,
): Image[] {
  return perImage(latents, images)
    .map((own) => applyPreview(map, own, { height, width }));
}
