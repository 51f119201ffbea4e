/**
 * Byte-pair merging: joins the characters of a word into the tokens of a vocabulary.
 *
 * @module
 */

/** The order in which pairs are merged. */
export interface MergeRanks {
  /** The rank of a pair; lower ranks merge first; `undefined` if it never merges. */
  get(pair: string): number | undefined;
}

/** The key of a pair; symbols contain no spaces. */
export function pairKey(left: string, right: string): string {
  return `${left} ${right}`;
}

/**
 * Merges neighbouring symbols until no known pair is left: each round merges all
 * occurrences of the lowest-ranked pair, from left to right.
 *
 * Takes O(n log n) time for n symbols, as words may have any length.
 *
 * @param symbols at least one symbol; modified
 * @returns the tokens, in order
 */
export function mergePairs(symbols: string[], ranks: MergeRanks): string[] {
  const count = symbols.length;
  // A linked list of positions; one that was merged into its left has next = 0.
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
    // Pairs that a round's merges create wait for the next round.
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
    for (const position of changed) {
      if (next[position] === 0) continue;
      offer(previous[position]);
      offer(position);
    }
  }
  const tokens: string[] = [];
  for (let i = 0; i < count; i = next[i]) tokens.push(symbols[i]);
  return tokens;
}

/** Positions in a word, ordered by the rank of the pair that starts there, then by position. */
class MergeQueue {
  // A binary heap of rank * 2^26 + position: exact for ranks below 2^27.
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  get lowestRank(): number {
    return Math.floor(this.#heap[0] / POSITIONS);
  }

  push(rank: number, position: number): void {
    const heap = this.#heap;
    const key = rank * POSITIONS + position;
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
    return lowest % POSITIONS;
  }
}

/** Limit on positions, so that a key holds rank and position. */
const POSITIONS = 2 ** 26;
