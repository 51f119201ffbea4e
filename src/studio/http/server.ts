/**
 * The HTTP server: one port, with or without TLS, and headers that every answer
 * has.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Handler } from "./app.ts";
import { isLoopback } from "./guard.ts";

/** Where a server listens. */
export interface ServerOptions {
  /** The name or address to listen at. */
  readonly hostname: string;
  /** The port; 0 for any that is free. */
  readonly port: number;
  /** Certificate and key in PEM, for TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

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
 * @throws {MasterWeaverError} `bad-option` where it cannot
 */
export function listen(
  { hostname, port, tls }: ServerOptions,
  handlerOf: (port: number) => Handler,
): Server {
  const controller = new AbortController();
  let handler: Handler = () => new Response(null, { status: 503 });
  const server = serve(
    () =>
      Deno.serve(
        {
          hostname,
          port,
          signal: controller.signal,
          onListen() {},
          ...tls,
        },
        async (request, { remoteAddr }) => {
          const address = "hostname" in remoteAddr ? remoteAddr.hostname : "";
          return withHeaders(await handler(request, address));
        },
      ),
    hostname,
    port,
  );
  const own = server.addr.port;
  handler = handlerOf(own);
  const shown = isLoopback(hostname) || /^(0\.0\.0\.0|::)$/.test(hostname)
    ? "127.0.0.1"
    : hostname.includes(":")
    ? `[${hostname}]`
    : hostname;
  return {
    port: own,
    url: `http${tls ? "s" : ""}://${
      isLoopback(hostname) && hostname !== "127.0.0.1" ? "localhost" : shown
    }:${own}`,
    async shutdown() {
      const timer = setTimeout(() => controller.abort(), LAST_ANSWERS);
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}

function serve<T>(start: () => T, hostname: string, port: number): T {
  try {
    return start();
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new MasterWeaverError(
        "bad-option",
        `Port ${port} is taken, perhaps by a studio that runs already; give another with --port, or --port 0 for any that is free`,
        { cause: error },
      );
    }
    if (
      error instanceof Deno.errors.AddrNotAvailable ||
      error instanceof Deno.errors.PermissionDenied
    ) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot listen at ${hostname}, port ${port}; give an address of this machine with --host, and a port from 1024 with --port`,
        { cause: error },
      );
    }
    throw error;
  }
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
