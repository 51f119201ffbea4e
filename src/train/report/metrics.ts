/**
 * What is recorded of a training step, as a line of `metrics.jsonl`.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { brief } from "../../weights/brief.ts";

/** A measured value; null where it is not finite, or was not measured. */
export type MetricValue = number | boolean | null;

/**
 * One recorded step, by the names of `metrics.jsonl`: `epoch`, `loss_mle`, `loss_bg`,
 * `loss_edit`, `grad_norm`, `learning_rate`, `loss_scale`, `skipped`,
 * `steps_per_second`, and whatever else a trainer measures.
 */
export interface MetricsRecord {
  /** Steps that were done, this one included. */
  readonly step: number;
  /** A value by its name. */
  readonly [name: string]: MetricValue;
}

/** A record as one line, without its end; JSON has no NaN, which becomes null. */
export function metricsLine(record: MetricsRecord): string {
  return JSON.stringify(record);
}

/**
 * Reads a line.
 *
 * @returns undefined where it is not a record: torn, or of something else
 */
export function parseMetricsLine(line: string): MetricsRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const isRecord = Number.isSafeInteger((value as MetricsRecord).step) &&
    Object.values(value).every((item) =>
      item === null || typeof item === "number" || typeof item === "boolean"
    );
  return isRecord ? value as MetricsRecord : undefined;
}

/**
 * Checks that a record has a step and nothing but values.
 *
 * @throws {MasterWeaverError} `bad-option`
 */
export function checkRecord(record: MetricsRecord): void {
  if (parseMetricsLine(metricsLine(record))) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot record step ${
      brief(record.step)
    }: a record has a whole number as ` +
      `its step, and numbers, booleans or null by name; got ${
        brief(metricsLine(record))
      }`,
  );
}
