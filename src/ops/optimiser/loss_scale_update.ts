/**
 * Counts a step, and adapts the loss scale of mixed precision.
 *
 * @module
 */
import code from "../../../shaders/loss_scale_update.wgsl" with {
  type: "text",
};
import {
  expectShape,
  type Op,
  reads,
  sameShape,
  type TensorSpec,
  writes,
} from "../op.ts";
import { record } from "./records.ts";

/** Inputs of {@linkcode lossScaleUpdate}. */
export type LossScaleUpdateInputs = {
  /** f32 (4), changed in place: see {@linkcode STATE} */
  state: TensorSpec;
  /** f32 (4): see {@linkcode REPORT} */
  report: TensorSpec;
};

/** Attributes of {@linkcode lossScaleUpdate}; a growth and a backoff of 1 leave the scale as it is. */
export interface LossScaleUpdateAttributes {
  /** Factor of the scale after `interval` clean steps. */
  growth: number;
  /** Factor of the scale after a skipped step. */
  backoff: number;
  /** Clean steps in a row after which the scale grows. */
  interval: number;
}

/** `GradScaler.update`, in place. */
export const lossScaleUpdate: Op<
  LossScaleUpdateInputs,
  LossScaleUpdateAttributes
> = {
  name: "loss_scale_update",
  dtypes: { state: "f32", report: "f32" },
  overwrites: { output: "state" },

  outputs(inputs) {
    const { state, report } = inputs;
    expectShape(
      sameShape(state.shape, record.shape) &&
        sameShape(report.shape, record.shape),
      "loss_scale_update",
      "state (4) and report (4)",
      inputs,
    );
    return { output: state };
  },

  kernels: [{
    name: "baseline",
    launch: ({ attributes: { growth, backoff, interval } }) => [{
      shader: "loss_scale_update",
      code,
      bind: [...reads("report"), ...writes("output")],
      params: { growth, backoff, interval },
      workgroups: 1,
    }],
  }],
};
