import apply from "../../shaders/group_norm_apply.wgsl" with { type: "text" };
import { type Activation, activationNumber } from "./activation.ts";
import {
  type Call,
  elementBytes,
  expectShape,
  type Kernel,
  type Launch,
  type Op,
  reads,
  readsScratch,
  sameShape,
  type Target,
  type TensorSpec,
  writes,
} from "./op.ts";
import {
  groupLayout,
  launchStatistics,
  type StatisticsScratch,
  statisticsScratch,
} from "./group_statistics.ts";
import { vec4Code } from "./stored_vectors.ts";
import { bindRows, splitRows } from "./slices.ts";

/** Inputs of {@linkcode groupNorm}. */
export type GroupNormInputs = {
  /** (B, …, C) */
  x: TensorSpec;
  /** (C) */
  weight: TensorSpec;
  /** (C) */
  bias: TensorSpec;
};

/** Attributes of {@linkcode groupNorm}. */
export interface GroupNormAttributes {
  /** Number of groups G; C is a multiple of it. */
  groups: number;
  /** Added to the variance. */
  eps: number;
  /** Applied last. */
  activation?: Activation;
}

/** Pixels that an invocation normalises. */
const APPLIED = 8;

type GroupNormCall = Call<GroupNormInputs, GroupNormAttributes>;
type NormLaunch = Launch<keyof GroupNormInputs, "output", StatisticsScratch>;

const baseline: Kernel<
  GroupNormInputs,
  GroupNormAttributes,
  "output",
  StatisticsScratch
> = {
  name: "baseline",
  scratch: ({ inputs: { x } }) => statisticsScratch(x),
  launch(call, target) {
    const { inputs: { x }, attributes: { groups, eps } } = call;
    return [
      ...launchStatistics(x, { groups, eps, weighted: true }, target),
      ...launchApply(call, target),
    ];
  },
};

/** `torch.nn.functional.group_norm`, channels last, then an activation. */
export const groupNorm: Op<GroupNormInputs, GroupNormAttributes> = {
  name: "group_norm",
  kernels: [baseline],

  outputs(inputs, { groups }) {
    const { x, weight, bias } = inputs;
    const channels = x.shape.at(-1)!;
    expectShape(
      x.shape.length >= 3 && channels % 4 === 0 && channels % groups === 0 &&
        sameShape(weight.shape, [channels]) &&
        sameShape(bias.shape, [channels]),
      "group_norm",
      `x (B, …, C), weight and bias (C), C a multiple of 4 and of ${groups} groups`,
      inputs,
    );
    return { output: x };
  },
};

/** Normalises x and applies the activation. */
function launchApply(
  { inputs: { x }, attributes: { activation } }: GroupNormCall,
  { limits, storage }: Target,
): NormLaunch[] {
  const { batch, channels, pixels } = groupLayout(x);
  const rowBytes = channels * elementBytes(x.dtype);
  return splitRows(batch * pixels, rowBytes, limits).map((slice) => {
    const total = Math.ceil(slice.rows / APPLIED) * channels / 4;
    return {
      shader: "group_norm_apply",
      code: vec4Code(storage) + apply,
      bind: bindRows<NormLaunch["bind"][number]>(
        [
          ...reads("x"),
          ...readsScratch("statistics"),
          ...reads("bias"),
          ...writes("output"),
        ],
        slice,
        { x: rowBytes, output: rowBytes },
      ),
      params: {
        channels4: channels / 4,
        pixels,
        first_pixel: slice.start,
        rows: slice.rows,
        activation: activationNumber(activation),
      },
      workgroups: Math.ceil(total / 64),
    };
  });
}
