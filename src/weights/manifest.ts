/**
 * `model.json`, the manifest of a model folder: its files by component and hash,
 * so that files of two conversions are not mistaken for one model.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "./brief.ts";
import { jsonFault, parseJson } from "./json.ts";

/** The manifest's name in a model folder. */
export const MANIFEST_NAME = "model.json";
/** The value of its key `format`. */
const FORMAT = "masterweaver-model";
/** The version written and read here. */
const VERSION = 1;
/** The most bytes read: far more than one entry a component takes. */
const MAX_BYTES = 2 ** 20;

/** A file as the manifest lists it. */
export interface ManifestEntry {
  /** Its name in the model's folder. */
  readonly file: string;
  /** Hexadecimal SHA-256 of its header, which covers its whole content. */
  readonly hash: string;
  /** Its length. */
  readonly bytes: number;
}

/** A model folder's list of its files. */
export interface Manifest {
  /** What messages call it. */
  readonly name: string;
  /** Entries by component: `unet`, … */
  readonly components: ReadonlyMap<string, ManifestEntry>;
}

/** A file, to be compared with its entry. */
export interface FoundFile {
  /** What messages call it. */
  readonly name: string;
  /** As {@linkcode ManifestEntry.hash}. */
  readonly hash: string;
  /** Its length. */
  readonly bytes: number;
}

/** Whether a file's first bytes look like a manifest's. */
export function isManifest(start: Uint8Array): boolean {
  const text = new TextDecoder().decode(start.subarray(0, 256));
  return /^\s*\{\s*"format"\s*:\s*"masterweaver-model"/.test(text);
}

/**
 * Reads a manifest.
 *
 * @throws {MasterWeaverError} `bad-model` where it is damaged, hostile or of another version; `cannot-read`
 */
export async function readManifest(source: ByteSource): Promise<Manifest> {
  const bad = (what: string, cause?: unknown) =>
    new MasterWeaverError(
      "bad-model",
      `Cannot use ${source.name}: ${what}; convert the model again, or delete ` +
        "this file to use the folder's files as they are",
      { cause },
    );
  if (source.size > MAX_BYTES) {
    throw bad(`it has ${source.size} bytes, at most ${MAX_BYTES} are allowed`);
  }
  let json: unknown;
  try {
    json = parseJson(await source.read(0, source.size));
  } catch (cause) {
    if (cause instanceof MasterWeaverError) throw cause;
    throw bad(`it is ${jsonFault(cause)}`, cause);
  }
  if (!isObject(json)) throw bad("it is not a JSON object");
  if (json.format !== FORMAT) {
    throw bad(`its format is ${brief(json.format)}, expected ${FORMAT}`);
  }
  if (json.version !== VERSION) {
    throw bad(`its version is ${brief(json.version)}, expected ${VERSION}`);
  }
  if (!isObject(json.components)) throw bad("it has no components");
  const components = new Map<string, ManifestEntry>();
  for (const [name, entry] of Object.entries(json.components)) {
    if (!isEntry(entry)) {
      throw bad(
        `its entry ${brief(name)} is not a file's name, hash and length`,
      );
    }
    const { file, hash, bytes } = entry;
    components.set(name, { file, hash, bytes });
  }
  return { name: source.name, components };
}

/** A manifest's text; the same components always give the same bytes. */
export function manifestText(
  components: ReadonlyMap<string, ManifestEntry>,
): string {
  const sorted = [...components].sort(([a], [b]) => a < b ? -1 : 1);
  const json = {
    format: FORMAT,
    version: VERSION,
    components: Object.fromEntries(sorted),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/**
 * Compares a file with what the manifest lists for its component.
 *
 * @throws {MasterWeaverError} `bad-model` where it is another file
 */
export function checkListed(
  manifest: Manifest,
  component: string,
  found: FoundFile,
): void {
  const entry = manifest.components.get(component);
  // Readers open a component by its own name.
  const file = `${component}.weave`;
  const isSame = entry?.hash === found.hash && entry.bytes === found.bytes;
  if (isSame && entry.file === file) return;
  const difference = entry === undefined
    ? "lists no such file"
    : entry.file !== file
    ? `lists ${brief(entry.file)} for it, expected ${file}`
    : entry.hash === found.hash
    ? `lists it with ${entry.bytes} bytes, and it has ${found.bytes}`
    : `lists another (its hash is ${shortHash(found.hash)}, expected ${
      shortHash(entry.hash)
    })`;
  throw new MasterWeaverError(
    "bad-model",
    `Cannot use ${found.name}: ${manifest.name} ${difference}; the folder ` +
      "holds files of different conversions, or one was interrupted: convert " +
      `the model again, or, where the mixture is meant, delete ${MANIFEST_NAME}`,
  );
}

function shortHash(hash: string): string {
  return `${hash.slice(0, 12)}…`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEntry(value: unknown): value is ManifestEntry & object {
  return isObject(value) && typeof value.file === "string" &&
    /^[^/\\]{1,255}$/.test(value.file) && typeof value.hash === "string" &&
    /^[0-9a-f]{64}$/.test(value.hash) && Number.isSafeInteger(value.bytes) &&
    (value.bytes as number) >= 0;
}
