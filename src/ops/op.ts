/**
 * What an op is: a shape rule and a list of kernels, independent of any graph.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { GpuLimits, StorageType } from "../gpu/gpu.ts";
import type { Launch } from "./launch.ts";
import {
  describe,
  type DType,
  isFloat,
  isQuantised,
  type Specs,
  type TensorSpec,
} from "./tensor_spec.ts";

export * from "./launch.ts";
export * from "./tensor_spec.ts";

/** An application of an op: the specs of its inputs and outputs, and its attributes. */
export interface Call<I extends Specs, A, O extends string = "output"> {
  /** Shapes and element types of the inputs. */
  readonly inputs: I;
  /** Shapes and element types of the outputs. */
  readonly outputs: Readonly<Record<O, TensorSpec>>;
  /** The attributes. */
  readonly attributes: A;
}

/** An op with inputs by name `I`, attributes `A` and outputs by name `O`. */
export interface Op<
  I extends Specs = Specs,
  A = unknown,
  O extends string = "output",
> {
  /** Name in messages and in the bench. */
  readonly name: string;
  /**
   * Element types of inputs that need not have the op's storage type: `any` is
   * anything but quantised, `weight` the storage type or quantised.
   */
  readonly dtypes?: Readonly<Record<string, DType | "any" | "weight">>;
  /** Outputs that overwrite an input, and which one. */
  readonly overwrites?: Readonly<Partial<Record<O, keyof I & string>>>;
  /** The shape rule; throws {@linkcode shapeError} if the inputs do not fit. */
  outputs(
    inputs: I,
    attributes: A,
    storage: StorageType,
  ): Readonly<Record<O, TensorSpec>>;
  /** Its kernels; the first supports every call and every adapter. */
  readonly kernels: readonly Kernel<I, A, O>[];
  /** What decides which kernel is best, besides element types. */
  tuningKey?(inputs: I, attributes: A): string;
  /**
   * Smaller inputs with about this share of the work, to time kernels with;
   * `undefined` if these inputs cannot be made smaller.
   */
  timingInputs?(inputs: I, attributes: A, share: number): I | undefined;
  /** Floating-point operations, to estimate and compare times. */
  flops?(call: Call<I, A, O>): number;
}

/** One way to compute an op; `S` names its scratch memory. */
export interface Kernel<
  I extends Specs,
  A,
  O extends string = "output",
  S extends string = string,
> {
  /** `baseline`, `workgroup-tiled`, `texture-backed` or `winograd`. */
  readonly name: string;
  /** Whether it can compute a call; every call of the op by default. */
  supports?(call: Call<I, A, O>): boolean;
  /** Layout of the input `weight`; rows by default. */
  readonly weightLayout?: WeightLayout;
  /** Inputs that must be packed into texels, by `pack_texels.ts`; none by default. */
  texelInputs?(
    call: Call<I, A, O>,
    target: Target,
  ): readonly (keyof I & string)[];
  /** Memory it needs only while it runs. */
  scratch?(
    call: Call<I, A, O>,
    target: Target,
  ): Readonly<Record<S, ScratchSpec>>;
  /** Its launches, in order. */
  launch(
    call: Call<I, A, O>,
    target: Target,
  ): readonly Launch<keyof I & string, O, S>[];
}

/** Scratch memory: a tensor in a buffer, or a number of 16-byte texels in a texture. */
export type ScratchSpec = TensorSpec | { readonly texels: number };

/** What launches may depend on besides the call. */
export interface Target {
  /** The storage type, which is `real` in shaders. */
  readonly storage: StorageType;
  /** The device's limits. */
  readonly limits: GpuLimits;
}

/**
 * Layout of a weight: row-major in a buffer, or in a texture as described in
 * `weights/blocks.ts` or `weights/winograd.ts`.
 */
export type WeightLayout = "rows" | "blocks" | "winograd";

/** The kernels of an op that support a call. */
export function kernelsFor<I extends Specs, A, O extends string>(
  op: Op<I, A, O>,
  call: Call<I, A, O>,
): readonly Kernel<I, A, O>[] {
  return op.kernels.filter((kernel) => kernel.supports?.(call) ?? true);
}

/** The error of a shape rule: which op, what it expected, what it got. */
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
 * The storage type an op works in: that of its first float input whose type is not
 * fixed by {@linkcode Op.dtypes}.
 *
 * @param fallback for an op without such an input
 */
export function storageOf(
  { dtypes }: Pick<Op, "dtypes">,
  inputs: Specs,
  fallback: StorageType,
): StorageType {
  for (const [key, spec] of Object.entries(inputs)) {
    const expected = dtypes?.[key];
    const isFree = expected === undefined || expected === "weight";
    if (spec && isFree && isFloat(spec.dtype)) return spec.dtype;
  }
  return fallback;
}

/**
 * Requires every input to have the element type that the op's shaders read.
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

/** Throws {@linkcode shapeError} unless a shape rule's condition holds. */
export function expectShape(
  holds: boolean,
  op: string,
  expected: string,
  inputs: Specs,
): asserts holds {
  if (!holds) throw shapeError(op, expected, inputs);
}
