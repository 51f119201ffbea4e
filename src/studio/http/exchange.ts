/**
 * One request and its answer on a connection of Node's HTTP server, as the web's
 * `Request` and `Response`.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Handler } from "./app.ts";

/** How long a client may take, in milliseconds. */
export interface ExchangeLimits {
  /** To read the next part of an answer. */
  readonly unread: number;
  /** To stop sending a body that nobody reads, before its connection is closed. */
  readonly unasked: number;
}

/**
 * Answers a request. Whatever its client does, the connection is free again, or
 * closed, when the promise settles or soon after.
 */
export async function exchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: Handler,
  limits: ExchangeLimits,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  // Whoever waits for the answer hears of it by the signal.
  incoming.on("error", () => {});
  outgoing.on("error", () => {});
  const request = requestOf(incoming, gone.signal);
  const response = request === undefined
    ? new Response("The request is not HTTP as this server reads it\n", {
      status: 400,
    })
    : await handler(request, addressOf(incoming));
  if (gone.signal.aborted) return await response.body?.cancel();
  writeHead(outgoing, response);
  try {
    await writeBody(outgoing, response, { signal: gone.signal, limits });
  } catch {
    // An answer that breaks off must not look whole.
    incoming.socket.destroy();
  }
  if (!incoming.complete) discard(incoming, limits.unasked);
}

/** The client's address, without the prefix that an IPv4 address has on a socket for both. */
function addressOf({ socket }: IncomingMessage): string {
  return (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}

/** The request; undefined where the web has no such thing. */
function requestOf(
  incoming: IncomingMessage,
  signal: AbortSignal,
): Request | undefined {
  const { method = "GET", url = "/", rawHeaders } = incoming;
  const headers = new Headers();
  try {
    for (let i = 0; i < rawHeaders.length; i += 2) {
      headers.append(rawHeaders[i], rawHeaders[i + 1]);
    }
    const scheme = "encrypted" in incoming.socket ? "https" : "http";
    // What the path is below does not matter; the guard checks the host itself.
    const path = url.startsWith("/")
      ? `${scheme}://${headers.get("host")}${url}`
      : url;
    const hasBody = method !== "GET" && method !== "HEAD" &&
      (headers.has("content-length") || headers.has("transfer-encoding"));
    return new Request(path, {
      method,
      headers,
      signal,
      body: hasBody ? bodyOf(incoming) : null,
    });
  } catch {
    return undefined;
  }
}

/** A body that is read no faster than it is asked for. */
function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      incoming.on("data", (chunk: Uint8Array) => {
        controller.enqueue(new Uint8Array(chunk));
        if ((controller.desiredSize ?? 0) <= 0) incoming.pause();
      });
      incoming.on("end", () => controller.close());
      incoming.on("close", () => {
        if (!incoming.complete) controller.error(new Error("It broke off"));
      });
      incoming.pause();
    },
    pull: () => {
      incoming.resume();
    },
    cancel: () => {
      incoming.removeAllListeners("data").removeAllListeners("end");
      incoming.pause();
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: 2 ** 16 }));
}

function writeHead(outgoing: ServerResponse, response: Response): void {
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
}

/** What stops an answer. */
interface Writing {
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  readonly limits: ExchangeLimits;
}

/** Writes a body as fast as its reader takes it. */
async function writeBody(
  outgoing: ServerResponse,
  { body }: Response,
  { signal, limits }: Writing,
): Promise<void> {
  const reader = body?.getReader();
  const leave = () => {
    reader?.cancel().catch(() => {});
  };
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    outgoing.flushHeaders();
    while (reader) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) break;
      if (!outgoing.write(value)) {
        await taken(outgoing, "drain", { signal, limits });
      }
    }
    outgoing.end();
    if (!outgoing.writableFinished) {
      await taken(outgoing, "finish", { signal, limits });
    }
  } catch (error) {
    leave();
    throw error;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Waits until what was written has left, or the connection has ended. */
async function taken(
  outgoing: ServerResponse,
  event: "drain" | "finish",
  { signal, limits }: Writing,
): Promise<void> {
  // It would wait for events that have been.
  if (signal.aborted) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error("The reader takes nothing")),
    limits.unread,
  );
  const end = () => resolve();
  outgoing.once(event, end).once("close", end);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    outgoing.off(event, end).off("close", end);
  }
}

/**
 * Throws away what still comes of a body: a client may read its answer only once
 * it has sent everything. Where that takes long the connection is closed.
 */
function discard(incoming: IncomingMessage, time: number): void {
  const { socket } = incoming;
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), time);
  const stop = () => clearTimeout(timer);
  socket.once("close", stop);
  incoming.once("end", () => {
    stop();
    socket.off("close", stop);
  });
  incoming.resume();
}
