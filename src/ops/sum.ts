import code from "../../shaders/sum.wgsl" with { type: "text" };
import type { StorageType } from "../gpu/gpu.ts";
import {
  type Call,
  elementBytes,
  elementCount,
  expectShape,
  type Launch,
  type Op,
  reads,
  readsScratch,
  type Target,
  type TensorSpec,
  writes,
  writesScratch,
} from "./op.ts";
import { partialSlices } from "./partial_sums.ts";
import { bindRows } from "./slices.ts";

const GROUP = 64;
/** Fewest terms of a partial sum, and most partial sums. */
const MIN_TERMS = 64;
const MAX_PARTS = 256;

/** Attributes of {@linkcode sum}. */
export interface SumAttributes {
  /** The axes that are added up: from the first to before the last. */
  readonly axes: readonly [number, number];
  /** Multiplies the sum, as 1 / N does for a mean; 1 by default. */
  readonly scale?: number;
  /** Element type of the sums; that of x by default. */
  readonly dtype?: StorageType;
}

type SumCall = Call<{ x: TensorSpec }, SumAttributes>;
type SumLaunch = Launch<"x", "output", "partials">;

function layout({ inputs: { x }, attributes: { axes } }: SumCall) {
  const [first, end] = axes;
  const outer = elementCount(x.shape.slice(0, first));
  const length = elementCount(x.shape.slice(first, end));
  const inner = elementCount(x.shape.slice(end));
  // About √N terms a partial sum: the two roundings are then of one size.
  const parts = Math.min(
    MAX_PARTS,
    Math.max(1, Math.floor(length / MIN_TERMS)),
    Math.ceil(Math.sqrt(length)),
  );
  const part = Math.ceil(length / parts);
  return { outer, length, inner, part, parts: Math.ceil(length / part) };
}

/** `scale · torch.sum(x, axes)`, over consecutive axes; of all axes, a tensor (1). */
export const sum: Op<{ x: TensorSpec }, SumAttributes> = {
  name: "sum",
  dtypes: { x: "any" },

  outputs(inputs, { axes: [first, end], dtype }) {
    const { shape, dtype: given } = inputs.x;
    expectShape(
      first >= 0 && first < end && end <= shape.length && given !== "u32" &&
        elementCount(shape) > 0,
      "sum",
      `x f16 or f32 with axes ${first} to ${end - 1}`,
      inputs,
    );
    const rest = [...shape.slice(0, first), ...shape.slice(end)];
    return {
      output: {
        shape: rest.length > 0 ? rest : [1],
        dtype: dtype ?? given,
      },
    };
  },

  kernels: [{
    name: "baseline",
    scratch(call) {
      const { outer, parts, inner } = layout(call);
      return {
        partials: { shape: [outer, parts, inner], dtype: "f32" },
      };
    },
    launch: launchSum,
  }],
};

function launchSum(call: SumCall, { limits }: Target): SumLaunch[] {
  const { inputs: { x }, outputs: { output }, attributes } = call;
  const { scale = 1 } = attributes;
  const { outer, length, inner, part, parts } = layout(call);
  const rowBytes = inner * elementBytes(x.dtype);
  const isWhole = parts === 1;
  const slices = partialSlices(
    { batch: outer, pixels: length, partial: part, partials: parts },
    rowBytes,
    limits,
  );
  const first = slices.map((slice): SumLaunch => ({
    shader: "sum",
    code,
    types: { SOURCE: x.dtype, TARGET: isWhole ? output.dtype : "f32" },
    bind: bindRows<SumLaunch["bind"][number]>(
      [
        ...reads("x"),
        ...isWhole ? writes("output") : writesScratch("partials"),
      ],
      slice,
      { x: rowBytes },
    ),
    ...sumGrid({
      length,
      part,
      parts,
      inner,
      first_part: slice.firstPartial,
      first_row: slice.start,
      scale: isWhole ? scale : 1,
    }, slice.partials),
  }));
  if (isWhole) return first;
  return [...first, {
    shader: "sum",
    code,
    types: { SOURCE: "f32", TARGET: output.dtype },
    bind: [...readsScratch("partials"), ...writes("output")],
    ...sumGrid(wholeSum(parts, inner, scale), outer),
  }];
}

/** Parameters of a launch that adds up all of `length` rows of `inner` elements at once. */
export function wholeSum(
  length: number,
  inner: number,
  scale: number,
): Record<
  "length" | "part" | "parts" | "inner" | "first_part" | "first_row" | "scale",
  number
> {
  return {
    length,
    part: length,
    parts: 1,
    inner,
    first_part: 0,
    first_row: 0,
    scale,
  };
}

/** Parameters and workgroups of a launch of some partial sums. */
export function sumGrid(
  sizes: ReturnType<typeof wholeSum>,
  partials: number,
): Pick<Launch, "params" | "workgroups"> {
  const total = partials * sizes.inner;
  return {
    params: { ...sizes, total },
    workgroups: Math.ceil(total / GROUP),
  };
}
