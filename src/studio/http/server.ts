/**
 * The HTTP server: one port, with or without TLS, limits of connections, and
 * headers that every answer has.
 *
 * @module
 */
import { createServer, type Server as NodeServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { MasterWeaverError } from "../../base/errors.ts";
import type { Handler } from "./app.ts";
import { exchange, type ExchangeLimits } from "./exchange.ts";
import { bracketed } from "./guard.ts";

/** Where a server listens. */
export interface ServerOptions {
  /** The name or address to listen at. */
  readonly hostname: string;
  /** The port; 0 for any that is free. */
  readonly port: number;
  /** Certificate and key in PEM, for TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Limits of connections, where they are not the usual ones. */
  readonly connections?: Partial<ConnectionLimits>;
}

/** What connections may hold, and how long; milliseconds. */
export interface ConnectionLimits extends ExchangeLimits {
  /** The most at a time; more are closed at once. */
  readonly most: number;
  /** For a request's head. */
  readonly head: number;
  /** For all of a request. */
  readonly request: number;
  /** Between two requests. */
  readonly idle: number;
}

/**
 * A page opens half a dozen, a process may have a thousand files open. `Deno.serve`
 * has none of these limits: a client that sends half a head would stay for ever,
 * and so would one whose body was refused.
 */
const usual: ConnectionLimits = {
  most: 800,
  head: 10_000,
  request: 330_000,
  idle: 30_000,
  unread: 60_000,
  unasked: 2000,
};

/** Milliseconds that answers may still take when the server ends. */
const LAST_ANSWERS = 2000;

/** A server that runs. */
export interface Server {
  /** Its port. */
  readonly port: number;
  /** How to reach it from this machine. */
  readonly url: string;
  /** Takes no more connections, and waits a little for the answers that are under way. */
  shutdown(): Promise<void>;
}

/**
 * Listens.
 *
 * @param handlerOf makes the handler, knowing the port
 * @throws {MasterWeaverError} `busy` where the port is taken, `bad-option` where it cannot listen there
 */
export async function listen(
  { hostname, port, tls, connections }: ServerOptions,
  handlerOf: (port: number) => Handler,
): Promise<Server> {
  const limits = { ...usual, ...connections };
  const server = serverOf(limits, tls);
  const own = await opened(server, hostname, port);
  const handler = handlerOf(own);
  const answer: Handler = async (...request) =>
    withHeaders(await handler(...request));
  const sockets = openSockets(server);
  const exchanges = new Set<Promise<void>>();
  server.on("request", (incoming, outgoing) => {
    // A handler answers its own faults; what is left is a connection that broke.
    const own = exchange(incoming, outgoing, answer, limits)
      .catch(() => {
        incoming.socket.destroy();
      })
      .finally(() => exchanges.delete(own));
    exchanges.add(own);
  });
  return {
    port: own,
    url: urlOf(hostname, own, tls !== undefined),
    async shutdown() {
      server.close();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, LAST_ANSWERS);
      await Promise.race([Promise.all(exchanges), late.promise]);
      clearTimeout(timer);
      // Else one that is only kept for the next request keeps the process.
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The connections that are open, at any time. */
function openSockets(server: NodeServer): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

function serverOf(
  limits: ConnectionLimits,
  tls: ServerOptions["tls"],
): NodeServer {
  const options = {
    headersTimeout: limits.head,
    requestTimeout: limits.request,
    keepAliveTimeout: limits.idle,
    connectionsCheckingInterval: Math.min(limits.head / 4, 2000),
  };
  const server = tls
    // Else a connection without a word counts for two minutes.
    ? createTlsServer({ ...options, ...tls, handshakeTimeout: limits.head })
    : createServer(options);
  server.maxConnections = limits.most;
  return server;
}

/**
 * Opens the port.
 *
 * @returns its number
 */
async function opened(
  server: NodeServer,
  hostname: string,
  port: number,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).once("listening", resolve);
  server.listen({ host: hostname.replace(/^\[|\]$/g, ""), port });
  try {
    await promise;
  } catch (error) {
    throw listenError(error, hostname, port);
  }
  server.off("error", reject);
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : port;
}

/** Why it cannot listen, where the one who started it can do something about it. */
function listenError(error: unknown, hostname: string, port: number): unknown {
  const code = String(Object(error).code);
  if (code === "EADDRINUSE") {
    // Not the command's usage: another time the port is free.
    return new MasterWeaverError(
      "busy",
      `Port ${port} is taken, perhaps by a studio that runs already; give another with --port, or --port 0 for any that is free`,
      { cause: error },
    );
  }
  if (/^(EADDRNOTAVAIL|EACCES|EPERM|ENOTFOUND|EAI_\w+)$/.test(code)) {
    return new MasterWeaverError(
      "bad-option",
      `Cannot listen at ${hostname}, port ${port}; give an address of this machine with --host, and a port from 1024 with --port`,
      { cause: error },
    );
  }
  return error;
}

function urlOf(hostname: string, port: number, isTls: boolean): string {
  const isAny = /^(0\.0\.0\.0|\[?::\]?)$/.test(hostname);
  const shown = isAny ? "127.0.0.1" : bracketed(hostname);
  return `http${isTls ? "s" : ""}://${shown}:${port}`;
}

/** What every answer says, unless it says otherwise itself. */
const headers: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "x-frame-options": "DENY",
  "content-security-policy":
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
  "cache-control": "no-store",
};

function withHeaders(response: Response): Response {
  for (const [name, value] of Object.entries(headers)) {
    if (!response.headers.has(name)) response.headers.set(name, value);
  }
  return response;
}
