/**
 * Workers say that they are there, and with which model.
 *
 * @module
 */
import type { RedisClient } from "./connection.ts";
import {
  type ExtrasResource,
  type ModelResource,
  noExtras,
} from "../../wire/resources.ts";
import { workerKey, WORKERS } from "./keys.ts";

/** A worker as it introduces itself. */
export interface WorkerInfo {
  /** Its name, for people. */
  readonly name: string;
  /** The model it has. */
  readonly model: Pick<ModelResource, "name" | "hash" | "dtype" | "gpu">;
  /** Its extra files. */
  readonly extras: ExtrasResource;
}

/** Says that a worker lives, for some milliseconds. */
export async function announce(
  redis: RedisClient,
  id: string,
  { name, model, extras }: WorkerInfo,
  lasting: number,
): Promise<void> {
  const { name: modelName, hash, dtype, gpu } = model;
  const info = { name, model: { name: modelName, hash, dtype, gpu }, extras };
  await redis.set(workerKey(id), JSON.stringify(info), "PX", lasting);
  await redis.sadd(WORKERS, id);
}

/** Says that a worker is about to go. */
export async function withdraw(redis: RedisClient, id: string): Promise<void> {
  await redis.srem(WORKERS, id);
  await redis.del(workerKey(id));
}

/** The workers that live, whatever their model. */
export async function liveWorkers(redis: RedisClient): Promise<WorkerInfo[]> {
  const ids = await redis.smembers(WORKERS);
  if (ids.length === 0) return [];
  const infos = await redis.mget(ids.map(workerKey));
  const gone = ids.filter((_, i) => infos[i] === null);
  if (gone.length > 0) await redis.srem(WORKERS, ...gone);
  return infos.filter((info) => info !== null)
    .map((info) => JSON.parse(info) as WorkerInfo);
}

/** The extra files that all workers have: whichever takes a job can use them. */
export function commonExtras(workers: readonly WorkerInfo[]): ExtrasResource {
  const [first = noExtras, ...others] = workers.map(({ extras }) => extras);
  return others.reduce((a, b) => ({
    loras: inBoth(a.loras, b.loras),
    embeddings: inBoth(a.embeddings, b.embeddings),
    controlnets: inBoth(a.controlnets, b.controlnets),
    upscalers: inBoth(a.upscalers, b.upscalers),
  }), first);
}

function inBoth(a: readonly string[], b: readonly string[]): string[] {
  const others = new Set(b);
  return a.filter((name) => others.has(name));
}

/** Why no worker takes a job, and what to do. */
export function noWorkerMessage(
  wanted: Pick<ModelResource, "name" | "hash">,
  workers: readonly WorkerInfo[],
): string {
  const shown = ({ name, hash }: Pick<ModelResource, "name" | "hash">) =>
    `${name} (hash ${hash.slice(0, 10)})`;
  const others = workers.map(({ name, model }) => `${name}: ${shown(model)}`);
  const there = others.length === 0
    ? "no worker is running"
    : `the workers have others (${others.join(", ")})`;
  return `No worker has the model ${
    shown(wanted)
  }: ${there}; start one with this model`;
}
