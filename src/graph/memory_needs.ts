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
 * Lists what has to be placed in buffers, when it lives and what must be kept apart.
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

/** A packed tensor or scratch, from the step that writes it to the last that reads it. */
interface PackedItem {
  readonly texels: number;
  readonly first: number;
  readonly last: number;
  /** Called with the number of the texture it is stored in. */
  readonly place: (texture: number) => void;
}

/** Assigns packed tensors and scratch to textures, which they share by lifetime. */
export function textureNeeds(steps: readonly Step[]): TextureNeeds {
  const lastRead = new Map<Tensor, number>();
  steps.forEach(({ operands }, time) => {
    for (const tensor of Object.values(operands)) {
      if (tensor?.texels !== undefined) lastRead.set(tensor, time);
    }
  });
  const items: PackedItem[] = [];
  const tensors = new Map<Tensor, number>();
  const scratch = new Map<Step, Map<string, number>>();
  steps.forEach((step, first) => {
    for (const output of Object.values(step.node.outputs)) {
      const { texels } = output;
      if (texels === undefined) continue;
      const last = lastRead.get(output) ?? first;
      const place = (texture: number) => tensors.set(output, texture);
      items.push({ texels, first, last, place });
    }
    const held = new Map<string, number>();
    scratch.set(step, held);
    for (const [name, spec] of Object.entries(step.scratch)) {
      if ("shape" in spec) continue;
      const place = (texture: number) => held.set(name, texture);
      items.push({ texels: spec.texels, first, last: first, place });
    }
  });
  return { texels: shareTextures(items), tensors, scratch };
}

/**
 * Places items, the largest first, each in the first texture that is free during
 * its lifetime: a small item that is needed for long then occupies a small
 * texture, not a large one.
 *
 * @returns texels of each texture
 */
function shareTextures(items: readonly PackedItem[]): number[] {
  const textures: PackedItem[][] = [];
  for (const item of items.toSorted((a, b) => b.texels - a.texels)) {
    const isFree = (held: readonly PackedItem[]) =>
      held.every(({ first, last }) => last < item.first || item.last < first);
    let texture = textures.findIndex(isFree);
    if (texture < 0) texture = textures.push([]) - 1;
    textures[texture].push(item);
    item.place(texture);
  }
  return textures.map(([largest]) => largest.texels);
}
