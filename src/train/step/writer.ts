/**
 * Writes a batch to the inputs of a step's plans, and runs the frozen towers on it.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { BufferSlice } from "../../gpu/buffers.ts";
import { copyBuffers } from "../../gpu/copies.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Pace } from "../../gpu/pace.ts";
import type { GpuTensors } from "../../graph/tensors.ts";
import { elementBytes, elementCount } from "../../ops/op.ts";
import { alphasCumprod } from "../../samplers/noise_levels.ts";
import {
  checkKept,
  type EditBatch,
  type ReferenceInput,
  resizeBilinear,
  type StepBatch,
} from "../batch.ts";
import type { FrozenTowers, ReferencePlace } from "../towers.ts";
import type { StepComponents } from "./graph.ts";
import { BOX_EPS } from "./losses.ts";
import type { StepPlans } from "./plans.ts";

/** What batches are written with. */
export interface StepWriterParts {
  /** The device. */
  readonly gpu: Gpu;
  /** The networks, of which the noise schedule is taken. */
  readonly components: StepComponents;
  /** Have the inputs. */
  readonly plans: StepPlans;
  /** The frozen networks. */
  readonly towers: FrozenTowers;
  /** `features` of an empty reference, (1, tokens, E). */
  readonly empty: GpuTensors;
  /** Rows and columns of the latents, h and w. */
  readonly latentSize: readonly [number, number];
  /** Replaces values by their means over the ranks that train together, in place. */
  readonly meanOverRanks?: (values: Float32Array) => Promise<void>;
}

/** Writes batches. */
export class StepWriter {
  readonly #parts: StepWriterParts;
  readonly #alphas: Float32Array;

  /** Nothing is written yet. */
  constructor(parts: StepWriterParts) {
    this.#parts = parts;
    this.#alphas = alphasCumprod(parts.components.unet.config.scheduler);
  }

  /**
   * Writes all inputs of a step but the parameters.
   *
   * @throws {MasterWeaverError} `bad-option` or `bad-data` if the batch does not fit; `device-lost`, `gpu`, and what the pace throws
   */
  async write(batch: StepBatch, pace: Pace): Promise<void> {
    const { plans, towers } = this.#parts;
    this.writeLevels("", batch.timesteps);
    plans.write("latents", batch.latents);
    plans.write("noise", batch.noise);
    plans.write("mix", batch.mix);
    plans.write("outside", batch.faceBox.map((inside) => 1 - inside));
    plans.write(
      "sample_weights",
      batch.sampleWeights ?? new Float32Array(batch.timesteps.length).fill(1),
    );
    await towers.encodeText(batch.ids, plans.input("text"), pace);
    await this.#writeReferences(batch.references, pace);
    if (batch.edit) await this.#writeEdit(batch.edit, batch.faceBox, pace);
  }

  /** Noise levels and timesteps of the batch's images, or of its edits. */
  writeLevels(prefix: string, timesteps: readonly number[]): void {
    const shares = timesteps.map((t) => this.#alphas[t]);
    const { plans } = this.#parts;
    plans.write(`${prefix}t`, Float32Array.from(timesteps));
    plans.write(
      `${prefix}signal_level`,
      Float32Array.from(shares, (alpha) => Math.sqrt(alpha)),
    );
    plans.write(
      `${prefix}noise_level`,
      Float32Array.from(shares, (alpha) => Math.sqrt(1 - alpha)),
    );
  }

  /** Fills `features`: copied, computed, or written as they were computed before. */
  async #writeReferences(
    references: readonly ReferenceInput[],
    pace: Pace,
  ): Promise<void> {
    const { gpu, plans, towers, empty } = this.#parts;
    const features = plans.input("features");
    const { spec: { shape, dtype }, slice } = features;
    const [count, ...rest] = shape;
    if (references.length !== count) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot train on ${references.length} references a step: expected ${count}`,
      );
    }
    const values = elementCount(rest);
    const bytes = values * elementBytes(dtype);
    const place = (i: number): BufferSlice => ({
      buffer: slice.buffer,
      offset: slice.offset + i * bytes,
      size: bytes,
    });
    const copies: (readonly [BufferSlice, BufferSlice])[] = [];
    const encoded: ReferencePlace[] = [];
    for (const [i, reference] of references.entries()) {
      if (reference === null) {
        copies.push([empty.bindings.features.slice, place(i)]);
      } else if ("features" in reference) {
        checkKept(reference.features, values, "features of a reference");
        plans.writePart("features", reference.features, i * values);
      } else {
        encoded.push({ pixels: reference.pixels, to: place(i) });
      }
    }
    copyBuffers(gpu, copies);
    await towers.encodeReferences(encoded, pace);
  }

  async #writeEdit(
    { plainIds, editedIds, noise, timesteps }: EditBatch,
    faceBox: Float32Array,
    pace: Pace,
  ): Promise<void> {
    const { plans, towers } = this.#parts;
    this.writeLevels("edit_", timesteps);
    plans.write("edit_noise", noise);
    await towers.encodeText(plainIds, plans.input("plain_text"), pace);
    await towers.encodeText(editedIds, plans.input("edited_text"), pace);
    await this.#writeBoxes(faceBox);
  }

  /** The face boxes at the size of each layer, and their sums, over all ranks. */
  async #writeBoxes(faceBox: Float32Array): Promise<void> {
    const { plans, latentSize: [height, width], meanOverRanks } = this.#parts;
    const area = height * width;
    const sizes: string[] = [];
    const sums: number[] = [];
    for (const name of plans.inputs) {
      const [, rows, columns] = /^box_(\d+)x(\d+)$/.exec(name) ?? [];
      if (!rows) continue;
      const { spec: { shape: [batch, tokens] } } = plans.input(name);
      const boxes = new Float32Array(batch * tokens);
      for (let b = 0; b < batch; b++) {
        const box = faceBox.subarray(b * area, (b + 1) * area);
        const size = [Number(rows), Number(columns)] as const;
        boxes.set(resizeBilinear(box, [height, width], size), b * tokens);
      }
      plans.write(name, boxes);
      sizes.push(`${rows}x${columns}`);
      sums.push(boxes.reduce((sum, value) => sum + value, 0));
    }
    const areas = Float32Array.from(sums);
    await meanOverRanks?.(areas);
    sizes.forEach((size, i) =>
      plans.write(`area_${size}`, Float32Array.of(areas[i] + BOX_EPS))
    );
  }
}
