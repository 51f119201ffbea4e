/**
 * What an op is: a shape rule and a list of kernels, nothing that knows of a
 * graph.
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

/** An op applied: what it is given and what it makes. */
export interface Call<I extends Specs, A, O extends string = "output"> {
  /** Shapes and element types of its inputs. */
  readonly inputs: I;
  /** Those of its outputs. */
  readonly outputs: Readonly<Record<O, TensorSpec>>;
  /** Its attributes. */
  readonly attributes: A;
}

/** An op with inputs by name `I`, attributes `A` and outputs by name `O`. */
export interface Op<
  I extends Specs = Specs,
  A = unknown,
  O extends string = "output",
> {
  /** What messages and the bench call it. */
  readonly name: string;
  /**
   * Element types of inputs that are not floats of the op's storage type;
   * `any` suits any but quantised ones, `weight` the storage type or quantised.
   */
  readonly dtypes?: Readonly<Record<string, DType | "any" | "weight">>;
  /** Outputs that take over the memory of an input, and that input: its old value is lost. */
  readonly overwrites?: Readonly<Partial<Record<O, keyof I & string>>>;
  /** The shape rule; throws {@linkcode shapeError} where inputs do not fit. */
  outputs(
    inputs: I,
    attributes: A,
    storage: StorageType,
  ): Readonly<Record<O, TensorSpec>>;
  /** Ways to compute it; the first runs everywhere. */
  readonly kernels: readonly Kernel<I, A, O>[];
  /** What else than element types decides which kernel is best. */
  kind?(inputs: I, attributes: A): string;
  /**
   * Inputs for about so large a share of the work, to time a kernel with;
   * nothing where these inputs cannot be cut.
   */
  excerpt?(inputs: I, attributes: A, share: number): I | undefined;
  /** Floating-point operations, for the bench. */
  flops?(call: Call<I, A, O>): number;
}

/** One way to compute an op; `S` are the names of its scratch memory. */
export interface Kernel<
  I extends Specs,
  A,
  O extends string = "output",
  S extends string = string,
> {
  /** Such as `baseline`, `workgroup-tiled`, `texture-backed`, `winograd`. */
  readonly name: string;
  /** Whether it can compute this; whatever the op can where not given. */
  supports?(call: Call<I, A, O>): boolean;
  /** How it wants the input `weight` to lie; in rows where not given. */
  readonly weightLayout?: WeightLayout;
  /** Inputs it wants packed into texels, as `pack_texels.ts` does; none where not given. */
  packed?(call: Call<I, A, O>, target: Target): readonly (keyof I & string)[];
  /** Memory it needs only while it runs. */
  scratch?(
    call: Call<I, A, O>,
    target: Target,
  ): Readonly<Record<S, ScratchSpec>>;
  /** Its dispatches. */
  launch(
    call: Call<I, A, O>,
    target: Target,
  ): readonly Launch<keyof I & string, O, S>[];
}

/** Scratch memory: a tensor in a buffer, or so many texels of 16 bytes in a texture. */
export type ScratchSpec = TensorSpec | { readonly texels: number };

/** What a launch may depend on beside its op. */
export interface Target {
  /** The storage type of the op's floats: what `real` means in its shaders. */
  readonly storage: StorageType;
  /** The device's limits. */
  readonly limits: GpuLimits;
}

/**
 * How a weight lies: row-major in a buffer, or in a texture as `blocks.ts` or
 * `winograd.ts` say.
 */
export type WeightLayout = "rows" | "blocks" | "winograd";

/** The kernels of an op that can compute something. */
export function kernelsFor<I extends Specs, A, O extends string>(
  op: Op<I, A, O>,
  call: Call<I, A, O>,
): readonly Kernel<I, A, O>[] {
  return op.kernels.filter((kernel) => kernel.supports?.(call) ?? true);
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
 * The storage type an op works in: that of its first float input which may be
 * of either.
 *
 * @param usual where it has none
 */
export function storageOf(
  { dtypes }: Pick<Op, "dtypes">,
  inputs: Specs,
  usual: StorageType,
): StorageType {
  for (const [key, spec] of Object.entries(inputs)) {
    const own = dtypes?.[key];
    const isFree = own === undefined || own === "weight";
    if (spec && isFree && isFloat(spec.dtype)) return spec.dtype;
  }
  return usual;
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
