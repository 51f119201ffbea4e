/**
 * How a checkpoint's tensors become a component's: names, shapes, and which
 * are left out. Everything that is renamed, reshaped or folded is said here.
 *
 * @module
 */

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

/** Collects the rows of a table. */
export class TableRows {
  /** The rows so far. */
  readonly rows: TableRow[] = [];

  /**
   * A tensor.
   *
   * @param name its name in the component
   * @param shape PyTorch's dimensions
   * @param names its names in the checkpoint, where it has others
   */
  tensor(name: string, shape: readonly number[], names = [name]): void {
    this.rows.push({ name, shape, from: [{ names, shape }] });
  }

  /** A Linear: weight (out, in) and, unless told otherwise, bias (out). */
  linear(path: string, out: number, inner: number, bias = true): void {
    this.tensor(`${path}.weight`, [out, inner]);
    if (bias) this.tensor(`${path}.bias`, [out]);
  }

  /** A LayerNorm or GroupNorm over `size` channels. */
  norm(path: string, size: number): void {
    this.tensor(`${path}.weight`, [size]);
    this.tensor(`${path}.bias`, [size]);
  }

  /** A Conv2d with bias: weight (out, in, kernel, kernel). */
  conv(path: string, out: number, inner: number, kernel: number): void {
    this.tensor(`${path}.weight`, [out, inner, kernel, kernel]);
    this.tensor(`${path}.bias`, [out]);
  }
}
