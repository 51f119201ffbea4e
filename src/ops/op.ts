/**
 * What an op is: a shape rule and a launch, nothing that knows of a graph.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Access } from "../gpu/pipelines.ts";
import type { GpuLimits, StorageType } from "../gpu/gpu.ts";

/** Element type of a quantised weight: blocks of 32 values with an f16 scale. */
export type Quantised = "q8" | "q4";

/** Element type of a tensor on the GPU. */
export type DType = StorageType | "u32" | Quantised;

/** Shape and element type; tensors are dense and row-major. */
export interface TensorSpec {
  /** Lengths of the axes, outermost first. Images are (B, H, W, C). */
  readonly shape: readonly number[];
  /** Element type. */
  readonly dtype: DType;
}

/** Specs by the name an op knows its inputs by; optional ones may be absent. */
export type Specs = Readonly<Record<string, TensorSpec | undefined>>;

/** One dispatch, in the op's own names. */
export interface Launch {
  /** File name of the shader, without folder and ending, and what else tells its code from others. */
  readonly shader: string;
  /** Its WGSL. */
  readonly code: string;
  /** Whether it only lays data otherwise: the op's operations are done by its other launches. */
  readonly moves?: boolean;
  /** Constants put in front of it. */
  readonly defines?: Readonly<Record<string, number>>;
  /** Type aliases put in front of it. */
  readonly types?: Readonly<Record<string, string>>;
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Its buffers and textures in binding order: input names, `output`, `scratch0`, …, `texels0`, … */
  readonly bind: readonly BindingUse[];
  /** Its uniform: 32-bit words, in the order of the shader's struct. */
  readonly params: readonly Param[];
  /** Number of workgroups. */
  readonly workgroups: number;
}

/** One word of a uniform: a number is a `u32`, `{ f32 }` a float. */
export type Param = number | { readonly f32: number };

/** What a launch binds, and how the shader sees it. */
export interface BindingUse {
  /** Input name, `output`, `scratch0`, …, `texels0`, …; an absent input is bound to zeros. */
  readonly name: string;
  /** `write` is `var<storage, read_write>`, `texels` a texture that is read, `new texels` one that is written. */
  readonly access: Access;
  /** The part of a buffer's tensor that is bound; all of it where not given. */
  readonly part?: BindingPart;
}

/** A part of a tensor, in bytes from its start. */
export interface BindingPart {
  /** Where it starts: a multiple of 256. */
  readonly offset: number;
  /** Its length. */
  readonly size: number;
}

/** An op with inputs by name `I` and attributes `A`. */
export interface Op<I extends Specs = Specs, A = unknown> {
  /** What messages and the bench call it. */
  readonly name: string;
  /**
   * Element types of inputs that are not stored as the graph's storage type;
   * `any` suits any but quantised ones, `weight` that or quantised.
   */
  readonly dtypes?: Readonly<Record<string, DType | "any" | "weight">>;
  /** The shape rule; throws {@linkcode shapeError} where inputs do not fit. */
  output(inputs: I, attributes: A, storage: StorageType): TensorSpec;
  /**
   * Ways to compute these inputs, by name, the one that runs everywhere first;
   * where not given there is one way.
   */
  variants?(inputs: I, output: TensorSpec, attributes: A): readonly string[];
  /** What else than element types decides which variant is best. */
  kind?(inputs: I, attributes: A): string;
  /**
   * Inputs for about so large a share of the work, to time a variant with;
   * nothing where these inputs cannot be cut.
   */
  excerpt?(inputs: I, attributes: A, share: number): I | undefined;
  /** How a variant wants its `weight` to lie; row-major where not given. */
  weightLayout?(variant: string): WeightLayout;
  /** Memory it needs only while it runs. */
  scratch?(
    inputs: I,
    output: TensorSpec,
    attributes: A,
    variant: string | undefined,
  ): TensorSpec[];
  /**
   * Texels, of 16 bytes each, that it needs only while it runs: its launches
   * bind them as `texels0`, `texels1`, textures as `scratchShape` gives them,
   * which all ops of a plan share.
   */
  texels?(
    inputs: I,
    output: TensorSpec,
    attributes: A,
    target: Target,
  ): number[];
  /** The input whose memory the output takes over, where there is one. */
  readonly inPlace?: string;
  /** Its dispatches. */
  launch(
    inputs: I,
    output: TensorSpec,
    attributes: A,
    target: Target,
  ): Launch[];
  /** Floating-point operations, for the bench. */
  flops?(inputs: I, output: TensorSpec, attributes: A): number;
}

/** What a launch may depend on. */
export interface Target {
  /** What the storage type is. */
  readonly storage: StorageType;
  /** The device's limits. */
  readonly limits: GpuLimits;
  /** Which of the op's variants it is; the first where not given. */
  readonly variant?: string;
}

/**
 * How a weight lies: row-major in a buffer, or in a texture as `blocks.ts` or
 * `winograd_weights.ts` say.
 */
export type WeightLayout = "rows" | "blocks" | "winograd";

/** Whether a tensor is a quantised weight. */
export function isQuantised(dtype: string): dtype is Quantised {
  return dtype === "q8" || dtype === "q4";
}

/** Bytes an element takes; a quantised one has no such number. */
export function elementBytes(dtype: DType): number {
  if (isQuantised(dtype)) {
    throw new RangeError(`Cannot count bytes of one element of ${dtype}`);
  }
  return dtype === "f16" ? 2 : 4;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes a tensor takes; of a quantised one with its scales. */
export function tensorBytes({ shape, dtype }: TensorSpec): number {
  const count = elementCount(shape);
  if (!isQuantised(dtype)) return count * elementBytes(dtype);
  const quants = dtype === "q8" ? count : count / 2;
  return quants + Math.ceil(count / 32 * 2 / 4) * 4;
}

/** A spec as messages show it, such as `f16 (2, 77, 768)`. */
export function describe(spec: TensorSpec | undefined): string {
  return spec ? `${spec.dtype} (${spec.shape.join(", ")})` : "nothing";
}

/** The error of a shape rule: op, what it expects, what it was given. */
export function shapeError(
  op: string,
  expected: string,
  inputs: Specs,
): MasterWeaverError {
  const given = Object.entries(inputs).filter(([, spec]) => spec)
    .map(([name, spec]) => `${name} ${describe(spec)}`).join(", ");
  return new MasterWeaverError(
    "gpu",
    `Cannot apply ${op}: expected ${expected}, got ${given}`,
  );
}

/**
 * Requires every input's element type to be what the shader reads.
 *
 * @throws {MasterWeaverError} `gpu` naming op and input
 */
export function checkDtypes(
  { name, dtypes }: Pick<Op, "name" | "dtypes">,
  inputs: Specs,
  storage: StorageType,
): void {
  for (const [key, spec] of Object.entries(inputs)) {
    const expected = dtypes?.[key] ?? storage;
    if (!spec || suits(spec.dtype, expected, storage)) continue;
    throw shapeError(
      name,
      `${key} of element type ${
        expected === "weight" ? `${storage}, q8 or q4` : expected
      }`,
      inputs,
    );
  }
}

function suits(
  dtype: DType,
  expected: DType | "any" | "weight",
  storage: StorageType,
): boolean {
  if (expected === "any") return !isQuantised(dtype);
  if (expected === "weight") return dtype === storage || isQuantised(dtype);
  return dtype === expected;
}

/** Requires a condition of a shape rule. */
export function expectShape(
  holds: boolean,
  op: string,
  expected: string,
  inputs: Specs,
): asserts holds {
  if (!holds) throw shapeError(op, expected, inputs);
}

/** Shorthand for buffers a shader only reads. */
export function reads(...names: string[]): BindingUse[] {
  return names.map((name) => ({ name, access: "read" }));
}

/** Shorthand for buffers a shader writes. */
export function writes(...names: string[]): BindingUse[] {
  return names.map((name) => ({ name, access: "write" }));
}

/** Whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, i) => length === b[i]);
}
