/**
 * Who has the token: programs send it with each request, the page gets a cookie
 * for it once. Nothing is stored: a session's name is signed with the token.
 *
 * @module
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { ApiError } from "../errors.ts";

/** Checks tokens, and hands out cookies for them. */
export class Sessions {
  /** The cookie's name: browsers send it to all ports of a host, where other studios have tokens of their own. */
  readonly cookie: string;
  readonly #token: string;
  readonly #isSecure: boolean;

  /**
   * Sessions of one token.
   *
   * @param isSecure whether the server speaks TLS itself
   */
  constructor(token: string, isSecure: boolean) {
    this.#token = token;
    this.#isSecure = isSecure;
    this.cookie = `masterweaver-${this.#sign("name").slice(0, 8)}`;
  }

  /**
   * Tells who asks.
   *
   * @throws {ApiError} 401 `unauthorized`
   */
  client(request: Request, address: string): string {
    const given = tokenOf(request);
    if (given !== undefined) {
      if (isSame(given, this.#token)) return address;
      throw unauthorized("The token is wrong");
    }
    const session = this.#session(request);
    if (session !== undefined) return session;
    throw unauthorized("A token is needed");
  }

  /**
   * Answers `/login?token=…` with a cookie for the page.
   *
   * @throws {ApiError} 401 `unauthorized`
   */
  login(request: Request): Response {
    const token = new URL(request.url).searchParams.get("token") ?? "";
    if (!isSame(token, this.#token)) throw unauthorized("The token is wrong");
    const id = crypto.randomUUID();
    const cookie = [
      `${this.cookie}=${id}.${this.#sign(id)}`,
      "Path=/",
      "HttpOnly",
      "SameSite=Strict",
      "Max-Age=2592000",
      ...this.#isSecure ? ["Secure"] : [],
    ].join("; ");
    // A redirect that another site led to does not carry a strict cookie; a page's own refresh does.
    return new Response(
      '<!doctype html><meta http-equiv="refresh" content="0;url=/"><a href="/">Studio</a>',
      {
        headers: {
          "set-cookie": cookie,
          "content-type": "text/html; charset=utf-8",
        },
      },
    );
  }

  #session({ headers }: Request): string | undefined {
    for (const pair of (headers.get("cookie") ?? "").split(";")) {
      const [name, value = ""] = pair.trim().split("=");
      if (name !== this.cookie) continue;
      const [id, signature = ""] = value.split(".");
      if (isSame(signature, this.#sign(id))) return id;
    }
  }

  #sign(id: string): string {
    return createHmac("sha256", this.#token).update(id).digest("hex");
  }
}

/** A new token that nobody guesses. */
export function makeToken(): string {
  return crypto.getRandomValues(new Uint8Array(24))
    .toBase64({ alphabet: "base64url" });
}

function tokenOf({ headers }: Request): string | undefined {
  const authorization = headers.get("authorization") ?? "";
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
  return token ?? password(authorization) ?? headers.get("x-api-key") ??
    undefined;
}

/** The password of HTTP's basic scheme, which AUTOMATIC1111's clients use; any user will do. */
function password(authorization: string): string | undefined {
  const [, base64] = /^Basic +(\S+)$/i.exec(authorization) ?? [];
  if (base64 === undefined) return undefined;
  try {
    const pair = new TextDecoder().decode(Uint8Array.fromBase64(base64));
    const colon = pair.indexOf(":");
    return colon < 0 ? undefined : pair.slice(colon + 1);
  } catch {
    return undefined;
  }
}

/** Compares in the same time, whatever differs. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(hash(given), hash(expected));
}

function hash(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function unauthorized(what: string): ApiError {
  return new ApiError(
    401,
    "unauthorized",
    `${what}: send Authorization: Bearer TOKEN, or open the link that the server printed`,
  );
}
