/**
 * Launches of `shaders/attention_windows.wgsl`: keys and values by head, bound
 * 64 KiB at a time.
 *
 * @module
 */
import packing from "../../shaders/attention_pack.wgsl" with { type: "text" };
import code from "../../shaders/attention_windows.wgsl" with { type: "text" };
import { UNIFORM_WINDOW } from "../gpu/pipelines.ts";
import { OCTET } from "./blocks.ts";
import { octetCode } from "./octets.ts";
import {
  elementBytes,
  type Launch,
  reads,
  type Target,
  type TensorSpec,
  writes,
} from "./op.ts";

/** Queries of an invocation, and of a workgroup. */
const TILE = 4;
const GROUP = 32;
/** Most octets of a slice: 40 channels of four queries. */
const WIDEST_SLICE = 5;
/** Tokens of a head are filled up to a multiple: 16 octets are 256 bytes. */
const TOKEN_STEP = 16;

/** Sizes of one attention. */
export interface AttentionSizes {
  /** B */
  readonly batch: number;
  /** T */
  readonly queries: number;
  /** S, all keys */
  readonly keys: number;
  /** Keys of the text, or all. */
  readonly textKeys: number;
  /** H */
  readonly heads: number;
  /** D */
  readonly width: number;
  /** Whether the other keys are looked at, and apart. */
  readonly identity: boolean;
  /** Whether token t sees only tokens 0..t. */
  readonly causal: boolean;
}

/** A range of keys that one launch walks. */
interface KeyRange {
  /** First head of B · H that is bound, and how many. */
  readonly head: number;
  readonly heads: number;
  /** Token of the head that the binding begins with. */
  readonly bound: number;
  /** First key, and the one after the last. */
  readonly from: number;
  readonly to: number;
  /** Whether they are the identity's. */
  readonly identity: boolean;
  /** Whether the softmax begins and ends with them. */
  readonly first: boolean;
  readonly last: boolean;
}

/** Octets of the slice of a head that one invocation keeps. */
function sliceOf(width: number): number {
  const octets = width / OCTET;
  let slice = Math.min(WIDEST_SLICE, octets);
  while (octets % slice !== 0) slice--;
  return slice;
}

/** Tokens a head has room for. */
function room(keys: number): number {
  return Math.ceil(keys / TOKEN_STEP) * TOKEN_STEP;
}

/** Packed keys, packed values, and what one range hands to the next. */
export function attentionScratch(
  q: TensorSpec,
  sizes: AttentionSizes,
): TensorSpec[] {
  const { batch, queries, keys, heads, width } = sizes;
  const bytes = elementBytes(q.dtype);
  const packed: TensorSpec = {
    // A window that begins in the last head must still fit.
    shape: [batch * heads * room(keys) * width + UNIFORM_WINDOW / bytes],
    dtype: q.dtype,
  };
  const cut = keyRanges(sizes, bytes).some(({ last }) => !last);
  const tiles = Math.ceil(queries / GROUP) * GROUP / TILE;
  const slice = sliceOf(width);
  const state: TensorSpec = {
    shape: cut
      ? [width / OCTET / slice, tiles, OCTET * slice + 2, TILE]
      : [TILE],
    dtype: "f32",
  };
  return [packed, packed, state];
}

/** Packing, then a launch for every range of keys. */
export function launchAttentionWindows(
  q: TensorSpec,
  sizes: AttentionSizes,
  target: Target,
): Launch[] {
  const bytes = elementBytes(q.dtype);
  return [
    launchPacking("k", "scratch0", sizes, target),
    launchPacking("v", "scratch1", sizes, target),
    ...keyRanges(sizes, bytes).map((range) =>
      launchRange(range, sizes, bytes, target)
    ),
  ];
}

function launchPacking(
  from: string,
  to: string,
  { batch, keys, heads, width }: AttentionSizes,
  { real }: Target,
): Launch {
  const total = batch * keys * heads * width / OCTET;
  return {
    shader: "attention_pack",
    code: octetCode(real) + packing,
    bind: [...reads(from), ...writes(to)],
    params: [keys, heads, width / OCTET, room(keys), total],
    workgroups: Math.ceil(total / 64),
  };
}

function keyRanges(sizes: AttentionSizes, bytes: number): KeyRange[] {
  const { batch, keys, textKeys, heads, width, identity } = sizes;
  const parts = [{ from: 0, to: textKeys, identity: false }];
  if (identity) parts.push({ from: textKeys, to: keys, identity: true });
  const all = batch * heads;
  const headBytes = room(keys) * width * bytes;
  if (headBytes <= UNIFORM_WINDOW) {
    const step = Math.floor(UNIFORM_WINDOW / headBytes);
    return Array.from({ length: Math.ceil(all / step) }, (_, i) => {
      const head = i * step;
      const count = Math.min(step, all - head);
      return parts.map((part): KeyRange => ({
        head,
        heads: count,
        bound: 0,
        ...part,
        first: true,
        last: true,
      }));
    }).flat();
  }
  const step = Math.floor(UNIFORM_WINDOW / (width * bytes) / TOKEN_STEP) *
    TOKEN_STEP;
  return Array.from(
    { length: all },
    (_, head) =>
      parts.flatMap((part): KeyRange[] => {
        const ranges: KeyRange[] = [];
        for (let from = part.from; from < part.to;) {
          const bound = Math.floor(from / TOKEN_STEP) * TOKEN_STEP;
          const to = Math.min(bound + step, part.to);
          ranges.push({
            head,
            heads: 1,
            bound,
            from,
            to,
            identity: part.identity,
            first: from === part.from,
            last: to === part.to,
          });
          from = to;
        }
        return ranges;
      }),
  ).flat();
}

function launchRange(
  range: KeyRange,
  { queries, keys, heads, width, causal }: AttentionSizes,
  bytes: number,
  { real }: Target,
): Launch {
  const perHead = room(keys);
  const start = (range.head * perHead + range.bound) * width * bytes;
  const part = { offset: start, size: UNIFORM_WINDOW };
  const groups = Math.ceil(queries / GROUP);
  const slice = sliceOf(width);
  const slices = width / OCTET / slice;
  return {
    shader: "attention_windows",
    code: octetCode(real) + code,
    defines: {
      D8: width / OCTET,
      SLICE8: slice,
      WINDOW: UNIFORM_WINDOW / (OCTET * bytes),
    },
    bind: [
      ...reads("q"),
      { name: "scratch0", access: "window", part },
      { name: "scratch1", access: "window", part },
      ...reads("identityScale"),
      ...writes("scratch2", "output"),
    ],
    params: [
      heads,
      queries,
      groups,
      range.head,
      perHead * width / OCTET,
      range.from - range.bound,
      range.to - range.bound,
      range.bound,
      Number(causal),
      { f32: Math.LOG2E / Math.sqrt(width) },
      Number(range.identity),
      Number(!range.first),
      Number(range.last),
      width / OCTET,
      slice,
      slices,
    ],
    workgroups: groups * slices * range.heads,
  };
}
