/**
 * What a plan asks of launches before there is anything on the GPU: that what
 * they bind fits, and where their parameters lie.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { alignBinding } from "../gpu/buffers.ts";
import type { TexelShape } from "../gpu/texels.ts";
import {
  describe,
  type Launch,
  type Param,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { describeNode } from "./graph.ts";
import type { OpNode } from "./schedule.ts";

/**
 * Requires that every buffer a launch binds fits a binding.
 *
 * @throws {MasterWeaverError} `out-of-memory`
 */
export function checkBindings(
  node: OpNode,
  launch: Launch,
  { limits, variant }: Target,
): void {
  const { maxStorageBufferBindingSize: limit } = limits;
  const { op, inputs, attributes } = node.source;
  const scratch: TensorSpec[] =
    op.scratch?.(inputs, node, attributes, variant) ?? [];
  for (const { name, access, part } of launch.bind) {
    if (access === "texels" || access === "new texels") continue;
    const spec: TensorSpec | undefined = name === "output"
      ? node
      : name.startsWith("scratch")
      ? scratch[Number(name.slice("scratch".length))]
      : inputs[name];
    if (!spec || (part?.size ?? tensorBytes(spec)) <= limit) continue;
    throw new MasterWeaverError(
      "out-of-memory",
      `Cannot place ${name} ${describe(spec)} of ${describeNode(node)}: ${
        part?.size ?? tensorBytes(spec)
      } bytes, the adapter binds at most ${limit}; ` +
        'use dtype: "f16", a smaller image or fewer images at once',
    );
  }
}

/**
 * Requires that a texture is no taller than the adapter's.
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
    `Cannot make ${what}: a texture of ${width}×${height}, one of this adapter has at most ${most} rows; ` +
      "use a smaller image or fewer images at once",
  );
}

/** The parameters of some launches, and where each one's lie, in bytes. */
export interface PackedParams {
  /** All of them, little-endian. */
  readonly bytes: ArrayBuffer;
  /** In the order of the launches; each begins where a binding may. */
  readonly places: readonly {
    readonly offset: number;
    readonly size: number;
  }[];
}

/** Lays the parameters of launches one after the other. */
export function packParams(launches: readonly Launch[]): PackedParams {
  let total = 0;
  const places = launches.map(({ params }) => {
    const place = { offset: total, size: Math.ceil(params.length / 4) * 16 };
    total += alignBinding(place.size);
    return place;
  });
  const words = new DataView(new ArrayBuffer(total));
  launches.forEach(({ params }, i) =>
    params.forEach((param: Param, word) => {
      const at = places[i].offset + 4 * word;
      if (typeof param === "number") words.setUint32(at, param, true);
      else words.setFloat32(at, param.f32, true);
    })
  );
  return { bytes: words.buffer, places };
}

/** Floating-point operations that a CPU does in the time it moves a byte. */
const OPERATIONS_A_BYTE = 8;

/**
 * The work of an op's launches, in floating-point operations or what moving its
 * tensors stands for: to estimate how long they take.
 *
 * Shaders that only move data do so once; the others do an equal share of the
 * op's operations, and the launches of each by their workgroups.
 */
export function launchWork(
  node: OpNode,
  launches: readonly Launch[],
): number[] {
  const { op, inputs, attributes } = node.source;
  const bytes = [node, ...Object.values(inputs)].reduce(
    (sum, spec) => sum + (spec ? tensorBytes(spec) : 0),
    0,
  );
  const flops: number = op.flops?.(inputs, node, attributes) ?? 0;
  const groups = new Map<string, number>();
  const busy = new Set<string>();
  for (const { shader, workgroups, moves } of launches) {
    groups.set(shader, (groups.get(shader) ?? 0) + workgroups);
    if (!moves) busy.add(shader);
  }
  return launches.map(({ shader, workgroups, moves }) => {
    const work = OPERATIONS_A_BYTE * bytes + (moves ? 0 : flops / busy.size);
    return work * workgroups / Math.max(1, groups.get(shader)!);
  });
}
