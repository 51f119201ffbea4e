/**
 * What the Hugging Face hub says of files: their sizes and hashes. The only
 * module that uses its client.
 *
 * @module
 */
// A script from elsewhere may import this without our import map.
// deno-lint-ignore no-import-prefix
import { HubApiError, pathsInfo } from "npm:@huggingface/hub@2.17.5";
import { MasterWeaverError } from "../../src/errors.ts";

/** Where the hub is, and who asks. */
export interface Hub {
  /** Its address, without a slash at the end. */
  readonly url: string;
  /** The user's access token. */
  readonly token?: string;
}

/** A file on the hub. */
export interface HubFile {
  /** The repository, as `openai/clip-vit-large-patch14`. */
  readonly repo: string;
  /** Path in it. */
  readonly path: string;
  /** Where to get it. */
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  /** What its content must hash to. */
  readonly hash: FileHash;
}

/** How a file is verified. */
export interface FileHash {
  /** SHA-256 of a large file, as its LFS pointer says; git's SHA-1 of a small one. */
  readonly kind: "sha256" | "git";
  /** In hexadecimal. */
  readonly value: string;
}

/** The hub of the environment: `HF_ENDPOINT`, `HF_TOKEN`. */
export function hubFromEnvironment(): Hub {
  const url = Deno.env.get("HF_ENDPOINT") || "https://huggingface.co";
  const token = Deno.env.get("HF_TOKEN") || undefined;
  if (!/^https?:\/\/[^/]/.test(url)) {
    throw new MasterWeaverError(
      "bad-option",
      `HF_ENDPOINT is ${url}, expected an address as https://huggingface.co`,
    );
  }
  if (token !== undefined && !token.startsWith("hf_")) {
    throw new MasterWeaverError(
      "bad-option",
      "HF_TOKEN is no access token of the hub: those start with hf_",
    );
  }
  return { url: url.replace(/\/+$/, ""), token };
}

/**
 * Asks for files of a repository.
 *
 * @param paths what to ask for; all must be there
 * @throws {MasterWeaverError} `cannot-read` that says why the hub does not give them
 */
export async function findFiles(
  hub: Hub,
  repo: string,
  paths: readonly string[],
): Promise<HubFile[]> {
  const found = await asked(hub, repo, paths);
  return paths.map((path) => {
    const info = found.find((info) => info.path === path);
    if (!info) {
      throw cannotRead(hub, repo, `it has no file ${path}`);
    }
    const { size, lfs, oid } = info;
    const value = lfs?.oid ?? oid;
    const isHash = typeof value === "string" &&
      /^[0-9a-f]+$/.test(value) && value.length === (lfs ? 64 : 40);
    if (!isHash || !Number.isSafeInteger(size) || size < 0) {
      throw cannotRead(
        hub,
        repo,
        `it does not say the hash and size of ${path}`,
      );
    }
    return {
      repo,
      path,
      url: `${hub.url}/${repo}/resolve/main/${path}`,
      size,
      hash: { kind: lfs ? "sha256" : "git", value },
    };
  });
}

async function asked(hub: Hub, repo: string, paths: readonly string[]) {
  try {
    return await pathsInfo({
      repo,
      paths: [...paths],
      hubUrl: hub.url,
      accessToken: hub.token,
    });
  } catch (error) {
    const status = error instanceof HubApiError ? error.statusCode : undefined;
    throw cannotRead(hub, repo, reason(status, error), error, status);
  }
}

/** An error of the hub that says its status, so that a mirror can be tried. */
export class HubError extends MasterWeaverError {
  /** HTTP status, or nothing where there was no answer. */
  readonly status?: number;

  /** Makes an error. */
  constructor(message: string, status?: number, cause?: unknown) {
    super("cannot-read", message, { cause });
    this.status = status;
  }
}

function cannotRead(
  { url }: Hub,
  repo: string,
  what: string,
  cause?: unknown,
  status?: number,
): HubError {
  return new HubError(
    `Cannot download ${repo} from ${url}: ${what}`,
    status,
    cause,
  );
}

/** What an answer that is no file means, and what to do. */
export function reason(status: number | undefined, error?: unknown): string {
  switch (status) {
    case 401:
    case 403:
      return `it asks for an access token (HTTP ${status}); accept its terms ` +
        "on its page where it has some, and set HF_TOKEN to a token of yours";
    case 404:
      return "it is not there (HTTP 404)";
    case 429:
      return "it was asked too often (HTTP 429); wait and run this again";
    case undefined:
      return `there is no answer (${
        error instanceof Error ? error.message : error
      }); check the network, or set HF_ENDPOINT to a mirror`;
  }
  return `it answers with HTTP ${status}; run this again later`;
}
