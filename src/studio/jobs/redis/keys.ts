/**
 * The names of everything that is kept in Redis.
 *
 * @module
 */

/** Before all keys; the number rises when servers and workers would not understand each other any more. */
export const PREFIX = "masterweaver-2";

/**
 * A key of BullMQ's for a queue: `wait` and `prioritized`, `active`, a job's id.
 *
 * @param queue its name is the model's hash: workers with another model never see its jobs
 */
export function queueKey(queue: string, name: string): string {
  return `${PREFIX}:${queue}:${name}`;
}

/** Where each client's turn is, by client. */
export function roundsKey(queue: string): string {
  return `${PREFIX}:rounds:${queue}`;
}

/** The stream of what workers report to one server. */
export function reportsKey(server: string): string {
  return `${PREFIX}:reports:${server}`;
}

/** Is there while a server lives. */
export function serverKey(server: string): string {
  return `${PREFIX}:server:${server}`;
}

/** The ids of all workers, some of them gone. */
export const WORKERS = `${PREFIX}:workers`;

/** What a worker says of itself, while it lives. */
export function workerKey(worker: string): string {
  return `${PREFIX}:worker:${worker}`;
}

/** A file of a job's request, by its SHA-256: the same photos are kept once. */
export function fileKey(hash: string): string {
  return `${PREFIX}:file:${hash}`;
}

/** Is there once a job's end was reported, so that nobody reports another. */
export function endedKey(job: string): string {
  return `${PREFIX}:ended:${job}`;
}

/** Why a job is to stop. */
export function cancelKey(job: string): string {
  return `${PREFIX}:cancel:${job}`;
}

/** A new id of a person to be encoded, which is no job to those that wait. */
export function encodingId(): string {
  return `${ENCODING}${crypto.randomUUID()}`;
}

/** Whether an id is of a person to be encoded. */
export function isEncoding(id: string): boolean {
  return id.startsWith(ENCODING);
}

const ENCODING = "encoding-";
