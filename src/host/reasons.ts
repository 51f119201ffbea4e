/**
 * Says in words why the system refused something.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";

/** By the system's name of an error: what to say where its own sentence does not help. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  EACCES: "permission denied",
  EPERM: "the system does not permit it (a protected file or folder)",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EBUSY: "it is in use (a mount point)",
  ENAMETOOLONG: "its name is too long",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is not a folder",
  ELOOP: "its symbolic links lead nowhere",
  EPIPE: "its reader has gone away",
};

/**
 * Says why the system, or Deno's permissions, refused something.
 *
 * @returns no capital, no full stop
 */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isMissingPermission(error)) return missingPermission(error);
  const known = REASONS[systemName(error) ?? ""];
  if (known) return known;
  // The rest names the call and the path, which our own message has already:
  // "Too many open files (os error 24): open 'a'" from Deno's own calls,
  // "EMFILE: too many open files, open 'a'" from those of node:fs.
  const text = error.message.replace(/ \(os error \d+\)[\s\S]*$/, "")
    .replace(/^E[A-Z0-9]+: ([^,]+), \w+\b[\s\S]*$/, "$1");
  return /^[A-Z][a-z]/.test(text)
    ? text[0].toLowerCase() + text.slice(1)
    : text;
}

/** Whether an error is the system's or a missing permission, not a bug here. */
export function isHostError(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return systemName(error) !== undefined || isMissingPermission(error) ||
    denoErrors.some((kind) => error instanceof kind);
}

/** Kinds of errors that Deno's own calls, used by tools, throw beside the system's. */
const denoErrors = "Deno" in globalThis ? Object.values(Deno.errors) : [];

/** Whether Deno was started without a permission that was needed. */
export function isMissingPermission(error: unknown): boolean {
  return error instanceof Error && error.name === "NotCapable";
}

/** The system's name of an error, such as `ENOSPC`. */
export function systemName(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code)
    ? code
    : undefined;
}

/** Short forms of Deno's flags. */
const SHORT: Readonly<Record<string, string>> = {
  read: "-R",
  write: "-W",
  env: "-E",
  net: "-N",
  all: "-A",
};

/** `Requires read access to "a.png", run again with the --allow-read flag`. */
function missingPermission(error: Error): string {
  const [, kind, what] =
    /^Requires (\w+) access(?: to "?(.*?)"?)?, /s.exec(error.message) ?? [];
  if (kind === undefined) return error.message;
  const flag = SHORT[kind] ?? `--allow-${kind}`;
  const long = kind === "all" ? "" : ` or --allow-${kind}=${what ?? ""}`;
  return `Deno was started without the permission "${kind}"${
    what ? ` for ${what}` : ""
  }; add ${flag}${long.replace(/=$/, "")} after "deno run"`;
}

/**
 * The error of a file that cannot be read.
 *
 * @param remedy what to do about it, where the path alone does not say
 */
export function cannotRead(
  path: string,
  error: unknown,
  remedy?: string,
): MasterWeaverError {
  const advice = remedy === undefined || isMissingPermission(error)
    ? ""
    : `; ${remedy}`;
  return new MasterWeaverError(
    "cannot-read",
    `Cannot read ${path}: ${reason(error)}${advice}`,
    { cause: error },
  );
}

/**
 * The error of a file that cannot be written.
 *
 * @param remedy what to do about it
 */
export function cannotWrite(
  path: string,
  error: unknown,
  remedy = "give a path in an existing folder that you may write to",
): MasterWeaverError {
  const advice = isMissingPermission(error) ? "" : `; ${remedy}`;
  return new MasterWeaverError(
    "cannot-write",
    `Cannot write ${path === "" ? '""' : path}: ${reason(error)}${advice}`,
    { cause: error },
  );
}
