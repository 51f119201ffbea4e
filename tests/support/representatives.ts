/**
 * A few of the cases of ops that together use every kernel, activation and type
 * of weight.
 *
 * @module
 */
import type { OpCase } from "../ops/op_case.ts";

/** Attention takes seconds to compile: one case has all its kernels. */
const ATTENTION = /^(heads of 80, )?text and identity/;
/** As long to compile, and their activation is that of every kernel. */
const SLOW = /^(linear|conv2d) workgroup-tiled/;

/**
 * Chooses the first case of each kernel, output, activation and type of weight of an op.
 *
 * @returns whether a case's kernel is chosen; to be asked once about each
 */
export function representatives(): (opCase: OpCase, kernel: string) => boolean {
  const seen = new Set<string>();
  return ({ op, name, attributes, output, inputs }, kernel) => {
    if (SLOW.test(`${op.name} ${kernel}`)) return false;
    if (op.name.startsWith("attention") && !ATTENTION.test(name)) return false;
    const { activation, mode, operation } = attributes as Record<
      string,
      string
    >;
    const isFar = name.includes("beyond");
    const { dtype } = inputs.weight ?? {};
    const key = [
      op.name,
      kernel,
      output,
      activation,
      mode,
      operation,
      dtype,
      isFar,
    ]
      .join();
    return !seen.has(key) && Boolean(seen.add(key));
  };
}
