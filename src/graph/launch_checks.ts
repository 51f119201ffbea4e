/**
 * Checks of a plan's launches before anything is allocated, and estimates of their
 * work.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { TexelShape } from "../gpu/texels.ts";
import {
  type Binding,
  describe,
  type Launch,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { describeNode, type OpNode } from "./graph.ts";
import type { Step } from "./lowering.ts";

/** The tensor that a launch binds as a buffer; `undefined` for a texture or an absent operand. */
export function boundSpec(
  { node, operands, scratch }: Step,
  binding: Binding,
): TensorSpec | undefined {
  if (binding.access === "read texels" || binding.access === "write texels") {
    return undefined;
  }
  if ("input" in binding) return operands[binding.input];
  if ("output" in binding) return node.outputs[binding.output];
  if (!("scratch" in binding)) return undefined;
  const spec = scratch[binding.scratch];
  return "shape" in spec ? spec : undefined;
}

/**
 * Requires that every buffer a launch binds fits a binding.
 *
 * @throws {MasterWeaverError} `out-of-memory`
 */
export function checkBindings(step: Step, launch: Launch): void {
  const { maxStorageBufferBindingSize: limit } = step.target.limits;
  for (const binding of launch.bind) {
    const spec = boundSpec(step, binding);
    if (!spec || "absent" in binding) continue;
    const bytes = binding.slice?.size ?? tensorBytes(spec);
    if (bytes <= limit) continue;
    const name = "input" in binding
      ? binding.input
      : "output" in binding
      ? binding.output
      : binding.scratch;
    throw new MasterWeaverError(
      "out-of-memory",
      `Cannot place ${name} ${describe(spec)} of ${
        describeNode(step.node)
      }: ${bytes} bytes, but this adapter binds at most ${limit}; ` +
        'use dtype: "f16", a smaller image or fewer images at once',
    );
  }
}

/**
 * Requires that a texture is no taller than the adapter allows.
 *
 * @param most most rows that the adapter allows
 *
 * @throws {MasterWeaverError} `out-of-memory`
 */
export function checkShape(
  { width, height }: TexelShape,
  what: string,
  most: number,
): void {
  if (height <= most) return;
  throw new MasterWeaverError(
    "out-of-memory",
    `Cannot make ${what}: a texture of ${width}×${height}, but this adapter allows at most ${most} rows; ` +
      "use a smaller image or fewer images at once",
  );
}

/** Floating-point operations that a CPU does in the time it takes to move a byte. */
const OPERATIONS_PER_BYTE = 8;

/**
 * The work of each of an op's launches, in floating-point operations including the
 * equivalent of its memory traffic: used to estimate their time.
 *
 * Every shader moves the op's tensors once. Shaders that do more than move data
 * share the op's operations equally. A shader's launches share its work in
 * proportion to their workgroups.
 */
export function launchWork(
  node: OpNode,
  launches: readonly Launch[],
): number[] {
  const tensors = [
    ...Object.values(node.outputs),
    ...Object.values(node.inputs),
  ];
  const bytes = tensors.reduce(
    (sum, spec) => sum + (spec ? tensorBytes(spec) : 0),
    0,
  );
  const flops: number = node.op.flops?.(node) ?? 0;
  const groups = new Map<string, number>();
  const computing = new Set<string>();
  for (const { shader, workgroups, onlyMovesData } of launches) {
    groups.set(shader, (groups.get(shader) ?? 0) + workgroups);
    if (!onlyMovesData) computing.add(shader);
  }
  return launches.map(({ shader, workgroups, onlyMovesData }) => {
    const work = OPERATIONS_PER_BYTE * bytes +
      (onlyMovesData ? 0 : flops / computing.size);
    return work * workgroups / Math.max(1, groups.get(shader)!);
  });
}
