/**
 * The jobs that run, remembered one by one: a tab that is loaded anew finds its
 * own again, and the next tab that opens those whose tab was closed.
 *
 * @module
 */
import { hex } from "../../../base/sha256.ts";
import type { JsonSettings, PhotoChoices } from "../engine/engine.ts";
import { hashesIn } from "./hashes.ts";
import { type SourceTexts, sourceTextsIn } from "./source_texts.ts";
import {
  remember,
  remembered,
  rememberedNames,
  rememberInTab,
} from "./remembered.ts";

/** A job that was sent, or is about to be. */
export interface PendingJob {
  /** Its name, which the page chose: it holds even where no answer came. */
  readonly id: string;
  /** When it was asked for, in milliseconds since 1970. */
  readonly createdAt: number;
  /** What is made. */
  readonly settings: JsonSettings;
  /** How photos are looked at. */
  readonly choices: PhotoChoices;
  /** Hashes of the photos, in order. */
  readonly photos: readonly string[];
  /** What else it is made from. */
  readonly sources: SourceTexts;
  /** Whether the server is known to have it. */
  readonly isSent: boolean;
  /** Whether somebody asked to stop it. */
  readonly isStopped: boolean;
}

/** Milliseconds after which a tab that gave no sign of life is gone; a hidden one gives one a minute. */
const HOLD = 180_000;

/** Milliseconds after which a job that was never sent is not sent any more. */
const SENT_WITHIN = 600_000;

/** A name that nobody else has: a random UUID. */
export function newJobId(): string {
  // A page that came from another machine without TLS has no `randomUUID`.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = bytes[6] & 0x0f | 0x40;
  bytes[8] = bytes[8] & 0x3f | 0x80;
  return hex(bytes)
    .replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Remembers a job as this tab's. */
export function rememberJob(job: PendingJob): void {
  remember(`job.${job.id}`, job);
  rememberInTab("job", job.id);
}

/** Forgets a job, which is over. */
export function forgetJob({ id }: PendingJob): void {
  remember(`job.${id}`, undefined);
  remember(`held.${id}`, undefined);
}

/**
 * Says that this tab follows a job, until it is closed.
 *
 * @returns says that it does so no more
 */
export function holdJob({ id }: PendingJob): () => void {
  const hold = () => remember(`held.${id}`, Date.now());
  const release = () => remember(`held.${id}`, undefined);
  hold();
  const timer = setInterval(hold, HOLD / 9);
  addEventListener("pagehide", release);
  return () => {
    clearInterval(timer);
    removeEventListener("pagehide", release);
    release();
  };
}

/** The jobs that this tab may take up: its own first, then those that no tab follows, the oldest first. */
export function jobsLeft(ownId: unknown): PendingJob[] {
  const now = Date.now();
  const jobs = allJobs().filter(({ id, isSent, createdAt }) =>
    (isSent || now - createdAt < SENT_WITHIN) &&
    (id === ownId || !(now - Number(remembered(`held.${id}`)) < HOLD))
  );
  return jobs.sort((a, b) =>
    Number(b.id === ownId) - Number(a.id === ownId) || a.createdAt - b.createdAt
  );
}

/** All jobs that are remembered, of whatever tab. */
export function allJobs(): PendingJob[] {
  return rememberedNames("job.").map(readJob).filter((job) => job !== null);
}

function readJob(id: string): PendingJob | null {
  const { createdAt, settings, choices, photos, sources, ...state } = Object(
    remembered(`job.${id}`),
  );
  if (typeof settings?.prompt !== "string") return null;
  return {
    id,
    createdAt: Number(createdAt) || 0,
    settings,
    choices: Object(choices),
    photos: hashesIn(photos),
    sources: sourceTextsIn(sources),
    isSent: state.isSent === true,
    isStopped: state.isStopped === true,
  };
}
