/**
 * A launch: one dispatch of a shader, whose operands are named as in the op, not by
 * where they are stored.
 *
 * @module
 */
import type { Access } from "../gpu/pipelines.ts";

/** One dispatch; `I`, `O` and `S` are the names of an op's inputs and outputs and its kernel's scratch. */
export interface Launch<
  I extends string = string,
  O extends string = string,
  S extends string = string,
> {
  /** File name of the shader, without folder and extension, then what distinguishes its WGSL, such as the weight's type. */
  readonly shader: string;
  /** Its WGSL. */
  readonly code: string;
  /** Whether it only rearranges data, so that none of the op's operations are its work. */
  readonly onlyMovesData?: boolean;
  /** u32 constants prepended to the WGSL. */
  readonly defines?: Readonly<Record<string, number>>;
  /** Type aliases prepended to the WGSL. */
  readonly types?: Readonly<Record<string, string>>;
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Its buffers and textures, from `@binding(0)` on. */
  readonly bind: readonly Binding<I, O, S>[];
  /** The members of its uniform, the shader's `struct Params`. */
  readonly params: Params;
  /** Number of workgroups. */
  readonly workgroups: number;
}

/** Members of a shader's `struct Params` by name: a number, or a vector's components. */
export type Params = Readonly<Record<string, number | readonly number[]>>;

/** What a launch binds, and how the shader accesses it. */
export type Binding<
  I extends string = string,
  O extends string = string,
  S extends string = string,
> =
  | { readonly input: I } & BindingUse
  | { readonly output: O } & BindingUse
  | { readonly scratch: S } & BindingUse
  /** Zeros, in place of an operand that the launch lacks. */
  | { readonly absent: true; readonly access: "read" };

/** How a binding is used. */
export interface BindingUse {
  /** The access that the shader declares. */
  readonly access: Access;
  /** The slice of the tensor to bind, if it is stored in a buffer; all of it by default. */
  readonly slice?: BindingSlice;
}

/** A slice of a tensor, in bytes. */
export interface BindingSlice {
  /** Offset from the tensor's start, a multiple of 256. */
  readonly offset: number;
  /** Length. */
  readonly size: number;
}

/** The binding of an operand that a launch lacks: zeros. */
export const absent = { absent: true, access: "read" } as const;

/** A buffer that a shader reads. */
export type BufferRead = BindingUse & { readonly access: "read" };
/** A buffer that a shader writes. */
export type BufferWrite = BindingUse & { readonly access: "write" };

/** Inputs that a shader reads from buffers; zeros are bound for an optional input that is not given. */
export function reads<I extends string>(
  ...names: I[]
): ({ readonly input: I } & BufferRead)[] {
  return names.map((input) => ({ input, access: "read" }));
}

/** Outputs that a shader writes to buffers. */
export function writes<O extends string>(
  ...names: O[]
): ({ readonly output: O } & BufferWrite)[] {
  return names.map((output) => ({ output, access: "write" }));
}

/** Scratch that a shader reads from buffers. */
export function readsScratch<S extends string>(
  ...names: S[]
): ({ readonly scratch: S } & BufferRead)[] {
  return names.map((scratch) => ({ scratch, access: "read" }));
}

/** Scratch that a shader writes to buffers. */
export function writesScratch<S extends string>(
  ...names: S[]
): ({ readonly scratch: S } & BufferWrite)[] {
  return names.map((scratch) => ({ scratch, access: "write" }));
}
