/**
 * Lifetimes of the buffers and textures that the steps of a graph need.
 *
 * @module
 */
import { alignBinding } from "../gpu/buffers.ts";
import { tensorBytes } from "../ops/op.ts";
import { baseOf, type Tensor } from "./graph.ts";
import type { Step } from "./lowering.ts";
import type { MemoryItem } from "./memory.ts";
import { rootOf } from "./schedule.ts";

/** What {@linkcode memoryItems} found to place. */
export interface MemoryNeeds {
  /** Everything to place in a buffer. */
  readonly items: readonly MemoryItem[];
  /** The item of each intermediate tensor. */
  readonly tensors: ReadonlyMap<Tensor, number>;
  /** The items of each step's scratch buffers, by the kernel's names for them. */
  readonly scratch: ReadonlyMap<Step, ReadonlyMap<string, number>>;
}

type Lifetime = MemoryItem & { last: number; apart: Set<number> };

/**
 * Lists what has to be placed in buffers, when it lives and what must lie apart.
 *
 * @param hasPlace whether the tensor whose memory is used already has its own place
 */
export function memoryItems(
  steps: readonly Step[],
  hasPlace: (root: Tensor) => boolean,
): MemoryNeeds {
  const items: Lifetime[] = [];
  const tensors = new Map<Tensor, number>();
  const scratch = new Map<Step, Map<string, number>>();
  const add = (bytes: number, time: number) =>
    items.push({
      bytes: alignBinding(bytes),
      first: time,
      last: time,
      apart: new Set(),
    }) - 1;
  steps.forEach((step, time) => {
    const written: number[] = [];
    for (const output of Object.values(step.node.outputs)) {
      const root = rootOf(output);
      if (output.texels !== undefined || hasPlace(root)) continue;
      const item = tensors.get(root) ?? add(tensorBytes(output), time);
      items[item].last = time;
      tensors.set(output, item);
      written.push(item);
    }
    const held = new Map<string, number>();
    for (const [name, spec] of Object.entries(step.scratch)) {
      if (!("shape" in spec)) continue;
      held.set(name, add(tensorBytes(spec), time));
    }
    scratch.set(step, held);
    written.push(...held.values());
    for (const input of Object.values(step.operands)) {
      const read = input && tensors.get(baseOf(input));
      if (read === undefined) continue;
      items[read].last = time;
      for (const item of written) {
        if (item !== read) items[item].apart.add(read);
      }
    }
    for (const item of written) {
      for (const other of written) {
        if (item !== other) items[item].apart.add(other);
      }
    }
  });
  return { items, tensors, scratch };
}

/** Textures that steps use in turn. */
export interface TextureNeeds {
  /** Texels of each texture: the most that any of its users needs. */
  readonly texels: readonly number[];
  /** Index of the texture of each packed tensor. */
  readonly tensors: ReadonlyMap<Tensor, number>;
  /** Indices of the textures of each step's scratch, by the kernel's names for them. */
  readonly scratch: ReadonlyMap<Step, ReadonlyMap<string, number>>;
}

/** Assigns packed tensors and scratch to textures, each to the first that is free. */
export function textureNeeds(steps: readonly Step[]): TextureNeeds {
  const last = new Map<Tensor, number>();
  steps.forEach(({ node, operands }, time) => {
    for (
      const tensor of [
        ...Object.values(node.outputs),
        ...Object.values(operands),
      ]
    ) {
      if (tensor?.texels !== undefined) last.set(tensor, time);
    }
  });
  const texels: number[] = [];
  const until: number[] = [];
  const take = (count: number, from: number, to: number): number => {
    let slot = until.findIndex((end) => end < from);
    if (slot < 0) slot = until.length;
    until[slot] = to;
    texels[slot] = Math.max(texels[slot] ?? 0, count);
    return slot;
  };
  const tensors = new Map<Tensor, number>();
  const scratch = new Map<Step, Map<string, number>>();
  steps.forEach((step, time) => {
    for (const output of Object.values(step.node.outputs)) {
      if (output.texels === undefined) continue;
      tensors.set(output, take(output.texels, time, last.get(output)!));
    }
    const held = new Map<string, number>();
    for (const [name, spec] of Object.entries(step.scratch)) {
      if ("shape" in spec) continue;
      held.set(name, take(spec.texels, time, time));
    }
    scratch.set(step, held);
  });
  return { texels, tensors, scratch };
}
