/**
 * Launches of `shaders/attention_tiles.wgsl`, which keeps blocks of queries and
 * keys in workgroup memory.
 *
 * @module
 */
import code from "../../../shaders/attention_tiles.wgsl" with { type: "text" };
import gather from "../../../shaders/gather.wgsl" with { type: "text" };
import type { Target } from "../op.ts";
import { VEC8, vec8Code } from "../stored_vectors.ts";
import { elementBytes } from "../tensor_spec.ts";
import type { AttentionSizes } from "./sizes.ts";
import { type AttentionLaunch, bindSlice, splitAttention } from "./slices.ts";

/** Widest head for workgroups of 64 queries; wider heads have 32. */
const WIDE = 80;
/** Narrower heads spend their time on exponentials; wider ones need too many registers. */
const MIN_WIDTH = 24;
const MAX_WIDTH = 160;
/** Rows of eight vec4s in workgroup memory that values can use. */
const TILE_ROWS = 48;
const LANES = 64;

/** Whether the tiled kernel supports heads of this width. */
export function fitsTiles(width: number): boolean {
  return width % VEC8 === 0 && width >= MIN_WIDTH && width <= MAX_WIDTH;
}

/** One launch for as many images of a batch as fit a binding. */
export function launchTiled(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionLaunch[] {
  const { queries, keys, textKeys, heads, width } = sizes;
  const rows = width > WIDE ? 32 : 64;
  const blocks = Math.ceil(queries / rows);
  const bytes = elementBytes(storage);
  return splitAttention(sizes, bytes, limits).map((slice): AttentionLaunch => {
    const groups = slice.sizes.batch * heads * blocks;
    return {
      shader: "attention_tiles",
      code: vec8Code(storage) + gather + code,
      defines: {
        HEAD8: width / VEC8,
        QUERIES: rows,
        VALUE_GROUPS: valueGroups(width, rows),
      },
      bind: bindSlice(slice),
      params: {
        heads,
        queries,
        keys,
        text_keys: textKeys,
        blocks,
        groups,
        causal: Number(sizes.causal),
        walks: sizes.identity ? 3 : 1,
        scale: Math.LOG2E / Math.sqrt(width),
        skip_queries: slice.queries.skip / VEC8,
        skip_keys: slice.keys.skip / VEC8,
      },
      workgroups: groups,
    };
  });
}

/** How many groups of four keys' values fit in workgroup memory, rounded down to a power of two. */
function valueGroups(width: number, rows: number): number {
  const split = LANES / (rows / 4);
  const places = Math.ceil(width / 4 / split);
  const most = TILE_ROWS / (split * Math.ceil(places / 2));
  return 2 ** Math.floor(Math.log2(most));
}
