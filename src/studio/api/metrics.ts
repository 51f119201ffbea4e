/**
 * `GET /api/metrics`: what Prometheus collects.
 *
 * @module
 */
import type { Operation } from "../http/operation.ts";
import type { Job } from "../jobs/job.ts";
import type { JobQueue } from "../jobs/queue.ts";

/** Seconds up to which requests and jobs are counted. */
const REQUEST_SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];
const JOB_SECONDS = [1, 2.5, 5, 10, 30, 60, 120, 300, 900];

/** Counts what happens. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #jobs = new Map<string, number>();
  readonly #requestSeconds = new Histogram(REQUEST_SECONDS);
  readonly #jobSeconds = new Histogram(JOB_SECONDS);
  #images = 0;

  /** Counts an answer. */
  answered(
    { method, path }: Pick<Operation, "method" | "path">,
    status: number,
    seconds: number,
  ): void {
    // Only what is declared: a client cannot make up names.
    const labels = `method="${method}",path="${path}",status="${status}"`;
    count(this.#requests, labels);
    this.#requestSeconds.add(seconds);
  }

  /** Counts a job once it has ended. */
  watch(job: Job): void {
    job.ended.then(() => {
      count(this.#jobs, `state="${job.state}"`);
      this.#images += job.images.length;
      this.#jobSeconds.add((job.endedAt! - job.createdAt) / 1000);
    });
  }

  /** All of it, in Prometheus' text format. */
  text({ counts, workers }: JobQueue): string {
    const { rss, heapUsed } = Deno.memoryUsage();
    return [
      ...family("requests_total", "counter", "Answers by operation and status")(
        this.#requests,
      ),
      ...this.#requestSeconds.lines(
        "request_seconds",
        "Seconds until an answer begins",
      ),
      ...family("jobs_total", "counter", "Jobs that ended, by state")(
        this.#jobs,
      ),
      ...this.#jobSeconds.lines("job_seconds", "Seconds of a job, waiting too"),
      ...single("images_total", "counter", "Images made", this.#images),
      ...single("jobs_waiting", "gauge", "Jobs that wait", counts.waiting),
      ...single("jobs_running", "gauge", "Jobs that run", counts.running),
      ...single("workers", "gauge", "Workers that take jobs", workers),
      ...single("memory_bytes", "gauge", "Memory of the process", rss),
      ...single("heap_bytes", "gauge", "Memory of its objects", heapUsed),
      "",
    ].join("\n");
  }
}

/** The operation. */
export function metricsOperation(
  queue: JobQueue,
  metrics: Metrics,
): Operation {
  return {
    method: "get",
    path: "/api/metrics",
    tag: "Server",
    summary: "Counts and times, in Prometheus' text format",
    answers: { 200: { description: "Metrics", mediaType: "text/plain" } },
    handle: () =>
      new Response(metrics.text(queue), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      }),
  };
}

/** How many values are up to each of some limits. */
class Histogram {
  readonly #limits: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(limits: readonly number[]) {
    this.#limits = limits;
    this.#counts = Array(limits.length + 1).fill(0);
  }

  add(value: number): void {
    const index = this.#limits.findIndex((limit) => value <= limit);
    this.#counts[index < 0 ? this.#limits.length : index]++;
    this.#sum += value;
  }

  lines(name: string, help: string): string[] {
    let count = 0;
    const buckets = [...this.#limits, "+Inf"].map((limit, i) => {
      count += this.#counts[i];
      return `masterweaver_${name}_bucket{le="${limit}"} ${count}`;
    });
    return [
      ...header(name, "histogram", help),
      ...buckets,
      `masterweaver_${name}_sum ${this.#sum}`,
      `masterweaver_${name}_count ${count}`,
    ];
  }
}

function header(name: string, type: string, help: string): string[] {
  return [
    `# HELP masterweaver_${name} ${help}`,
    `# TYPE masterweaver_${name} ${type}`,
  ];
}

function single(
  name: string,
  type: string,
  help: string,
  value: number,
): string[] {
  return [...header(name, type, help), `masterweaver_${name} ${value}`];
}

function family(name: string, type: string, help: string) {
  return (values: ReadonlyMap<string, number>): string[] => [
    ...header(name, type, help),
    ...[...values].map(([labels, value]) =>
      `masterweaver_${name}{${labels}} ${value}`
    ),
  ];
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
