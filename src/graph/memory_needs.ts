/**
 * What memory the steps of a graph need, and for how long.
 *
 * @module
 */
import { alignBinding } from "../gpu/buffers.ts";
import { tensorBytes } from "../ops/op.ts";
import { baseOf, type Tensor } from "./graph.ts";
import type { Step } from "./lowering.ts";
import type { MemoryItem } from "./memory.ts";
import { rootOf } from "./schedule.ts";

/** What a schedule has to place. */
export interface MemoryNeeds {
  /** Each thing to place in a buffer. */
  readonly items: readonly MemoryItem[];
  /** The results without a place of their own, and their item. */
  readonly tensors: ReadonlyMap<Tensor, number>;
  /** Scratch buffers of each step: the item by the kernel's own name. */
  readonly scratch: ReadonlyMap<Step, ReadonlyMap<string, number>>;
}

type Lifetime = MemoryItem & { last: number; apart: Set<number> };

/**
 * What has to be placed in buffers, with lifetimes and what must lie apart.
 *
 * @param hasPlace whether what a tensor lies in has a place of its own already
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

/** Textures that steps use one after the other. */
export interface TextureNeeds {
  /** Texels of each, as many as any of its users needs. */
  readonly texels: readonly number[];
  /** Which one a packed tensor lies in. */
  readonly tensors: ReadonlyMap<Tensor, number>;
  /** Which ones a step's scratch lies in, by the kernel's own names. */
  readonly scratch: ReadonlyMap<Step, ReadonlyMap<string, number>>;
}

/** Something packed, from the step that writes it to the last that reads it. */
interface PackedItem {
  readonly texels: number;
  readonly first: number;
  readonly last: number;
  /** Told which texture it lies in. */
  readonly place: (texture: number) => void;
}

/** Which texture everything packed lies in, as long as it is needed. */
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
 * Places items, the largest first, each in the first texture that is free as
 * long as it is needed: what is small and needed for long then takes no place
 * that is large.
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
