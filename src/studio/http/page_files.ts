/**
 * The page's files: bundled when the server starts, and kept in memory.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { MasterWeaverError } from "../../base/errors.ts";
import { sha256 } from "../../base/sha256.ts";

/** What the page may load and do: nothing from anywhere else, nothing inline. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

/** Style sheets, in the order in which they apply. */
export const STYLES: readonly string[] = [
  "base",
  "page",
  "photos",
  "form",
  "sources",
  "images",
  "dialogs",
  "narrow",
];

/** Portraits of the examples. */
export const PORTRAITS: number = 5;

/** A file of the page. */
interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, compressed; null where that saves nothing. */
  readonly gzip: Uint8Array<ArrayBuffer> | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Answers requests for the page. */
export type PageHandler = (request: Request) => Promise<Response>;

/**
 * Starts to bundle the page.
 *
 * @returns answers with the page and its files, 404 for others; waits for the bundle where it is not ready
 */
export function pageFiles(): PageHandler {
  const files = makeFiles();
  // Whoever asks for the page hears of it.
  files.catch(() => {});
  return async (request) => {
    const { pathname } = new URL(request.url);
    let file: PageFile | undefined;
    try {
      file = (await files).get(pathname);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return plain(500, `The page could not be made: ${why}`);
    }
    if (!file) return plain(404, "There is nothing at this path");
    return answer(request, file);
  };
}

function answer(
  request: Request,
  { bytes, gzip, headers }: PageFile,
): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return plain(405, "This path takes GET", { allow: "GET, HEAD" });
  }
  if (request.headers.get("if-none-match") === headers.etag) {
    return new Response(null, { status: 304, headers });
  }
  const accepted = request.headers.get("accept-encoding") ?? "";
  const isSmall = gzip !== null && /\bgzip\b/.test(accepted);
  const body = isSmall ? gzip : bytes;
  return new Response(request.method === "HEAD" ? null : body, {
    headers: {
      ...headers,
      ...gzip && { vary: "accept-encoding" },
      ...isSmall && { "content-encoding": "gzip" },
    },
  });
}

function plain(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...headers, "content-type": "text/plain; charset=utf-8" },
  });
}

async function makeFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const [script, styles, html, icon, ...portraits] = await Promise.all([
    bundlePage(),
    readStyles(),
    read("index.html"),
    read("icon.svg"),
    ...Array.from({ length: PORTRAITS }, (_, i) => read(`portraits/${i}.jpg`)),
  ]);
  const scriptPath = `/assets/page.${await hashOf(script)}.js`;
  const stylesPath = `/assets/page.${await hashOf(styles)}.css`;
  const document = new TextDecoder().decode(html)
    .replace("{{script}}", scriptPath).replace("{{styles}}", stylesPath);
  const forever = { "cache-control": "public, max-age=31536000, immutable" };
  const files = new Map<string, PageFile>();
  files.set(scriptPath, await file(script, "text/javascript", forever));
  files.set(stylesPath, await file(styles, "text/css", forever));
  files.set("/assets/icon.svg", await file(icon, "image/svg+xml"));
  for (const [i, portrait] of portraits.entries()) {
    files.set(`/assets/portrait-${i}.jpg`, await file(portrait, "image/jpeg"));
  }
  files.set(
    "/",
    await file(new TextEncoder().encode(document), "text/html", {
      "content-security-policy": POLICY,
    }),
  );
  return files;
}

/** A file with its headers; it is asked for anew each time unless they say otherwise. */
async function file(
  bytes: Uint8Array<ArrayBuffer>,
  type: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<PageFile> {
  const isText = !type.startsWith("image/jpeg");
  return {
    bytes,
    gzip: isText ? await compressed(bytes) : null,
    headers: {
      "content-type": isText ? `${type}; charset=utf-8` : type,
      "cache-control": "no-cache",
      etag: `"${await hashOf(bytes)}"`,
      ...headers,
    },
  };
}

/** The page's script, in one file, with its packages in it. */
function bundlePage(): Promise<Uint8Array<ArrayBuffer>> {
  const main = new URL("../page/main.tsx", import.meta.url);
  return bundle(main.protocol === "file:" ? fileURLToPath(main) : main.href);
}

/**
 * Bundles modules for browsers, with their packages in them.
 *
 * @param args modules, after further arguments of `deno bundle`
 * @returns what it writes to stdout, where it is not told of a folder
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function bundle(
  ...args: readonly string[]
): Promise<Uint8Array<ArrayBuffer>> {
  const config = new URL("../../../deno.json", import.meta.url);
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=browser",
      "--minify",
      // This repository's lock pins what comes from npm, wherever the command is run.
      ...config.protocol === "file:"
        ? [`--config=${fileURLToPath(config)}`]
        : [],
      ...args,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  if (success) return stdout;
  throw new MasterWeaverError(
    "cannot-read",
    `deno bundle failed: ${new TextDecoder().decode(stderr).trim()}`,
  );
}

async function readStyles(): Promise<Uint8Array<ArrayBuffer>> {
  const sheets = STYLES.map((name) => read(`styles/${name}.css`));
  return await new Blob(await Promise.all(sheets)).bytes();
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(new URL(`../page/${path}`, import.meta.url));
  return await response.bytes();
}

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return (await sha256(bytes)).slice(0, 16);
}

async function compressed(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}
