/**
 * The page's service worker: keeps the page's own files, so that it works
 * offline, and serves them with the page's policy, which a file host may not
 * send: a Worker does not take it over from its document. The weights are kept
 * by the page itself.
 *
 * @module
 */

/** What `tools/site.ts` writes before this script. */
interface Built {
  /** Changes whenever a file does. */
  readonly version: string;
  /** The files, relative to this script. */
  readonly files: readonly string[];
  /** The value of `content-security-policy`. */
  readonly policy: string;
}

/** The part of a service worker's scope that is used. */
interface Scope {
  readonly site: Built;
  readonly clients: { claim(): Promise<void> };
  readonly registration: { readonly scope: string };
  addEventListener(
    type: "install" | "activate",
    listener: (event: { waitUntil(work: Promise<unknown>): void }) => void,
  ): void;
  addEventListener(
    type: "fetch",
    listener: (
      event: {
        readonly request: Request;
        respondWith(answer: Promise<Response>): void;
      },
    ) => void,
  ): void;
}

const scope = globalThis as unknown as Scope;
const { site } = scope;
/** Other sites of this host have caches of their own. */
const PREFIX = `masterweaver-page ${scope.registration.scope} `;
const name = PREFIX + site.version;
const addresses = new Set(site.files.map(addressOf));

scope.addEventListener("install", (event) => event.waitUntil(keep()));
scope.addEventListener("activate", (event) => event.waitUntil(takeOver()));
scope.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const address = url.replace(/[?#].*$/, "");
  const path = address === scope.registration.scope
    ? addressOf("index.html")
    : address;
  if (method !== "GET" || !addresses.has(path)) return;
  event.respondWith(serve(path, event.request));
});

function addressOf(file: string): string {
  return new URL(file, scope.registration.scope).href;
}

/** Keeps all files, or none. */
async function keep(): Promise<void> {
  const cache = await caches.open(name);
  await cache.addAll(
    [...addresses].map((url) => new Request(url, { cache: "no-cache" })),
  );
}

/** Forgets earlier versions; pages that have no service worker yet get this one. */
async function takeOver(): Promise<void> {
  for (const other of await caches.keys()) {
    if (other.startsWith(PREFIX) && other !== name) await caches.delete(other);
  }
  await scope.clients.claim();
}

async function serve(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(name);
  const kept = await cache.match(path) ?? await fetch(request);
  const headers = new Headers(kept.headers);
  headers.set("content-security-policy", site.policy);
  const { status, statusText, body } = kept;
  return new Response(body, { status, statusText, headers });
}
