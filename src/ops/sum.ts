import code from "../../shaders/sum.wgsl" with { type: "text" };
import type { StorageType } from "../gpu/gpu.ts";
import {
  type Call,
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

function launchSum(
  call: SumCall,
  { limits }: Target,
): SumLaunch[] {
  const { inputs: { x }, outputs: { output }, attributes } = call;
  const { scale = 1 } = attributes;
  const { outer, length, inner, part, parts } = layout(call);
  const launch = (sizes: {
    readonly length: number;
    readonly part: number;
    readonly parts: number;
    readonly scale: number;
  }) => {
    const total = outer * sizes.parts * inner;
    return {
      params: { ...sizes, inner, total },
      workgroups: Math.ceil(total / GROUP),
    };
  };
  expectShape(
    elementCount(x.shape) * 4 <= limits.maxStorageBufferBindingSize,
    "sum",
    `x of at most ${limits.maxStorageBufferBindingSize} bytes`,
    call.inputs,
  );
  if (parts === 1) {
    return [{
      shader: "sum",
      code,
      types: { SOURCE: x.dtype, TARGET: output.dtype },
      bind: [...reads("x"), ...writes("output")],
      ...launch({ length, part, parts, scale }),
    }];
  }
  return [
    {
      shader: "sum",
      code,
      types: { SOURCE: x.dtype, TARGET: "f32" },
      bind: [...reads("x"), ...writesScratch("partials")],
      ...launch({ length, part, parts, scale: 1 }),
    },
    {
      shader: "sum",
      code,
      types: { SOURCE: "f32", TARGET: output.dtype },
      bind: [...readsScratch("partials"), ...writes("output")],
      ...launch({ length: parts, part: parts, parts: 1, scale }),
    },
  ];
}
