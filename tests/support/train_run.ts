/**
 * Training runs for tests: settings, and a checkpoint whose every number says
 * which step it is of.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type {
  CheckpointContent,
  WeightsFile,
} from "../../tools/train/run/checkpoint_writer.ts";
import type { TrainCheckpoint } from "../../tools/train/run/checkpoint.ts";
import type { RunSettings } from "../../tools/train/run/settings.ts";

/** Settings of a run, some of them replaced. */
export function runSettings(
  options: RunSettings["options"] = {},
  others: Partial<RunSettings> = {},
): RunSettings {
  return {
    options: {
      stage: 1,
      seed: 42,
      "train-batch-size": 4,
      "learning-rate": 1e-6,
      ...options,
    },
    model: { path: "weights/mini", hash: "ab".repeat(32) },
    data: "faces",
    versions: { masterweaver: "0.1.0" },
    ...others,
  };
}

/** A file of weights that says which step it is of. */
export function stepWeights(step: number): WeightsFile {
  return {
    stem: "adapter",
    ending: "pt",
    write: (append) => append(new TextEncoder().encode(`weights of ${step}`)),
  };
}

/** A checkpoint of a step. */
export function stepContent(step: number, values = 1000): CheckpointContent {
  const data = new Float32Array(values).fill(step);
  return {
    step,
    arrays: {
      "parameters/a.weight": { shape: [2, values / 2], data },
      "moments/a.weight": {
        shape: [values],
        data: () => Promise.resolve(data.map((value) => -value)),
      },
    },
    state: { step, loss_scale: 65536, position: { epoch: 1, index: step } },
    weights: [stepWeights(step)],
  };
}

/** Checks that a checkpoint holds what was saved. */
export function checkContent(
  { arrays, state, step }: TrainCheckpoint,
  values = 1000,
): void {
  assertEquals(state, stepContent(step).state);
  assertEquals(Object.keys(arrays), [
    "parameters/a.weight",
    "moments/a.weight",
  ]);
  const { "parameters/a.weight": parameters, "moments/a.weight": moments } =
    arrays;
  assertEquals(parameters.shape, [2, values / 2]);
  assertEquals(moments.shape, [values]);
  assertEquals(parameters.data.every((value) => value === step), true);
  assertEquals(moments.data.every((value) => value === -step), true);
}
