/**
 * A server that answers like the Hugging Face hub, and misbehaves on request.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** How an answer for a file goes wrong. */
export interface Fault {
  /** Breaks the connection after this many bytes of the answer. */
  readonly breakAfter?: number;
  /** Sends this many bytes of the answer, then nothing for a second. */
  readonly stallAfter?: number;
  /** Answers with this status. */
  readonly status?: number;
  /** Gives the whole file whatever range was asked for. */
  readonly ignoresRange?: boolean;
  /** Sends other bytes. */
  readonly corrupt?: boolean;
}

/** A request that was received. */
export interface SeenRequest {
  /** Path of the file, or `paths-info`. */
  readonly path: string;
  /** The header `Range`. */
  readonly range: string | null;
  /** The header `Authorization`. */
  readonly authorization: string | null;
  /** Which of the two hosts was asked. */
  readonly host: "hub" | "storage";
}

/** A running server. */
export interface FakeHub extends AsyncDisposable {
  /** Its address. */
  readonly url: string;
  /** Everything asked for so far. */
  readonly seen: SeenRequest[];
  /** Faults by file, the next answer's first. */
  readonly faults: Map<string, Fault[]>;
}

/** Files by repository and path. */
export type HubContent = Readonly<
  Record<string, Readonly<Record<string, Uint8Array>>>
>;

/** Larger files are kept elsewhere, behind a redirect, as with LFS. */
const LARGE = 1000;

/**
 * Starts a hub with some files; large ones are redirected to another host.
 *
 * @param token the token it requires, if any
 */
export function startHub(content: HubContent, token?: string): FakeHub {
  const seen: SeenRequest[] = [];
  const faults = new Map<string, Fault[]>();
  const bytesAt = (path: string): Uint8Array | undefined => {
    const match = /^\/([^/]+\/[^/]+)\/resolve\/main\/(.+)$/.exec(path);
    return match ? content[match[1]]?.[match[2]] : undefined;
  };
  const note = (request: Request, path: string, host: "hub" | "storage") => {
    const range = request.headers.get("Range");
    const authorization = request.headers.get("Authorization");
    seen.push({ path, range, authorization, host });
  };
  const storage = listen((request) => {
    const { pathname } = new URL(request.url);
    note(request, pathname, "storage");
    return answer(request, bytesAt(pathname), faults.get(name(pathname)));
  });
  const hub = listen(async (request) => {
    const { pathname } = new URL(request.url);
    const isAllowed = token === undefined ||
      request.headers.get("Authorization") === `Bearer ${token}`;
    if (!isAllowed) {
      return Response.json({ error: "Invalid credentials" }, { status: 401 });
    }
    const info = /^\/api\/models\/(.+)\/paths-info\/main$/.exec(pathname);
    if (info) {
      note(request, "paths-info", "hub");
      const files = content[info[1]];
      if (!files) {
        return Response.json({ error: "Repository not found" }, {
          status: 404,
        });
      }
      const { paths } = await request.json() as { paths: string[] };
      return Response.json(
        paths.filter((path) => files[path])
          .map((path) => ({ type: "file", path, ...facts(files[path]) })),
      );
    }
    note(request, pathname, "hub");
    const bytes = bytesAt(pathname);
    if (bytes && bytes.length >= LARGE) {
      await request.body?.cancel();
      return Response.redirect(`${storage.url}${pathname}`, 302);
    }
    return answer(request, bytes, faults.get(name(pathname)));
  });
  return {
    url: hub.url,
    seen,
    faults,
    async [Symbol.asyncDispose]() {
      await hub.server.shutdown();
      await storage.server.shutdown();
    },
  };
}

/** The last part of a path. */
function name(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function listen(handler: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    handler,
  );
  return { server, url: `http://127.0.0.1:${server.addr.port}` };
}

/** What the hub says of a file: an LFS pointer for a large one. */
function facts(bytes: Uint8Array) {
  const git = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes);
  const size = bytes.length;
  if (size < LARGE) return { oid: git.digest("hex"), size };
  const oid = createHash("sha256").update(bytes).digest("hex");
  return { oid: "0".repeat(40), size, lfs: { oid, size, pointerSize: 134 } };
}

function answer(
  request: Request,
  bytes: Uint8Array | undefined,
  faults: Fault[] = [],
): Response {
  if (!bytes) return new Response("Entry not found", { status: 404 });
  const fault = faults.shift() ?? {};
  if (fault.status !== undefined) {
    return new Response("Not now", { status: fault.status });
  }
  const range = /^bytes=(\d+)-$/.exec(request.headers.get("Range") ?? "");
  const start = range && !fault.ignoresRange ? Number(range[1]) : 0;
  let rest = new Uint8Array(bytes.subarray(start));
  if (fault.corrupt) rest = rest.map((byte) => byte ^ 1);
  const headers = new Headers({ "Content-Length": `${rest.length}` });
  if (start > 0) {
    headers.set(
      "Content-Range",
      `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
    );
  }
  const length = fault.breakAfter ?? fault.stallAfter;
  const body = length === undefined
    ? rest
    : broken(rest.subarray(0, length), fault.stallAfter ? 1000 : 50);
  return new Response(body, { status: start > 0 ? 206 : 200, headers });
}

/** Some bytes, then the end: the connection is closed before its length. */
function broken(
  bytes: Uint8Array<ArrayBuffer>,
  milliseconds: number,
): ReadableStream<Uint8Array> {
  let sent = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream({
    async pull(controller) {
      if (!sent) controller.enqueue(bytes);
      else {
        // Gives the bytes time to leave.
        await new Promise<void>((done) => {
          timer = setTimeout(done, milliseconds);
        });
        controller.close();
      }
      sent = true;
    },
    cancel() {
      clearTimeout(timer);
    },
  });
}
