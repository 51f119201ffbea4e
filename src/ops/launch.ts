/**
 * A launch: one dispatch of a shader, in an op's own names. It knows tensors by
 * what they are to the op, not where they lie.
 *
 * @module
 */
import type { Access } from "../gpu/pipelines.ts";

/** One dispatch, in the names of an op's inputs `I`, outputs `O` and its kernel's scratch `S`. */
export interface Launch<
  I extends string = string,
  O extends string = string,
  S extends string = string,
> {
  /** File name of the shader, without folder and ending, and what else tells its code from others. */
  readonly shader: string;
  /** Its WGSL. */
  readonly code: string;
  /** Whether it only lays data out anew: the op's operations are done by its other launches. */
  readonly moves?: boolean;
  /** Constants put in front of it. */
  readonly defines?: Readonly<Record<string, number>>;
  /** Type aliases put in front of it. */
  readonly types?: Readonly<Record<string, string>>;
  /** Values of its `override` declarations. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Its buffers and textures, `@binding(0)` onwards. */
  readonly bind: readonly Binding<I, O, S>[];
  /** Its uniform, by the names of the shader's `Params`. */
  readonly params: Params;
  /** Number of workgroups. */
  readonly workgroups: number;
}

/** Members of a shader's `Params` by name: a number, of a vector one a component. */
export type Params = Readonly<Record<string, number | readonly number[]>>;

/** What a launch binds, and how the shader sees it. */
export type Binding<
  I extends string = string,
  O extends string = string,
  S extends string = string,
> =
  | { readonly input: I } & BindingUse
  | { readonly output: O } & BindingUse
  | { readonly scratch: S } & BindingUse
  /** Zeros, in place of an operand that this launch does not have. */
  | { readonly absent: true; readonly access: "read" };

/** How a binding is used. */
export interface BindingUse {
  /** As the shader declares it. */
  readonly access: Access;
  /** The slice of a buffer's tensor that is bound; all of it where not given. */
  readonly slice?: BindingSlice;
}

/** A slice of a tensor, in bytes from its start. */
export interface BindingSlice {
  /** Where it starts: a multiple of 256. */
  readonly offset: number;
  /** Its length. */
  readonly size: number;
}

/** Nothing but zeros. */
export const absent = { absent: true, access: "read" } as const;

/** A buffer that a shader reads. */
export type BufferRead = BindingUse & { readonly access: "read" };
/** A buffer that a shader writes. */
export type BufferWrite = BindingUse & { readonly access: "write" };

/** Inputs that a shader reads from buffers; an absent one is bound to zeros. */
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
