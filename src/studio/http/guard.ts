/**
 * Who may ask: the host that is named, the site it comes from, the token.
 *
 * @module
 */
import { ApiError } from "../errors.ts";
import type { Operation } from "./operation.ts";
import type { Sessions } from "./sessions.ts";

/** Decides who may. */
export interface Guard {
  /**
   * Checks a request before its body is read.
   *
   * @param address the client's
   * @returns who asks, for fairness
   * @throws {ApiError} 401 `unauthorized`, 403 `forbidden`
   */
  check(
    request: Request,
    address: string,
    operation: Pick<Operation, "open">,
  ): string;

  /**
   * Checks only the host that a request names, for what a foreign page may link to.
   *
   * @throws {ApiError} 403 `forbidden`
   */
  checkHost(request: Request): void;
}

/** What a guard goes by. */
export interface GuardOptions {
  /** Host and port under which the server may be reached, as `Host` has them; see {@linkcode allowedHosts}. */
  readonly isHost: (host: string) => boolean;
  /** Who has the token; nothing where none is needed. */
  readonly sessions?: Sessions;
}

/** Makes a guard. */
export function createGuard({ isHost, sessions }: GuardOptions): Guard {
  const checkHost = (request: Request) => {
    const host = request.headers.get("host") ?? new URL(request.url).host;
    if (isHost(host.toLowerCase())) return;
    throw new ApiError(
      403,
      "forbidden",
      `This server does not answer as ${
        host.slice(0, 60)
      }; give --public-host where that is its name`,
    );
  };
  return {
    checkHost,
    check(request, address, { open }) {
      checkHost(request);
      checkSite(request);
      if (!sessions || open) return address;
      return sessions.client(request, address);
    },
  };
}

/** What a page of another origin sends is refused, whatever it is. */
function checkSite({ headers, url }: Request): void {
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site");
  const host = headers.get("host") ?? new URL(url).host;
  // A proxy may have taken TLS off: the scheme does not count.
  const isOwn = origin === null ||
    /^https?:\/\//.test(origin) &&
      origin.replace(/^https?:\/\//, "").toLowerCase() === host.toLowerCase();
  const isOwnSite = site === null || site === "same-origin" || site === "none";
  if (isOwn && isOwnSite) return;
  throw new ApiError(
    403,
    "forbidden",
    `A page of another site (${
      (origin ?? site ?? "").slice(0, 100)
    }) may not use this server`,
  );
}

/** Where a server listens, and what else it is called. */
export interface HostNames {
  /** The name or address that it listens at. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Names under which a proxy or a tunnel leads to it; any port, unless they have one. */
  readonly publicHosts: readonly string[];
}

/**
 * Tells which hosts a request may name. DNS rebinding makes a browser send the
 * name of a foreign page's server: no name is let through that is not known.
 *
 * @returns takes a `Host` header in small letters
 */
export function allowedHosts(
  { hostname, port, publicHosts }: HostNames,
): (host: string) => boolean {
  const names = new Set(
    ["localhost", "127.0.0.1", "[::1]", bracketed(hostname.toLowerCase())],
  );
  const isPublic = !isLoopback(hostname);
  if (isPublic) names.add(Deno.hostname().toLowerCase());
  const known = new Set(publicHosts.map((host) => host.toLowerCase()));
  return (host) => {
    const [, name, own] = /^(\[[0-9a-f:.]+\]|[^:]*)(?::(\d+))?$/.exec(host) ??
      [];
    if (name === undefined) return false;
    if (known.has(host) || known.has(name)) return true;
    const isPort = own === undefined
      ? port === 80 || port === 443
      : Number(own) === port;
    // An address is no name, so nobody can make it mean another machine.
    return isPort && (names.has(name) || isPublic && isAddress(name));
  };
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" ||
    hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function isAddress(name: string): boolean {
  return name.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(name);
}

/** A host's name or address as URLs have it. */
export function bracketed(hostname: string): string {
  return hostname.includes(":") && !hostname.startsWith("[")
    ? `[${hostname}]`
    : hostname;
}
