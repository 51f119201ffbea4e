/**
 * How a checkpoint's tensors become a component's: names, shapes, and which
 * are left out. Everything that is renamed, reshaped or folded is said here.
 *
 * @module
 */
import type { NamedShape } from "./asked.ts";

/** A tensor that is read from the checkpoint. */
export interface SourceTensor {
  /** Names it may have, the usual one first. */
  readonly names: readonly string[];
  /** PyTorch's dimensions; ones at the end may be missing or more. */
  readonly shape: readonly number[];
}

/** A tensor that is written to the component. */
export interface TableRow {
  /** Its name in the component. */
  readonly name: string;
  /** PyTorch's dimensions, before four-dimensional ones become (O, kh, kw, I). */
  readonly shape: readonly number[];
  /** What it is made of. */
  readonly from: readonly SourceTensor[];
  /**
   * Makes the values from those of {@linkcode from}; where it is missing they
   * are taken as they are.
   */
  readonly make?: (
    values: readonly Float32Array<ArrayBuffer>[],
  ) => Float32Array<ArrayBuffer>;
  /**
   * Stored as f32 whatever was asked for: values that were computed, and so do
   * not lie on the grid of the type the checkpoint was stored in.
   */
  readonly exact?: boolean;
}

/** Tensors left out on purpose. */
export interface Dropped {
  /** Which names. */
  readonly names: RegExp;
  /** Why, for the report. */
  readonly reason: string;
  /** What the user is to know of a file that has them. */
  readonly warning?: string;
}

/** A component's table. */
export interface Table {
  /** The component: `unet`, … */
  readonly component: string;
  /** What is written, in the file's order. */
  readonly rows: readonly TableRow[];
  /** What is left out. */
  readonly dropped: readonly Dropped[];
}

/**
 * A row whose values are taken as they are.
 *
 * @param weight its name in the component and its shape
 * @param names its names in the checkpoint, where it has others
 */
export function plainRow(
  { name, shape }: NamedShape,
  names: readonly string[] = [name],
): TableRow {
  return { name, shape, from: [{ names, shape }] };
}
