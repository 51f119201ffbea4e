/**
 * Deltas that are added to a component's weights while they are read, such as a
 * LoRA or a trained difference.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "./brief.ts";
import { formatShape } from "./dtype.ts";
import { weaveFloats } from "./floats.ts";
import { listed } from "./scope.ts";
import type { WeaveFile, WeaveTensor } from "./weave.ts";

/** The longest chunk of a changed weight, in bytes. */
const CHUNK_BYTES = 4 * 2 ** 20;

/** A delta of one weight. */
export interface WeightDelta {
  /** The weight's name in its file. */
  readonly name: string;
  /** The weight's shape in its file; (O, kh, kw, I) for a convolution. */
  readonly shape: readonly number[];
  /**
   * The delta with its values in memory, for one pass over the weight, where it
   * reads them only when they are needed.
   */
  opened?(): Promise<WeightDelta>;
  /**
   * Adds the delta to a chunk of the weight.
   *
   * @param values the chunk, in row-major order; changed in place
   * @param offset where the chunk starts in the weight, in values
   * @param weight the chunk as the file has it, before any delta; `values` where
   *   this delta is the first
   */
  addTo(
    values: Float32Array,
    offset: number,
    weight?: Float32Array,
  ): void | Promise<void>;
}

/**
 * A component with deltas added to its weights. Weights that have a delta are
 * read as f32 whatever the file stores, quantised or not, so that they are
 * rounded only once, after the sum. The others are read as before.
 *
 * @param file the component; its hash stays that of the file
 * @param deltas any number for each weight, added in this order
 * @throws {MasterWeaverError} `bad-model` with all unknown names and all shapes that differ
 */
export function withDeltas(
  file: WeaveFile,
  deltas: readonly WeightDelta[],
): WeaveFile {
  checkDeltas(file, deltas);
  const byName = Map.groupBy(deltas, ({ name }) => name);
  const tensors = new Map(file.tensors);
  for (const [name, own] of byName) {
    tensors.set(name, changed(tensors.get(name)!, own));
  }
  return { ...file, tensors };
}

function checkDeltas(
  file: WeaveFile,
  deltas: readonly WeightDelta[],
): void {
  const unknown = new Set<string>();
  const misshapen: string[] = [];
  for (const { name, shape } of deltas) {
    const tensor = file.tensors.get(name);
    if (!tensor) unknown.add(brief(name));
    else if (tensor.dtype === "i32" || tensor.dtype === "u8") {
      misshapen.push(`${name} holds ${tensor.dtype}, not weights`);
    } else if (`${tensor.shape}` !== `${shape}`) {
      misshapen.push(
        `${name} is ${formatShape(tensor.shape)}, its delta ${
          formatShape(shape)
        }`,
      );
    }
  }
  const faults = [
    listed("unknown", [...unknown]),
    listed("misshapen", misshapen),
  ].filter((fault) => fault !== "");
  if (faults.length === 0) return;
  throw new MasterWeaverError(
    "bad-model",
    `Cannot change the weights of ${file.name}: its tensors are not those the deltas are for: ${
      faults.join("; ")
    }; give deltas that were made for this model`,
  );
}

/**
 * A weight as f32, with its deltas added in this order. Nothing of it is held
 * but a chunk, and the deltas' values while it is read.
 */
export function changed(
  tensor: WeaveTensor,
  deltas: readonly WeightDelta[],
): WeaveTensor {
  const { name, shape } = tensor;
  return {
    name,
    shape,
    dtype: "f32",
    bytes: 4 * count(shape),
    async *chunks(maxBytes = CHUNK_BYTES) {
      const step = Math.max(64, Math.floor(maxBytes / 256) * 64);
      let offset = 0;
      const opened = await Promise.all(
        deltas.map((delta) => delta.opened?.() ?? delta),
      );
      for await (const read of weaveFloats(tensor)) {
        for (let at = 0; at < read.length; at += step) {
          // A copy: what was read may be the source's own memory.
          const values = read.slice(at, at + step);
          const weight = read.subarray(at, at + step);
          for (const delta of opened) {
            await delta.addTo(values, offset, weight);
          }
          offset += values.length;
          yield new Uint8Array(values.buffer);
        }
      }
    },
  };
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
