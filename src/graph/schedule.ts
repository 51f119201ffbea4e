/**
 * Which ops run, in what order, and what memory each needs for how long.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { alignBinding } from "../gpu/buffers.ts";
import {
  describe,
  type Target,
  tensorBytes,
  type TensorSpec,
} from "../ops/op.ts";
import { baseOf, describeNode, type Graph, type Tensor } from "./graph.ts";
import type { MemoryItem } from "./memory.ts";

/** The result of an op. */
export type OpNode = Tensor & { readonly source: { readonly kind: "op" } };

/** The ops that outputs need, in order; in-place ops count as outputs. */
export function neededNodes(graph: Graph): OpNode[] {
  const needed = new Set<Tensor>([...graph.outputs.values()].map(baseOf));
  const nodes: OpNode[] = [];
  for (const node of [...graph.ops].reverse()) {
    const { source } = node;
    if (source.kind !== "op") continue;
    if (!needed.has(node) && source.op.inPlace === undefined) continue;
    for (const input of Object.values(source.inputs)) {
      if (input) needed.add(baseOf(input));
    }
    nodes.push(node as OpNode);
  }
  return nodes.reverse();
}

/**
 * The ops whose result takes over the memory of an input, and that input.
 *
 * @throws {MasterWeaverError} `gpu` where the input's old value is still wanted
 */
export function inPlaceTargets(
  nodes: readonly OpNode[],
): Map<OpNode, Tensor> {
  const targets = new Map<OpNode, Tensor>();
  nodes.forEach((node, i) => {
    const { op, inputs } = node.source;
    if (op.inPlace === undefined) return;
    const changed = baseOf(inputs[op.inPlace]!);
    const later = nodes.slice(i + 1).find((other) =>
      Object.values(other.source.inputs).some((input) =>
        input && baseOf(input) === changed
      )
    );
    // What one op changed in place the next one may change again.
    const target = targets.get(changed as OpNode) ?? changed;
    if (target.source.kind !== "input" || later) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot change ${describe(target)} in place by ${describeNode(node)}: ${
          later ? `${describeNode(later)} still reads it` : "it is not an input"
        }`,
      );
    }
    targets.set(node, target);
  });
  return targets;
}

/** What a schedule has to place. */
export interface MemoryNeeds {
  /** Each thing to place. */
  readonly items: readonly MemoryItem[];
  /** The results without a place of their own, and their item. */
  readonly tensors: ReadonlyMap<Tensor, number>;
  /** Scratch memory of each op: the items, and bytes without alignment. */
  readonly scratch: ReadonlyMap<
    Tensor,
    readonly { readonly item: number; readonly bytes: number }[]
  >;
}

/**
 * Texels of each of the scratch textures that ops use one after the other: as
 * many as any needs.
 *
 * @param targetOf what an op's launches depend on
 */
export function texelsNeeded(
  nodes: readonly OpNode[],
  targetOf: (node: OpNode) => Target,
): number[] {
  const most: number[] = [];
  for (const node of nodes) {
    const { op, inputs, attributes } = node.source;
    const needed: number[] =
      op.texels?.(inputs, node, attributes, targetOf(node)) ?? [];
    needed.forEach((count, i) => most[i] = Math.max(most[i] ?? 0, count));
  }
  return most;
}

/** What has to be placed, with lifetimes and what must lie apart. */
export function memoryItems(
  nodes: readonly OpNode[],
  hasPlace: (tensor: Tensor) => boolean,
  variantOf: (node: OpNode) => string | undefined,
): MemoryNeeds {
  const items: (MemoryItem & { last: number; apart: Set<number> })[] = [];
  const tensors = new Map<Tensor, number>();
  const scratch = new Map<Tensor, { item: number; bytes: number }[]>();
  const add = (bytes: number, time: number) =>
    items.push({
      bytes: alignBinding(bytes),
      first: time,
      last: time,
      apart: new Set(),
    }) - 1;
  nodes.forEach((node, time) => {
    const { op, inputs, attributes } = node.source;
    const written: number[] = [];
    if (!hasPlace(node)) {
      const item = add(tensorBytes(node), time);
      tensors.set(node, item);
      written.push(item);
    }
    const needed: TensorSpec[] =
      op.scratch?.(inputs, node, attributes, variantOf(node)) ?? [];
    const held = needed.map((spec) => ({
      item: add(tensorBytes(spec), time),
      bytes: tensorBytes(spec),
    }));
    scratch.set(node, held);
    written.push(...held.map(({ item }) => item));
    for (const input of Object.values(inputs)) {
      const read = input && tensors.get(baseOf(input));
      if (read === undefined) continue;
      items[read].last = time;
      for (const item of written) items[item].apart.add(read);
    }
    for (const item of written) {
      for (const other of written) {
        if (item !== other) items[item].apart.add(other);
      }
    }
  });
  return { items, tensors, scratch };
}
