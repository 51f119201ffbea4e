/**
 * A Redis or Valkey of a test's own, on a free port of this machine, and tests
 * that need one.
 *
 * @module
 */
import { LineProcess } from "./line_process.ts";
import { repositoryPath } from "./paths.ts";

const programs = ["redis-server", "valkey-server"];
const there = await Promise.all(programs.map(isThere));
const program = programs.find((_, i) => there[i]);
const inCi = Boolean(Deno.env.get("CI"));

/** Whether there is a Redis to start. */
export const hasRedis = program !== undefined;

if (!program) {
  console.warn(
    "No redis-server or valkey-server: tests of several machines are skipped. Debian has both as packages.",
  );
}

async function isThere(name: string): Promise<boolean> {
  try {
    await new Deno.Command(name, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output();
    return true;
  } catch {
    return false;
  }
}

/**
 * Registers a test that needs Redis. Without it, it is reported as skipped, by
 * its name; in CI it fails instead.
 */
export function redisTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !program && !inCi, fn });
}

/** A port of this machine that nobody listens at. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Redis, with its data in a folder of its own. */
export class RedisServer implements AsyncDisposable {
  readonly #folder: string;
  readonly #settings: readonly string[];
  readonly #port = freePort();
  #process: Deno.ChildProcess | null = null;

  private constructor(folder: string, settings: readonly string[]) {
    this.#folder = folder;
    this.#settings = settings;
  }

  /**
   * Starts it.
   *
   * @param keeps whether what it has outlives a restart
   * @param settings more of its options
   */
  static async start(
    keeps: boolean,
    settings: readonly string[] = [],
  ): Promise<RedisServer> {
    const server = new RedisServer(await Deno.makeTempDir(), [
      ...["--appendonly", keeps ? "yes" : "no"],
      ...["--appendfsync", "always"],
      ...settings,
    ]);
    await server.resume();
    return server;
  }

  /** Its address. */
  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** Starts it again after {@linkcode kill}. */
  async resume(): Promise<void> {
    this.#process = new Deno.Command(program ?? programs[0], {
      args: [
        ...["--port", String(this.#port), "--bind", "127.0.0.1"],
        ...["--dir", this.#folder, "--save", ""],
        ...this.#settings,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let i = 0; i < 500; i++) {
      if (await this.#answers()) return;
      await new Promise((done) => setTimeout(done, 10));
    }
    throw new Error(`Redis at ${this.url} did not start within 5 s`);
  }

  /** Ends it without a warning. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.status;
    this.#process = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #answers(): Promise<boolean> {
    try {
      using connection = await Deno.connect({
        hostname: "127.0.0.1",
        port: this.#port,
      });
      await connection.write(new TextEncoder().encode("PING\r\n"));
      const answer = new Uint8Array(16);
      const length = await connection.read(answer) ?? 0;
      const text = new TextDecoder().decode(answer.subarray(0, length));
      // With a password it says that it wants one.
      return /^\+PONG|^-NOAUTH/.test(text);
    } catch {
      return false;
    }
  }
}

/** What a worker's process is told. */
export interface WorkerStart {
  /** Redis's address. */
  readonly url: string;
  /** Its name, for people. */
  readonly name: string;
  /** Milliseconds for each step. */
  readonly stepTime: number;
  /** Times that differ from the usual ones. */
  readonly timing: Readonly<Record<string, number>>;
}

/** A worker in a process of its own, that draws. */
export class WorkerProcess extends LineProcess {
  /** Starts it. */
  constructor(start: WorkerStart) {
    const script = repositoryPath("tests/support/redis_worker.ts");
    super(["run", "-A", "--no-check", script, JSON.stringify(start)]);
  }

  /** Settles once it takes jobs. */
  async ready(): Promise<void> {
    await this.line(/^ready$/);
  }
}
