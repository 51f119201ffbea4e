/**
 * A worker that draws, as a process: what it is told comes as its one argument,
 * in JSON.
 *
 * @module
 */
import { RedisWorker } from "../../src/studio/jobs/redis/worker.ts";
import { DrawingEngine } from "./drawing_engine.ts";
import type { WorkerStart } from "./redis_server.ts";

const start: WorkerStart = JSON.parse(Deno.args[0]);
const { url, name, stepTime, timing } = start;
const engine = new DrawingEngine({ stepTime });
const worker = await RedisWorker.open(url, engine, {
  name,
  timing,
  onLine: console.log,
  onWarning: console.log,
});
const ended = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => ended.resolve());
console.log("ready");
await ended.promise;
await worker.close(100);
