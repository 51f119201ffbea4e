/**
 * Byte-pair merging: from the characters of a word to the longest pieces that
 * a vocabulary was learnt with.
 *
 * @module
 */

/** The order in which pairs are merged. */
export interface MergeRanks {
  /** The rank of a pair, lower first; undefined where it is never merged. */
  get(pair: string): number | undefined;
}

/** The key of a pair: symbols hold no spaces. */
export function pairKey(left: string, right: string): string {
  return `${left} ${right}`;
}

/**
 * Merges neighbouring symbols until no known pair is left: in each round the
 * lowest-ranked pair, wherever it stands, from left to right.
 *
 * Takes n log n time for n symbols: words of any length may come in.
 *
 * @param symbols at least one; changed
 * @returns the pieces, in order
 */
export function mergePairs(symbols: string[], ranks: MergeRanks): string[] {
  const count = symbols.length;
  // A linked list over places; a merged-away place has next = 0.
  const next = Int32Array.from({ length: count }, (_, i) => i + 1);
  const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
  const queue = new MergeQueue();
  const offer = (left: number) => {
    if (left < 0 || next[left] >= count) return;
    const rank = ranks.get(pairKey(symbols[left], symbols[next[left]]));
    if (rank !== undefined) queue.push(rank, left);
  };
  for (let i = 0; i + 1 < count; i++) offer(i);
  while (queue.size > 0) {
    const rank = queue.lowestRank;
    // What a round's merges make possible waits for the next round.
    const changed: number[] = [];
    while (queue.size > 0 && queue.lowestRank === rank) {
      const left = queue.pop();
      const right = next[left];
      if (right === 0 || right >= count) continue;
      if (ranks.get(pairKey(symbols[left], symbols[right])) !== rank) continue;
      symbols[left] += symbols[right];
      next[left] = next[right];
      next[right] = 0;
      if (next[left] < count) previous[next[left]] = left;
      changed.push(left);
    }
    for (const place of changed) {
      if (next[place] === 0) continue;
      offer(previous[place]);
      offer(place);
    }
  }
  const pieces: string[] = [];
  for (let i = 0; i < count; i = next[i]) pieces.push(symbols[i]);
  return pieces;
}

/** Places in a word by rank of the pair that starts there, then by place. */
class MergeQueue {
  // A binary heap of rank * 2^26 + place: exact for ranks below 2^27.
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get lowestRank(): number {
    return Math.floor(this.#heap[0] / PLACES);
  }

  push(rank: number, place: number): void {
    const heap = this.#heap;
    const key = rank * PLACES + place;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent] <= key) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = key;
  }

  pop(): number {
    const heap = this.#heap;
    const lowest = heap[0];
    const key = heap.pop() ?? 0;
    const size = heap.length;
    if (size > 0) {
      let at = 0;
      while (true) {
        let child = 2 * at + 1;
        if (child >= size) break;
        if (child + 1 < size && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= key) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = key;
    }
    return lowest % PLACES;
  }
}

const PLACES = 2 ** 26;
