/**
 * Recorded training steps: every input and random draw, as PyTorch lays them out.
 *
 * Source: the files of `tools/reference/train.py`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { resizeNearest, type StepBatch } from "./batch.ts";
import type { Moments } from "./towers.ts";

/** A recorded tensor. */
export interface RecordedTensor {
  /** Lengths of its axes, outermost first. */
  readonly shape: readonly number[];
  /** Its elements. */
  readonly data: Float32Array | Int32Array;
}

/** Recorded tensors by name. */
export type RecordedTensors = ReadonlyMap<string, RecordedTensor>;

/** What the model says about a recording's shapes. */
export interface RecordingSizes {
  /** Channels C of the latents. */
  readonly latentChannels: number;
  /** Pixels of the image per latent along each side. */
  readonly factor: number;
  /** Tokens of a prompt. */
  readonly tokens: number;
  /** Tokens in the vocabulary. */
  readonly vocabulary: number;
  /** References of a sample. */
  readonly references: number;
  /** Rows and columns of a reference in pixels. */
  readonly visionSide: number;
  /** Timesteps of the noise schedule. */
  readonly trainSteps: number;
}

/** A recording whose shapes have been checked. */
export class Recording {
  /** Samples of a step B. */
  readonly batch: number;
  /** Steps that were recorded. */
  readonly steps: number;
  /** Rows and columns of the latents. */
  readonly latentSize: readonly [number, number];
  /** Whether even steps have the editing-direction loss. */
  readonly edits: boolean;
  readonly #tensors: RecordedTensors;
  readonly #sizes: RecordingSizes;

  /**
   * Checks names, shapes and values.
   *
   * @param tensors `clip_images` (B, R, 3, S, S), `noise` (N, B, C, h, w), `timesteps` (N, B), `lambda` (N, B), `face_box` (B, 1, H, W), `input_ids` (B, T); `latents` (B, C, h, w), or `images` (B, 3, H, W) and `vae_noise` (B, C, h, w); in stage 2 also `rec_ids`, `edit_ids` (B, T), `noise_edit` and `timesteps_edit`
   * @throws {MasterWeaverError} `bad-option` naming the tensor
   */
  constructor(tensors: RecordedTensors, sizes: RecordingSizes, stage: 1 | 2) {
    this.#tensors = tensors;
    this.#sizes = sizes;
    const { references, visionSide, latentChannels, tokens } = sizes;
    const noise = this.#tensor("noise", 5);
    const [steps, batch, , height, width] = noise.shape;
    this.steps = steps;
    this.batch = batch;
    this.latentSize = [height, width];
    this.edits = stage === 2;
    const latents = [batch, latentChannels, height, width];
    const image = [height * sizes.factor, width * sizes.factor];
    this.#require("noise", [steps, ...latents]);
    this.#require("timesteps", [steps, batch]);
    this.#require("lambda", [steps, batch]);
    this.#require("face_box", [batch, 1, ...image]);
    this.#require("input_ids", [batch, tokens]);
    this.#require("clip_images", [
      batch,
      references,
      3,
      visionSide,
      visionSide,
    ]);
    if (tensors.has("latents")) this.#require("latents", latents);
    else {
      this.#require("images", [batch, 3, ...image]);
      this.#require("vae_noise", latents);
    }
    if (stage === 2) {
      this.#require("rec_ids", [batch, tokens]);
      this.#require("edit_ids", [batch, tokens]);
      this.#require("noise_edit", [steps, ...latents]);
      this.#require("timesteps_edit", [steps, batch]);
    }
    this.#checkValues();
  }

  /** Checks all numbers, so that a wrong one is told before the first step. */
  #checkValues(): void {
    const { trainSteps, vocabulary } = this.#sizes;
    const used = this.#tensors.has("latents")
      ? ["latents"]
      : ["images", "vae_noise"];
    used.push("clip_images", "noise", "lambda", "face_box");
    if (this.edits) used.push("noise_edit");
    for (const name of used) {
      this.#checkEach(name, "finite numbers", Number.isFinite);
    }
    const isWhole = (end: number) => (value: number) =>
      Number.isInteger(value) && value >= 0 && value < end;
    const [times, ids] = this.edits
      ? [["timesteps", "timesteps_edit"], ["input_ids", "rec_ids", "edit_ids"]]
      : [["timesteps"], ["input_ids"]];
    for (const name of times) {
      const expected = `whole numbers in 0..${trainSteps - 1}`;
      this.#checkEach(name, expected, isWhole(trainSteps));
    }
    for (const name of ids) {
      const expected = `token ids in 0..${vocabulary - 1}`;
      this.#checkEach(name, expected, isWhole(vocabulary));
    }
  }

  #checkEach(
    name: string,
    expected: string,
    isValid: (value: number) => boolean,
  ): void {
    const { data } = this.#tensors.get(name)!;
    const at = data.findIndex((value) => !isValid(value));
    if (at < 0) return;
    throw bad(`its ${name} holds ${data[at]}, expected ${expected}`);
  }

  /** Pixels of the images, (H, W, 4) each, where latents were not recorded. */
  get images(): readonly Float32Array[] | undefined {
    if (this.#tensors.has("latents")) return undefined;
    const { shape: [, , height, width], data } = this.#tensors.get("images")!;
    return this.#perSample(data as Float32Array).map((pixels) =>
      channelsLast(pixels, [1, 3, height, width], 4)
    );
  }

  /**
   * Scaled latents, (B, h, w, C).
   *
   * @param moments of the images, where latents were not recorded
   * @param scale the VAE's scaling factor
   */
  latents(moments: readonly Moments[], scale: number): Float32Array {
    const recorded = this.#tensors.get("latents");
    if (recorded) return this.#latentsOf(recorded);
    const noise = this.#latentsOf(this.#tensors.get("vae_noise")!);
    const length = noise.length / this.batch;
    const latents = new Float32Array(noise.length);
    moments.forEach((moment, b) => {
      const own = noise.subarray(b * length, (b + 1) * length);
      latents.set(sampleLatents(moment, own, scale), b * length);
    });
    return latents;
  }

  /**
   * A recorded step as a batch.
   *
   * @param latents what {@linkcode latents} gave
   */
  step(step: number, latents: Float32Array): StepBatch {
    const { batch, latentSize } = this;
    const noise = this.#step("noise", step);
    const timesteps = this.#timesteps("timesteps", step);
    const box = this.#tensors.get("face_box")!;
    const [, , height, width] = box.shape;
    const faceBox = new Float32Array(batch * latentSize[0] * latentSize[1]);
    this.#perSample(box.data as Float32Array).forEach((map, b) => {
      const small = resizeNearest(map, [height, width], latentSize);
      faceBox.set(small, b * small.length);
    });
    return {
      latents,
      noise: this.#latentsOf(noise),
      timesteps,
      ids: this.#ids("input_ids"),
      references: this.#references(),
      mix: Float32Array.from(this.#step("lambda", step).data),
      faceBox,
      edit: this.edits && step % 2 === 0
        ? {
          plainIds: this.#ids("rec_ids"),
          editedIds: this.#ids("edit_ids"),
          noise: this.#latentsOf(this.#step("noise_edit", step)),
          timesteps: this.#timesteps("timesteps_edit", step),
        }
        : undefined,
    };
  }

  /** All references; one of nothing but zeros is an empty one. */
  #references() {
    const { shape, data } = this.#tensors.get("clip_images")!;
    const [batch, references, channels, rows, columns] = shape;
    const length = channels * rows * columns;
    return Array.from({ length: batch * references }, (_, i) => {
      const pixels = data.subarray(i * length, (i + 1) * length);
      if (pixels.every((value) => value === 0)) return null;
      const size = [1, channels, rows, columns] as const;
      return { pixels: channelsLast(pixels as Float32Array, size, 4) };
    });
  }

  #step(name: string, step: number): RecordedTensor {
    const { shape: [, ...shape], data } = this.#tensors.get(name)!;
    const length = shape.reduce((n, axis) => n * axis, 1);
    return { shape, data: data.subarray(step * length, (step + 1) * length) };
  }

  #latentsOf({ shape, data }: RecordedTensor): Float32Array {
    const [batch, channels, height, width] = shape;
    const size = [batch, channels, height, width] as const;
    return channelsLast(data as Float32Array, size, channels);
  }

  #timesteps(name: string, step: number): number[] {
    return [...this.#step(name, step).data];
  }

  #ids(name: string): Uint32Array {
    return Uint32Array.from(this.#tensors.get(name)!.data);
  }

  #perSample(data: Float32Array): Float32Array[] {
    const length = data.length / this.batch;
    return Array.from(
      { length: this.batch },
      (_, b) => data.subarray(b * length, (b + 1) * length),
    );
  }

  #tensor(name: string, axes: number): RecordedTensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw bad(`it has no tensor ${name}`);
    if (tensor.shape.length === axes && tensor.shape.every((n) => n > 0)) {
      return tensor;
    }
    throw bad(
      `its ${name} is (${tensor.shape.join(", ")}), expected ${axes} axes${
        tensor.shape.length === axes ? ", none of them 0" : ""
      }`,
    );
  }

  #require(name: string, shape: readonly number[]): void {
    const tensor = this.#tensor(name, shape.length);
    if (tensor.shape.every((length, i) => length === shape[i])) return;
    throw bad(
      `its ${name} is (${tensor.shape.join(", ")}), expected (${
        shape.join(", ")
      })`,
    );
  }
}

function bad(fault: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Cannot replay the recording: ${fault}`,
  );
}

/**
 * A sample of an image's latents: (mean + exp(logvar / 2) · noise) · scale, with
 * logvar clamped to −30..20.
 *
 * @param noise standard normal, (h, w, C)
 */
export function sampleLatents(
  { mean, logvar }: Moments,
  noise: Float32Array,
  scale: number,
): Float32Array {
  return mean.map((value, i) => {
    const deviation = Math.exp(0.5 * Math.min(20, Math.max(-30, logvar[i])));
    return (value + deviation * noise[i]) * scale;
  });
}

/** (B, C, H, W) → (B, H, W, `channels`), channels beyond C zero. */
export function channelsLast(
  data: Float32Array,
  [batch, from, height, width]: readonly [number, number, number, number],
  channels: number,
): Float32Array {
  const area = height * width;
  const moved = new Float32Array(batch * area * channels);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < from; c++) {
      const start = (b * from + c) * area;
      for (let i = 0; i < area; i++) {
        moved[(b * area + i) * channels + c] = data[start + i];
      }
    }
  }
  return moved;
}

/** (B, H, W, C) → (B, C, H, W). */
export function channelsFirst(
  data: Float32Array,
  [batch, height, width, channels]: readonly [number, number, number, number],
): Float32Array {
  const area = height * width;
  const moved = new Float32Array(data.length);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      const start = (b * channels + c) * area;
      for (let i = 0; i < area; i++) {
        moved[start + i] = data[(b * area + i) * channels + c];
      }
    }
  }
  return moved;
}
