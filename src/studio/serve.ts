/**
 * The studio put together: a queue, a reader of photos, the operations, the
 * guard and the server.
 *
 * @module
 */
import { IdentityStore } from "./api/identity_store.ts";
import type { PhotoReader, Studio } from "./api/studio.ts";
import { Metrics } from "./api/metrics.ts";
import { ApiError, statusOf } from "./errors.ts";
import { app } from "./http/app.ts";
import { type BodyLimits, bodyLimits, BodyReader } from "./http/body.ts";
import { allowedHosts, createGuard } from "./http/guard.ts";
import { listen, type ServerOptions } from "./http/server.ts";
import { Sessions } from "./http/sessions.ts";
import type { Job } from "./jobs/job.ts";
import type { JobQueue } from "./jobs/queue.ts";
import { JobStore, type StoreLimits } from "./jobs/store.ts";
import type { Telemetry } from "./jobs/telemetry.ts";
import { Unwatched } from "./jobs/unwatched.ts";
import { allOperations, sayErrorAt } from "./operations.ts";

/** What a studio is made of; only the queue and the reader of photos are needed. */
export interface StudioOptions extends Partial<ServerOptions> {
  /** Runs jobs; disposed of with the studio. */
  readonly queue: JobQueue;
  /** Looks at photos; disposed of with the studio. */
  readonly photos: PhotoReader;
  /** Names under which a proxy leads here. */
  readonly publicHosts?: readonly string[];
  /** Who has it may ask; nobody needs one where there is none. */
  readonly token?: string;
  /** Seconds after which a job that nobody listens to any more is stopped. */
  readonly cancelUnwatched?: number;
  /** Answers what is no operation: the page. */
  readonly page?: (request: Request) => Response | Promise<Response>;
  /** Takes a line about a job that was taken in. */
  readonly log?: (line: string, job?: Job) => void;
  /** Makes spans of jobs. */
  readonly telemetry?: Telemetry;
  /** Takes what is a bug. */
  readonly onBug?: (error: unknown) => void;
  /** Limits of bodies, for tests. */
  readonly limits?: Partial<BodyLimits>;
  /** What is kept of jobs that ended, for tests. */
  readonly kept?: Partial<StoreLimits>;
  /** Milliseconds between signs of life in a stream of events. */
  readonly keepAlive?: number;
}

/** A studio that runs. */
export interface RunningStudio extends AsyncDisposable {
  /** How to reach it from this machine, without a slash at the end. */
  readonly url: string;
  /** What the operations share. */
  readonly studio: Studio;
  /**
   * Takes no more jobs, ends the running one and all connections.
   *
   * @param patience milliseconds that the running job may still take
   */
  shutdown(patience: number): Promise<void>;
}

/** Bytes of images, and of encoded people, that are kept in memory. */
const KEPT_BYTES = 256_000_000;
/** Milliseconds to fetch the images of the last job before the server ends. */
const LAST_IMAGES = 2000;
const KEPT_JOBS = { bytes: KEPT_BYTES, age: 3_600_000, jobs: 1000 };

/**
 * Starts a studio.
 *
 * @throws {MasterWeaverError} `busy`, `bad-option` where it cannot listen
 */
export async function startStudio(
  options: StudioOptions,
): Promise<RunningStudio> {
  const { queue, photos, token, tls, keepAlive = 15_000 } = options;
  const { hostname = "127.0.0.1", port = 7860, publicHosts = [] } = options;
  const metrics = new Metrics();
  const studio: Studio = {
    queue,
    photos,
    jobs: new JobStore({ ...KEPT_JOBS, ...options.kept }, (job) => {
      metrics.watch(job);
      options.telemetry?.watch(job);
    }),
    identities: new IdentityStore(KEPT_BYTES),
    log: options.log ?? (() => {}),
  };
  const unwatched = new Unwatched(queue, options.cancelUnwatched);
  const sessions = token === undefined
    ? undefined
    : new Sessions(token, tls !== undefined);
  const operations = allOperations(studio, {
    events: {
      keepAlive,
      room: 1_000_000,
      onLeave: (job) => unwatched.left(job),
    },
    metrics,
    cookie: sessions?.cookie,
  });
  const { connections } = options;
  const server = await listen({ hostname, port, tls, connections }, (port) => {
    const isHost = allowedHosts({ hostname, port, publicHosts });
    const guard = createGuard({ isHost, sessions });
    return app(operations, {
      guard,
      bodies: new BodyReader({ ...bodyLimits, ...options.limits }),
      otherwise: pageOf(options, guard, sessions),
      onBug: options.onBug ?? ((error) => console.error(error)),
      onAnswer: (...answer) => metrics.answered(...answer),
    });
  });
  let ended: Promise<void> | undefined;
  const end = async (patience: number) => {
    const running = [...studio.jobs.all()].filter(({ state }) =>
      state === "running"
    );
    await queue.close(patience);
    unwatched[Symbol.dispose]();
    // Whoever was told that a job is done asks for its images only now.
    if (running.some(({ state }) => state === "done")) await wait(LAST_IMAGES);
    await server.shutdown();
    studio.jobs[Symbol.dispose]();
    await queue[Symbol.asyncDispose]();
    await photos[Symbol.asyncDispose]();
  };
  const shutdown = (patience: number) => ended ??= end(patience);
  return {
    url: server.url,
    studio,
    shutdown,
    [Symbol.asyncDispose]: () => shutdown(0),
  };
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Answers what is no operation. */
function pageOf(
  { page }: StudioOptions,
  guard: ReturnType<typeof createGuard>,
  sessions?: Sessions,
): (request: Request) => Response | Promise<Response> {
  return async (request) => {
    const { pathname } = new URL(request.url);
    try {
      guard.checkHost(request);
      if (sessions && pathname === "/login") return sessions.login(request);
      if (!page || /^\/(api|v1|sdapi)\//.test(pathname)) {
        throw new ApiError(
          404,
          "not-found",
          "There is nothing at this path; /openapi.json lists what there is",
        );
      }
      // Open to all: nothing in the page is secret, and it asks for the token itself.
      return await page(request);
    } catch (error) {
      if (statusOf(error) === 500) throw error;
      return sayErrorAt(pathname)(error);
    }
  };
}
