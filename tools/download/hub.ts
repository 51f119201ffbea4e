/**
 * What the Hugging Face hub says of files: their sizes and hashes. The only
 * module that uses its client.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { MasterWeaverError } from "../../src/base/errors.ts";

/**
 * The hub's client, exactly. It is imported by this string at run time, in a
 * process of its own, so that nothing but a download fetches it and what it
 * needs; the `deno.lock` beside this file holds their checksums. To change the
 * version, change it here and run `paths_info.ts` once with `--frozen=false` and
 * that lock.
 */
export const HUB_CLIENT = "npm:@huggingface/hub@2.17.5";

/** What the client is asked. */
export interface Question {
  /** The repository. */
  readonly repo: string;
  /** Files in it. */
  readonly paths: readonly string[];
  /** The hub's address. */
  readonly hubUrl: string;
  /** The user's access token. */
  readonly accessToken?: string;
}

/** What it answers. */
export interface Answer {
  /** Files that are there, as the hub describes them. */
  readonly found?: readonly {
    readonly path: string;
    readonly size: number;
    readonly oid?: string;
    readonly lfs?: { readonly oid?: string };
  }[];
  /** Why it has no answer. */
  readonly fault?: string;
  /** HTTP status, where there was one. */
  readonly status?: number;
}

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
  const { found, fault, status } = await askClient({
    repo,
    paths,
    hubUrl: hub.url,
    accessToken: hub.token,
  });
  if (found) return found;
  const error = new Error(fault);
  throw cannotRead(hub, repo, reason(status, error), error, status);
}

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/**
 * Asks the client in its process.
 *
 * @throws {MasterWeaverError} `cannot-read` where the client itself does not run
 */
async function askClient(question: Question): Promise<Answer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-net",
      "--allow-env",
      "--quiet",
      "--no-prompt",
      "--no-config",
      `--lock=${path("deno.lock")}`,
      "--frozen",
      path("paths_info.ts"),
    ],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // Not in its arguments, which other users of a machine can read.
  const asking = new Blob([JSON.stringify(question)]).stream()
    .pipeTo(child.stdin).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  await asking;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (success) return JSON.parse(text(stdout).split("\n").at(-1)!);
  const why = text(stderr).split("\n").find((line) => /error/i.test(line));
  throw new MasterWeaverError(
    "cannot-read",
    `Cannot ask ${question.hubUrl}: its client ${HUB_CLIENT} does not run (${
      why ?? "it says nothing"
    }); check that npm's registry can be reached`,
  );
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
