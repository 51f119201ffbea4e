/**
 * Launches of `shaders/attention.wgsl`: two queries per invocation, in registers;
 * for every adapter and any head width.
 *
 * @module
 */
import code from "../../../shaders/attention.wgsl" with { type: "text" };
import type { Target } from "../op.ts";
import { elementBytes } from "../tensor_spec.ts";
import type { AttentionSizes } from "./sizes.ts";
import { type AttentionLaunch, bindSlice, splitAttention } from "./slices.ts";

const GROUP = 32;
/** Most vec4s of a head that an invocation keeps in registers. */
const MAX_SLICE = 10;

/** One launch for as many images of a batch as fit a binding. */
export function launchBaseline(
  sizes: AttentionSizes,
  { storage, limits }: Target,
): AttentionLaunch[] {
  const { queries, keys, textKeys, heads, width, identity, causal } = sizes;
  const head4 = width / 4;
  const value4 = sliceWidth(head4);
  const slices = head4 / value4;
  const pairs = Math.ceil(queries / 2);
  return splitAttention(sizes, elementBytes(storage), limits).map((slice) => {
    const total = slice.sizes.batch * heads * slices * pairs;
    return {
      shader: "attention",
      code,
      defines: { VALUE4: value4 },
      bind: bindSlice(slice),
      params: {
        heads,
        queries,
        keys,
        text_keys: textKeys,
        head4,
        slices,
        pairs,
        total,
        causal: Number(causal),
        segments: identity ? 2 : 1,
        scale: 1 / Math.sqrt(width),
        skip_queries: slice.queries.skip / 4,
        skip_keys: slice.keys.skip / 4,
      },
      workgroups: Math.ceil(total / GROUP),
    };
  });
}

/** The widest slice, in vec4s, that divides a head of `head4` vec4s evenly. */
function sliceWidth(head4: number): number {
  let width = Math.min(MAX_SLICE, head4);
  while (head4 % width !== 0) width--;
  return width;
}
