/**
 * Shows what is in model files: `*.weave`, safetensors, both containers of
 * `torch.save`, GGUF, and dlib's two.
 *
 *     deno run -R tools/inspect.ts FILE…
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { ByteSource } from "../src/base/bytes.ts";
import {
  type ComponentName,
  componentNames,
  isNetworkComponent,
} from "../src/weights/components.ts";
import { ARCHITECTURE } from "../src/checkpoints/gguf.ts";
import { dlibKind, readDlibFile } from "../src/checkpoints/dlib_file.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FileSource } from "../src/host/files.ts";
import { UsageError } from "../src/host/exit.ts";
import { print, writeStderr } from "../src/host/streams.ts";
import { printable } from "../src/weights/brief.ts";
import { byteLength } from "../src/weights/dtype.ts";
import {
  checkListed,
  isManifest,
  type Manifest,
  type ManifestEntry,
  readManifest,
} from "../src/weights/manifest.ts";
import {
  type FileKind,
  fileKind,
  openCheckpoint,
} from "../src/checkpoints/open.ts";
import {
  checkWeavePadding,
  openWeave,
  type WeaveTensor,
} from "../src/weights/weave.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { counted, flag, printJson, toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -R tools/inspect.ts FILE…

Shows what is in model files: .weave, safetensors, PyTorch's .bin .pt .ckpt .pth,
GGUF, dlib's frontal face detector (.svm) and 68-point shape predictor (.dat), and
what a model folder's model.json lists.

  --verify    also reads every byte and checks it against its checksum; of a
              model.json, compares the files beside it with what it lists
  --json      one line a file: {"file", "kind", "tensors", …} or {"file", "error"}
  -h, --help  this text

Exit code: 1 where a file cannot be used, 2 for wrong usage, else 0.`;

/** A tensor as it is shown. */
export interface ShownTensor {
  /** Its path. */
  readonly name: string;
  /** Its element type, as the file names it. */
  readonly dtype: string;
  /** Its dimensions. */
  readonly shape: readonly number[];
  /** Its bytes. */
  readonly bytes: number;
}

/** A file that a manifest lists. */
export interface ListedComponent extends ManifestEntry {
  /** Which network it is. */
  readonly component: string;
}

/** What is in a file. */
export interface Inspection {
  /** The file, as it was given. */
  readonly file: string;
  /** Its container. */
  readonly kind: Exclude<FileKind, "unknown"> | "dlib" | "manifest";
  /** Bytes of the file. */
  readonly size: number;
  /** Which network it is, where the file says so: `*.weave` and dlib's do. */
  readonly component?: string;
  /** What a GGUF file says it is for, where it says so. */
  readonly architecture?: string;
  /** SHA-256 of a `*.weave` file's header. */
  readonly hash?: string;
  /** Where a `*.weave` file's weights came from. */
  readonly provenance?: unknown;
  /** The files that a manifest lists. */
  readonly components?: readonly ListedComponent[];
  /** Number of all elements. */
  readonly elements: number;
  /** Values beside the tensors. */
  readonly otherValues?: number;
  /** Whether every byte was read and checked. */
  readonly verified: boolean;
  /** All tensors, in the file's order. */
  readonly tensors: readonly ShownTensor[];
}

/**
 * Finds out what is in a file.
 *
 * @param source its bytes
 * @param verify whether to read and check all of them
 * @throws {MasterWeaverError} `bad-model`, `bad-checkpoint`, `cannot-read`
 */
export async function inspect(
  source: ByteSource,
  verify: boolean,
): Promise<Inspection> {
  const isWeave = await fileKind(source) === "weave";
  if (isWeave) return await inspectWeave(source, verify);
  const start = await source.read(0, Math.min(256, source.size));
  if (isManifest(start)) return await inspectManifest(source, verify);
  return dlibKind(start.subarray(0, 4))
    ? await inspectDlib(source)
    : await inspectCheckpoint(source, verify);
}

/** A model folder's manifest; its files are those beside it. */
async function inspectManifest(
  source: ByteSource,
  verify: boolean,
): Promise<Inspection> {
  const manifest = await readManifest(source);
  if (verify) {
    for (const name of await componentsBeside(source.name, manifest)) {
      await using found = await FileSource.open(
        join(dirname(source.name), `${name}.weave`),
      );
      const { name: path, hash } = await openWeave(found);
      checkListed(manifest, name, { name: path, hash, bytes: found.size });
    }
  }
  return {
    ...summary(source, "manifest", new Map(), verify),
    components: [...manifest.components].map(([component, entry]) => ({
      component,
      ...entry,
    })),
  };
}

/** What loading compares or could use: components that are listed, or must be. */
async function componentsBeside(
  path: string,
  { components }: Manifest,
): Promise<ComponentName[]> {
  const found: ComponentName[] = [];
  for (const name of componentNames) {
    const file = join(dirname(path), `${name}.weave`);
    const isThere = await Deno.stat(file).then(() => true, () => false);
    const mustBe = isThere && isNetworkComponent(name);
    if (mustBe || components.has(name)) found.push(name);
  }
  return found;
}

/** Numbers of dlib's files vary in length, so that all must be read. */
async function inspectDlib(source: ByteSource): Promise<Inspection> {
  const { content: { component, tensors } } = await readDlibFile(source, "f32");
  const shown = tensors.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    bytes: Number(byteLength(dtype, shape)),
  }));
  const byName = new Map(shown.map((tensor) => [tensor.name, tensor]));
  return { ...summary(source, "dlib", byName, true), component };
}

async function inspectWeave(
  source: ByteSource,
  verify: boolean,
): Promise<Inspection> {
  const file = await openWeave(source);
  if (verify) {
    await checkWeavePadding(source);
    for (const tensor of file.tensors.values()) await checkValues(tensor);
  }
  const { component, hash, provenance } = file;
  return {
    ...summary(source, "weave", file.tensors, verify),
    component,
    hash,
    provenance,
  };
}

/** Reads a tensor against its checksum; its numbers must be finite. */
async function checkValues(tensor: WeaveTensor): Promise<void> {
  const { name, dtype } = tensor;
  if (dtype === "i32" || dtype === "u8") {
    for await (const _ of tensor.chunks());
    return;
  }
  let isFinite = true;
  for await (const values of weaveFloats(tensor)) {
    isFinite &&= values.every(Number.isFinite);
  }
  if (isFinite) return;
  throw new MasterWeaverError(
    "bad-model",
    `Tensor ${name} holds values that are infinite or not a number; convert the checkpoint again`,
  );
}

async function inspectCheckpoint(
  source: ByteSource,
  verify: boolean,
): Promise<Inspection> {
  const { kind, tensors, otherValues, metadata, verify: check } =
    await openCheckpoint(source);
  if (verify) await check();
  const architecture = kind === "gguf" ? metadata[ARCHITECTURE] : undefined;
  return {
    ...summary(source, kind, tensors, verify),
    otherValues,
    ...architecture !== undefined && { architecture },
  };
}

function summary(
  source: ByteSource,
  kind: Inspection["kind"],
  tensors: ReadonlyMap<string, ShownTensor>,
  verified: boolean,
) {
  const shown = [...tensors.values()].map(({ name, dtype, shape, bytes }) => ({
    name,
    dtype,
    shape,
    bytes,
  }));
  return {
    file: source.name,
    kind,
    size: source.size,
    elements: shown.reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    ),
    verified,
    tensors: shown,
  };
}

/** An inspection for people. */
function toText(found: Inspection): string {
  const holds = found.component ?? found.architecture;
  const facts = [
    holds ? `${found.kind} (${holds})` : found.kind,
    counted(found.tensors.length, "tensor"),
    counted(found.elements, "value"),
    counted(found.size, "byte"),
    ...found.otherValues ? [counted(found.otherValues, "other value")] : [],
    ...found.verified ? ["verified"] : [],
  ];
  const lines = found.tensors.map(({ name, dtype, shape, bytes }) =>
    `  ${name}  ${dtype} (${shape.join(", ")})  ${bytes}`
  );
  const components = found.components ?? [];
  if (found.components) facts.splice(1, 2, counted(components.length, "file"));
  const listed = components.map(({ component, file, hash, bytes }) =>
    `  ${component}  ${file}  ${bytes}  ${hash}`
  );
  return [`${found.file}: ${facts.join(", ")}`, ...listed, ...lines]
    .map(printable).join("\n");
}

/**
 * Opens a file to be inspected.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
async function open(file: string): Promise<FileSource> {
  const isFolder = await Deno.stat(file).then(
    ({ isDirectory }) => isDirectory,
    () => false,
  );
  if (!isFolder) return await FileSource.open(file);
  throw new MasterWeaverError(
    "cannot-read",
    `Cannot read ${file}: it is a folder; give its files, such as ${
      join(file, "*.weave")
    }`,
  );
}

async function run(
  { verify, json }: { readonly verify: boolean; readonly json: boolean },
  files: readonly string[],
): Promise<number> {
  if (files.length === 0) throw new UsageError("Give a file");
  let failures = 0;
  for (const file of files) {
    let found: Inspection;
    try {
      await using source = await open(file);
      found = await inspect(source, verify);
    } catch (error) {
      failures++;
      // One bad file, whatever is wrong with it, must not hide the others.
      if (json) printJson({ file, error: message(error) });
      else writeStderr(`${printable(named(message(error), file))}\n`);
      continue;
    }
    if (json) printJson(found);
    else print(`${toText(found)}\n`);
  }
  return failures > 0 ? 1 : 0;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A message that names the file, once. */
function named(message: string, file: string): string {
  const isNamed = ["Cannot read", "Cannot use"]
    .some((start) => message.startsWith(`${start} ${file}: `));
  return isNamed ? message : `${file}: ${message}`;
}

/** Runs the command; exit code 1 where a file is bad. */
export const main = toolMain({
  usage: USAGE,
  options: { verify: flag, json: flag },
  words: true,
  run,
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
