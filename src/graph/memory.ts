/**
 * Assigns intermediates to a few large buffers (arenas), in which tensors that are
 * never needed at the same time overlap.
 *
 * WebGPU does not let a dispatch both read and write one buffer, even in different
 * ranges, so an op's inputs and outputs are in different buffers.
 *
 * @module
 */

/** A tensor to be placed. */
export interface MemoryItem {
  /** Its size, a multiple of the alignment of bindings. */
  readonly bytes: number;
  /** Number of the op that writes it. */
  readonly first: number;
  /** Number of the last op that reads it. */
  readonly last: number;
  /** Items, by index, that must be in another buffer. */
  readonly apart: ReadonlySet<number>;
}

/** Where an item is stored. */
export interface Placement {
  /** Index of the buffer. */
  readonly arena: number;
  /** Offset in it, in bytes. */
  readonly offset: number;
}

/** The result of {@linkcode planMemory}. */
export interface MemoryPlan {
  /** Where each item is stored, in the order of the items. */
  readonly placements: readonly Placement[];
  /** Size of each buffer, in bytes. */
  readonly arenas: readonly number[];
}

/**
 * Places items, the largest first, each in the buffer that it enlarges least.
 *
 * @param items what to place; lifetimes include both ends
 * @param largest limit on the size of a buffer, in bytes
 */
export function planMemory(
  items: readonly MemoryItem[],
  largest: number,
): MemoryPlan {
  const order = items.map((_, i) => i)
    .sort((a, b) =>
      items[b].bytes - items[a].bytes || items[a].first - items[b].first
    );
  const apart = bothWays(items);
  const placements: Placement[] = [];
  const arenas: { size: number; held: number[] }[] = [];
  for (const index of order) {
    const item = items[index];
    const others = new Set(apart[index].map((i) => placements[i]?.arena));
    let best: Placement | null = null;
    let bestGrowth = Infinity;
    arenas.forEach(({ size, held }, arena) => {
      if (others.has(arena)) return;
      const offset = firstGap(items, placements, held, item);
      const growth = Math.max(0, offset + item.bytes - size);
      if (offset + item.bytes <= largest && growth < bestGrowth) {
        best = { arena, offset };
        bestGrowth = growth;
      }
    });
    best ??= { arena: arenas.push({ size: 0, held: [] }) - 1, offset: 0 };
    const { arena, offset }: Placement = best;
    placements[index] = best;
    arenas[arena].held.push(index);
    arenas[arena].size = Math.max(arenas[arena].size, offset + item.bytes);
  }
  return { placements, arenas: arenas.map(({ size }) => size) };
}

/** Removes and returns the smallest buffer that is large enough, if there is one. */
export function takeFitting<T extends { readonly size: number }>(
  buffers: T[],
  bytes: number,
): T | undefined {
  const fitting = buffers.filter(({ size }) => size >= bytes);
  if (fitting.length === 0) return undefined;
  const best = fitting.reduce((a, b) => b.size < a.size ? b : a);
  return buffers.splice(buffers.indexOf(best), 1)[0];
}

/** The items that each must be kept apart from, whichever of the two says so. */
function bothWays(items: readonly MemoryItem[]): number[][] {
  const apart: number[][] = items.map(() => []);
  items.forEach((item, i) => {
    for (const other of item.apart) {
      apart[i].push(other);
      apart[other].push(i);
    }
  });
  return apart;
}

/** The lowest offset at which an item overlaps no other that lives at the same time. */
function firstGap(
  items: readonly MemoryItem[],
  placements: readonly Placement[],
  held: readonly number[],
  item: MemoryItem,
): number {
  const taken = held
    .filter((i) => items[i].first <= item.last && item.first <= items[i].last)
    .map((i) => [placements[i].offset, placements[i].offset + items[i].bytes])
    .sort((a, b) => a[0] - b[0]);
  let offset = 0;
  for (const [start, end] of taken) {
    if (offset + item.bytes <= start) break;
    offset = Math.max(offset, end);
  }
  return offset;
}
