/**
 * A file host for the built site: it knows ranges and nothing else, counts what
 * is asked of it, and does what a test wants to go wrong.
 *
 * @module
 */

/** What was asked for. */
export interface Asked {
  /** Without the slash at the start. */
  readonly path: string;
  /** First and last byte; null where the whole file was wanted. */
  readonly range: readonly [first: number, last: number] | null;
}

/** How a host answers. */
export interface HostOptions {
  /** Changes a file's bytes, by its path. */
  change?: (
    path: string,
    bytes: Uint8Array<ArrayBuffer>,
  ) => Uint8Array<ArrayBuffer>;
  /** Bytes of weights after which it holds back, until `release` is called. */
  holdAfter?: number;
  /** Whether it ignores ranges. */
  isPlain?: boolean;
}

const types: Readonly<Record<string, string>> = {
  "html": "text/html; charset=utf-8",
  "js": "text/javascript",
  "css": "text/css",
  "json": "application/json",
  "svg": "image/svg+xml",
  "jpg": "image/jpeg",
};

/** A host of one folder, on this machine alone. */
export class SiteHost implements AsyncDisposable {
  /** All requests so far. */
  readonly asked: Asked[] = [];
  /** What goes wrong; may be changed at any time. */
  readonly options: HostOptions;
  /** The page's address, with a slash at its end. */
  readonly url: string;
  /** Bytes of weights that were sent. */
  sent = 0;
  /** Requests that carried something, or were no questions. */
  bodies = 0;
  readonly #folder: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #released = Promise.withResolvers<void>();

  /** Starts at once. */
  constructor(folder: string, options: HostOptions) {
    this.#folder = folder;
    this.options = options;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
    // Below a folder: a site is not always the root of its host.
    this.url = `http://127.0.0.1:${this.#server.addr.port}/some/site/`;
  }

  /** Requests for weights. */
  get weights(): Asked[] {
    return this.asked.filter(({ path }) => path.endsWith(".weave"));
  }

  /** Sends what was held back, and holds nothing back any more. */
  release(): void {
    this.options.holdAfter = Infinity;
    this.#released.resolve();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    if (request.method !== "GET" || request.body || search) this.bodies++;
    if (!pathname.startsWith("/some/site/")) return missing();
    const path = decodeURIComponent(pathname.slice("/some/site/".length)) ||
      "index.html";
    const given = /^bytes=(\d+)-(\d+)$/.exec(
      request.headers.get("range") ?? "",
    );
    const range = given ? [Number(given[1]), Number(given[2])] as const : null;
    this.asked.push({ path, range });
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await Deno.readFile(`${this.#folder}/${path}`);
    } catch {
      return missing();
    }
    bytes = this.options.change?.(path, bytes) ?? bytes;
    const isRange = range !== null && !this.options.isPlain;
    const [first, last] = isRange ? range : [0, bytes.length - 1];
    const body = bytes.subarray(first, last + 1);
    const headers = {
      "content-type": types[path.split(".").at(-1)!] ??
        "application/octet-stream",
      "content-length": String(body.length),
      ...isRange && {
        "content-range": `bytes ${first}-${last}/${bytes.length}`,
      },
    };
    const isWeight = path.endsWith(".weave");
    return new Response(isWeight ? this.#slowly(body) : body, {
      status: isRange ? 206 : 200,
      headers,
    });
  }

  /** Sends weights in parts, and stops where the test wants it. */
  #slowly(body: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
    let at = 0;
    return new ReadableStream({
      pull: async (controller) => {
        const { holdAfter = Infinity } = this.options;
        if (this.sent >= holdAfter) await this.#released.promise;
        const part = body.subarray(at, at + 2 ** 18);
        at += part.length;
        this.sent += part.length;
        if (part.length > 0) controller.enqueue(part);
        if (at >= body.length) controller.close();
      },
    });
  }

  /** Ends it, whatever is still being sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.shutdown();
  }
}

function missing(): Response {
  return new Response("There is nothing here\n", { status: 404 });
}
