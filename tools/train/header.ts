/**
 * What a run says of itself before its first update.
 *
 * @module
 */
import type { Trainer } from "../../src/train/trainer.ts";
import { elementCount } from "../../src/ops/op.ts";
import { formatCount } from "../../src/train/report/format.ts";
import { stageSettings } from "../../src/train/stages.ts";
import {
  isScaled,
  learningRateOf,
  samplesOfUpdate,
  stageOf,
  type TrainValues,
} from "./options.ts";
import { checkpointName } from "./run/checkpoint.ts";
import type { Setup } from "./setup.ts";

/** What is trained on what. */
export interface HeaderOptions extends Setup {
  /** The trainer, made. */
  readonly trainer: Trainer;
  /** Ids of the data set. */
  readonly ids: readonly string[];
  /** The ranks that train together. */
  readonly ranks: number;
  /** The run's folder. */
  readonly out: string;
  /** The step that a run goes on from; undefined for a new one. */
  readonly resumed?: number;
}

/** The lines of a header. */
export function headerLines(options: HeaderOptions): string[] {
  const { gpu, storage, values, trained, model, ids, ranks, out, resumed } =
    options;
  const { description, device } = gpu.info;
  const software = gpu.isSoftware ? " (software, on the CPU: slow)" : "";
  const count = trained.trainable.parameters
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const what = values.train === "adapter"
    ? `stage ${stageOf(values)} of the adapter`
    : values.train;
  const start = model.adapter === undefined ? "" : `, from ${model.adapter}`;
  const samples = samplesOfUpdate(values, ranks);
  const epochs = values["max-train-steps"] * samples / ids.length;
  return [
    `Adapter: ${description || device || "unknown"}${software}, ${storage}`,
    `Training: ${what}, ${formatCount(count)} parameters${start}`,
    `Data: ${counted(ids.length, "id")}; ${
      counted(values["max-train-steps"], "step")
    } of ${counted(samples, "sample")}: ${rounded(epochs)} epochs`,
    `Batch: ${values["train-batch-size"]} × ${
      values["gradient-accumulation-steps"]
    } accumulated × ${counted(ranks, "rank")} = ${formatCount(samples)}`,
    `Learning rate: ${rateText(values, ranks)}`,
    `Memory: ${memoryText(options)}`,
    `Output: ${out}`,
    ...resumed === undefined
      ? []
      : [`Going on from step ${resumed} (${checkpointName(resumed)})`],
  ];
}

/** The rate that is used, and how it comes about. */
function rateText(values: TrainValues, ranks: number): string {
  const scaled = learningRateOf(values, ranks);
  const factor = isScaled(values) ? samplesOfUpdate(values, ranks) : 1;
  const why = isScaled(values)
    ? ` = ${rate(scaled / factor)} × ${factor}, as it is scaled by the batch`
    : " as it is, not scaled";
  const stage = values.train === "adapter"
    ? stageSettings(stageOf(values)).learningRateFactor
    : 1;
  return stage === 1
    ? `${rate(scaled)}${why}`
    : `${rate(scaled * stage)}: ${rate(scaled)}${why}; × ${stage} in stage 2`;
}

/** What is computed again; the bytes that are planned, where there is a limit. */
function memoryText({ values, trainer }: HeaderOptions): string {
  const { name, bytes } = trainer.recompute;
  const again = name === "none"
    ? "nothing is computed again"
    : `computed again: ${name}`;
  return bytes === undefined
    ? `${again} (--recompute)`
    : `${again}; ${gigabytes(bytes)} GB planned of ${
      gigabytes(Number(values.recompute))
    } GB`;
}

function counted(count: number, name: string): string {
  return `${formatCount(count)} ${name}${count === 1 ? "" : "s"}`;
}

function gigabytes(bytes: number): string {
  return rounded(bytes / 1e9);
}

/** Three digits, or all of those before the point. */
function rounded(value: number): string {
  return value >= 100
    ? formatCount(Math.round(value))
    : String(Number(value.toPrecision(3)));
}

/** A rate with the digits that tell it from others, as it is typed. */
function rate(value: number): string {
  const short = Number(value.toPrecision(4));
  return short > 0 && short < 1e-3 ? short.toExponential() : String(short);
}
