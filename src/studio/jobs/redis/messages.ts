/**
 * What a server and its workers tell each other.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { EncodedIdentity } from "../../engine/engine.ts";
import type { JobReport } from "../job.ts";
import { pack, toBuffer, unpack } from "./encoding.ts";

/** The data of a job in BullMQ; its name says whether it is for images or for a person. */
export interface WorkItem {
  /** Who took it in, and hears of it. */
  readonly server: string;
  /** Milliseconds that it may run. */
  readonly timeLimit: number;
  /** A packed `JobRequest`, or `Person`. */
  readonly request: string;
  /** SHA-256 of the files that belong to it, in order. */
  readonly files: readonly string[];
}

/** The names of jobs in BullMQ. */
export type WorkKind = "image" | "encode";

/** What a worker reports; the last of a job is an end. */
export type WorkReport =
  | JobReport
  | { readonly type: "encoded"; readonly person: EncodedIdentity };

/** A report, and where it belongs. */
export interface Message {
  /** The job's id. */
  readonly job: string;
  /** Which attempt at the job it is; another worker has another. */
  readonly run: string;
  /** From 1 in each run: a connection that broke may send the same again. */
  readonly sequence: number;
  /** What happened. */
  readonly report: WorkReport;
}

/** Whether a report is a job's last. */
export function isEnd({ type }: WorkReport): boolean {
  return ["done", "error", "cancelled", "encoded"].includes(type);
}

/** A message as the fields of a stream's entry: JSON first, then its files. */
export function toFields(
  { job, run, sequence, report }: Message,
): (string | Buffer)[] {
  const { json, files } = pack(report);
  const head = { job, run, sequence };
  return [
    "head",
    JSON.stringify(head),
    "report",
    json,
    ...files.flatMap((file, i) => [`file${i}`, toBuffer(file)]),
  ];
}

/** Reads what {@linkcode toFields} wrote. */
export function fromFields(fields: readonly Buffer[]): Message {
  const [, head, , json, ...rest] = fields;
  const files = rest.filter((_, i) => i % 2 === 1)
    .map((file) => new Uint8Array(file));
  const { job, run, sequence } = JSON.parse(head.toString()) as Message;
  const report = unpack(json.toString(), files) as WorkReport;
  return { job, run, sequence, report };
}
