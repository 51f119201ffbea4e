/**
 * The studio under load: fifty clients at once that do all that clients do, and
 * what they should not. A tenth of the requests by default; all 10,000 with
 * MASTERWEAVER_LOAD=all, which also holds the server to its times.
 */
import { assert, assertEquals } from "@std/assert";
import { DrawingServer, type ProcessState } from "./support/drawing_server.ts";
import { amount, isFullLoad } from "./support/load.ts";
import { FAILING, load } from "./support/studio_load.ts";

const requests = amount(1000, 10_000);
const CLIENTS = 50;
/** Requests after which memory does not grow any more, unless something leaks. */
const WARM_UP = amount(1000, 3000);

/** Asks for health over and over in a thread of its own; returns the times in milliseconds. */
class Health implements Disposable {
  readonly #worker: Worker;

  constructor(url: string) {
    const script = `
      const times = [];
      let isOn = true;
      onmessage = () => { isOn = false; };
      while (isOn) {
        const started = performance.now();
        const answer = await fetch(${JSON.stringify(`${url}/api/health`)});
        await answer.json();
        times.push(performance.now() - started);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      postMessage(times.sort((a, b) => a - b));`;
    this.#worker = new Worker(
      `data:application/javascript,${encodeURIComponent(script)}`,
      { type: "module" },
    );
  }

  async stop(): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    this.#worker.onmessage = ({ data }) => resolve(data);
    this.#worker.onerror = (event) => reject(new Error(event.message));
    this.#worker.postMessage("stop");
    return await promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** Waits until nothing is left to do. */
async function idle({ url }: DrawingServer): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    const { waiting, running } = await (await fetch(`${url}/api/health`))
      .json();
    if (waiting + running === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("Jobs are left");
}

/** Its memory, once that has settled: what was freed goes back to the system bit by bit. */
async function settled(server: DrawingServer): Promise<ProcessState> {
  await idle(server);
  let state = await server.state();
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const next = await server.state();
    const isSettled = Math.abs(next.rss / state.rss - 1) < 0.005;
    state = next;
    if (isSettled) break;
  }
  return state;
}

/** Bytes as megabytes. */
const mb = (bytes: number) => (bytes / 1e6).toFixed(1);

Deno.test(`load: ${requests} requests of ${CLIENTS} clients`, async () => {
  await using server = await DrawingServer.start({
    failsFor: FAILING,
    maxWaiting: 100,
    // Few, so that their number does not grow any more after the first requests.
    kept: { jobs: 50 },
    keepAlive: 1000,
  });
  // What is made once only: compiled code, caches, the first jobs.
  await load(server.url, WARM_UP, CLIENTS);
  const before = await settled(server);

  using health = new Health(server.url);
  const started = performance.now();
  const seen = await load(server.url, requests, CLIENTS);
  const seconds = (performance.now() - started) / 1000;
  const times = await health.stop();
  const after = await settled(server);

  const at = (part: number) => times[Math.floor((times.length - 1) * part)];
  console.log([
    `${seen.requests} requests in ${seconds.toFixed(1)} s`,
    `answers: ${shown(seen.answers)}`,
    `jobs followed to their end: ${shown(seen.ends)}`,
    `health, ${times.length} times: median ${at(0.5).toFixed(1)} ms, ` +
    `99 % ${at(0.99).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms`,
    `the server's resident memory after a collection: ` +
    `${mb(before.rss)} MB before, ${mb(after.rss)} MB after; ` +
    `objects ${mb(before.heap)} MB before, ${mb(after.heap)} MB after`,
  ].join("\n"));

  assertEquals(seen.faults.slice(0, 5), []);
  checkEnds(server.err);
  assert(Math.abs(after.heap / before.heap - 1) < 0.1, "objects");
  assert(after.rss / before.rss < 1.1, "resident memory");
  assert(at(0.5) < 100, `health: ${at(0.5)} ms in the middle`);
  // Other tests have the CPUs as well, unless it is run by itself.
  if (isFullLoad) assert(at(0.99) < 100, `health: ${at(0.99)} ms`);
  server.kill("SIGTERM");
  assertEquals((await server.ended()).code, 0);
});

/** Every job that was taken in has ended, once. */
function checkEnds(log: string): void {
  const id = "[0-9a-f]{8}-[0-9a-f-]{27}";
  const taken = log.matchAll(new RegExp(`(?<!job) (${id}): `, "g"))
    .map(([, job]) => job).toArray();
  const ended = log.matchAll(
    new RegExp(
      `job (${id}): (?:done|failed|cancelled)(?: \\(\\S+\\))? after`,
      "g",
    ),
  ).map(([, job]) => job).toArray();
  assert(taken.length > 100, `${taken.length} jobs`);
  assertEquals(new Set(taken).size, taken.length);
  assertEquals(ended.toSorted(), taken.toSorted());
}

function shown(counts: ReadonlyMap<string, number>): string {
  return [...counts].toSorted().map(([key, count]) => `${key} × ${count}`)
    .join(", ");
}
