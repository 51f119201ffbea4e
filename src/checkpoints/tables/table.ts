/**
 * The form of tables, which say how a checkpoint's tensors become a component's:
 * everything that is renamed, reshaped, folded or left out.
 *
 * @module
 */
import type { NamedShape } from "./requested_weights.ts";

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
   * Computes the values from those of {@linkcode from}; without it the values of
   * its one tensor are stored unchanged.
   */
  readonly make?: (
    values: readonly Float32Array<ArrayBuffer>[],
  ) => Float32Array<ArrayBuffer>;
  /**
   * Whether it is stored as f32 whatever was asked for: computed values need not
   * be representable in the checkpoint's own type.
   */
  readonly exact?: boolean;
}

/** Tensors left out on purpose. */
export interface Dropped {
  /** Which names. */
  readonly names: RegExp;
  /** Why, for the report. */
  readonly reason: string;
  /** What the user should know about a file that has them. */
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
 * A row whose values are stored unchanged.
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
