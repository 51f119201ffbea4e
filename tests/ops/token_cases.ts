/**
 * Cases of the ops that merge tokens, with their definitions as plain loops in
 * f64.
 *
 * @module
 */
import {
  type MatchAttributes,
  matchTokens,
} from "../../src/ops/tokens/match_tokens.ts";
import { mergeTokens } from "../../src/ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../../src/ops/tokens/unmerge_tokens.ts";
import { makeInput, normal, type OpCase } from "./op_case.ts";
import { type Dense, dense } from "./reference.ts";

const NONE = 2 ** 32 - 1;
/** What two similarities differ by at least, where they are not the same: far more than f32 rounds. */
const LEAST_GAP = 2e-6;

/** Cosine of the angle between tokens of an image. */
function cosine(x: Dense, b: number, t: number, u: number): number {
  const [, tokens, channels] = x.shape;
  const token = (t: number) => {
    const at = (b * tokens + t) * channels;
    return x.data.subarray(at, at + channels);
  };
  const dot = (p: Float64Array, q: Float64Array) =>
    p.reduce((sum, value, i) => sum + value * q[i], 0);
  const [p, q] = [token(t), token(u)];
  const length = (p: Float64Array) => Math.max(Math.sqrt(dot(p, p)), 1e-15);
  return dot(p, q) / length(p) / length(q);
}

/** A case in which rounding decides would prove nothing. */
function requireGaps(similarities: readonly number[]): void {
  const sorted = similarities.toSorted((a, b) => a - b);
  sorted.forEach((value, i) => {
    const gap = value - sorted[i - 1];
    if (gap > 1e-12 && gap < LEAST_GAP) {
      throw new Error(`Similarities are too close: ${gap}`);
    }
  });
}

/** The first place of the largest, up to f64's own rounding. */
function largest(values: readonly number[]): number {
  const most = Math.max(...values);
  return values.findIndex((value) => value > most - 1e-12);
}

/** Of one image: each source, its best destination, and how alike they are. */
function matches(x: Dense, b: number, { height, width }: MatchAttributes) {
  const tokens = Array.from({ length: height * width }, (_, t) => t);
  const isFirst = (t: number) =>
    t % width % 2 === 0 && Math.floor(t / width) % 2 === 0;
  const destinations = tokens.filter(isFirst);
  const sources = tokens.filter((t) => !isFirst(t)).map((t) => {
    const all = destinations.map((d) => cosine(x, b, t, d));
    // Only the two highest may not be too close.
    requireGaps(all.toSorted((p, q) => q - p).slice(0, 2));
    const best = largest(all);
    return { token: t, best, similarity: all[best] };
  });
  return { destinations, sources };
}

/** What `matchTokens` must give. */
function match(x: Dense, attributes: MatchAttributes): Dense {
  const [batch, tokens] = x.shape;
  const { merged } = attributes;
  const result = dense([batch, 3, tokens], () => NONE);
  for (let b = 0; b < batch; b++) {
    const { destinations, sources } = matches(x, b, attributes);
    requireGaps(sources.map(({ similarity }) => similarity));
    // Stable: of equals the earlier comes first.
    const ranked = sources.toSorted((p, q) => {
      const difference = q.similarity - p.similarity;
      return Math.abs(difference) < 1e-12 ? p.token - q.token : difference;
    });
    const rows = destinations.map((token) => [token]);
    for (const { token, best } of ranked.slice(0, merged)) {
      rows[best].push(token);
    }
    for (const { token } of ranked.slice(merged)) rows.push([token]);
    const [row, next, first] = [0, 1, 2].map((i) =>
      result.data.subarray((3 * b + i) * tokens, (3 * b + i + 1) * tokens)
    );
    rows.forEach((members, m) => {
      const sorted = members.slice(1).sort((p, q) => p - q);
      const chain = [members[0], ...sorted];
      first[m] = chain[0];
      chain.forEach((token, i) => {
        row[token] = m;
        next[token] = chain[i + 1] ?? NONE;
      });
    });
  }
  return result;
}

/** What `mergeTokens` must give. */
function merge(x: Dense, place: Dense, merged: number): Dense {
  const [batch, tokens, channels] = x.shape;
  const rows = tokens - merged;
  const counts = new Float64Array(batch * rows);
  const sums = dense([batch, rows, channels]);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < tokens; t++) {
      const m = b * rows + place.data[3 * b * tokens + t];
      counts[m]++;
      for (let c = 0; c < channels; c++) {
        sums.data[m * channels + c] += x.data[(b * tokens + t) * channels + c];
      }
    }
  }
  return dense(
    sums.shape,
    (i) => sums.data[i] / counts[Math.floor(i / channels)],
  );
}

/** What `unmergeTokens` must give. */
function unmerge(x: Dense, place: Dense, residual: Dense): Dense {
  const [batch, tokens, channels] = residual.shape;
  const rows = x.shape[1];
  return dense([batch, tokens, channels], (i) => {
    const c = i % channels;
    const t = Math.floor(i / channels) % tokens;
    const b = Math.floor(i / channels / tokens);
    const m = b * rows + place.data[3 * b * tokens + t];
    return x.data[m * channels + c] + residual.data[i];
  });
}

function matchCase(
  name: string,
  [batch, height, width, channels]: readonly number[],
  merged: number,
  value?: (i: number) => number,
): OpCase {
  const attributes = { height, width, merged };
  const shape = [batch, height * width, channels];
  return {
    name,
    op: matchTokens,
    attributes,
    inputs: { x: value ? { shape, value } : normal(shape) },
    reference: ({ x }) => match(x, attributes),
    exact: true,
  };
}

/** Merging by a real match, and taking it back. */
function placeCases(
  name: string,
  [batch, height, width, channels]: readonly number[],
  merged: number,
): OpCase[] {
  const tokens = height * width;
  const shape = [batch, tokens, channels];
  const attributes = { height, width, merged };
  const matched = match(makeInput(normal(shape), 5), attributes);
  const place = {
    shape: matched.shape,
    dtype: "u32" as const,
    value: (i: number) => matched.data[i],
  };
  return [{
    name,
    op: mergeTokens,
    attributes: { merged },
    inputs: { x: normal(shape), place },
    reference: ({ x }) => merge(x, matched, merged),
  }, {
    name,
    op: unmergeTokens,
    attributes: {},
    inputs: {
      x: normal([batch, tokens - merged, channels]),
      place,
      residual: normal(shape),
    },
    reference: ({ x, residual }) => unmerge(x, matched, residual),
  }];
}

/** All of them. */
export const tokenCases: readonly OpCase[] = [
  matchCase("half of a picture, batch 2", [2, 6, 8, 8], 24),
  matchCase("odd rows and columns", [1, 5, 7, 12], 9),
  matchCase("all that can be", [1, 6, 5, 16], 21),
  matchCase("one token", [3, 4, 4, 4], 1),
  matchCase("one row", [1, 1, 9, 8], 3),
  matchCase("one column", [1, 8, 1, 8], 4),
  matchCase("destinations in several chunks", [1, 14, 13, 20], 90),
  matchCase("tokens that are all the same", [2, 4, 6, 8], 10, (i) => i % 8),
  matchCase("zeros", [1, 4, 4, 8], 5, (i) => i < 64 ? 0 : (i * 29 % 17) - 8),

  ...placeCases("half of a picture, batch 2", [2, 6, 8, 8], 24),
  ...placeCases("odd rows and columns, all", [1, 5, 7, 12], 23),
];
