/**
 * Converts PyTorch checkpoints and dlib's files to a model folder of `*.weave`
 * files.
 *
 *     deno run -A tools/convert.ts FILE|FOLDER… --output DIR
 *
 * @module
 */
import { basename, dirname } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { MasterWeaverError } from "../src/errors.ts";
import { readDlibFile } from "../src/face/dlib_file.ts";
import { FileSource, writeFileAtomic } from "../src/files.ts";
import type { Checkpoint } from "../src/weights/checkpoint.ts";
import { type FloatDtype, planConversion } from "../src/weights/conversion.ts";
import { openCheckpoint } from "../src/weights/open.ts";
import { openWeave } from "../src/weights/weave.ts";
import { type WeaveContent, writeWeave } from "../src/weights/weave_writer.ts";
import type {
  Component,
  DlibComponent,
  NetworkComponent,
} from "./convert/component.ts";
import { findComponents } from "./convert/inputs.ts";
import { ProgressLine } from "./convert/progress.ts";

const USAGE = `Usage: deno run -A tools/convert.ts FILE|FOLDER… --output DIR

Converts PyTorch checkpoints to a model folder: a diffusers folder (with
image_encoder/, adapter_final.pt and face_parser.pth in it), the folder of one
network, an adapter's or face parser's file alone, or dlib's frontal face
detector (.svm) and 68-point shape predictor (.dat).

  --output DIR     where the .weave files go; made where it is missing
  --dtype f16|f32  how floating-point tensors are stored (f16)
  --json           one JSON object on stdout
  --quiet          no report, no progress
  --help           this text`;

/** What was written for one component. */
export interface ConvertedComponent {
  /** Which network it is. */
  readonly component: string;
  /** The file written. */
  readonly file: string;
  /** Number of tensors. */
  readonly tensors: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** SHA-256 of the file's header. */
  readonly hash: string;
  /** The largest |stored − original| of any value. */
  readonly maxRoundingError: number;
  /** How many tensors were left out on purpose, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** How to convert. */
export interface ConvertOptions {
  /** Files and folders to read. */
  readonly inputs: readonly string[];
  /** The folder to write to. */
  readonly output: string;
  /** How floating-point tensors are stored. */
  readonly dtype: FloatDtype;
  /** Told of what happens, line by line. */
  readonly report?: (line: string) => void;
  /** Whether to draw a progress bar on a terminal. */
  readonly progress?: boolean;
}

/**
 * Converts checkpoints; each file is written whole or not at all.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`, `cannot-write`
 */
export async function convert(
  options: ConvertOptions,
): Promise<ConvertedComponent[]> {
  const { inputs, output, report = () => {} } = options;
  const components = await findComponents(inputs, output, report);
  await makeFolder(output);
  const converted: ConvertedComponent[] = [];
  for (const component of components) {
    const result = await convertComponent(component, options);
    converted.push(result);
    report(describe(result));
  }
  return converted;
}

async function convertComponent(
  component: Component,
  { output, dtype, progress }: ConvertOptions,
): Promise<ConvertedComponent> {
  await using files = new AsyncDisposableStack();
  const sources: FileSource[] = [];
  for (const file of component.files) {
    sources.push(files.use(await FileSource.open(file)));
  }
  const { content, maxRoundingError, dropped } = component.table
    ? await networkContent(component, sources, dtype)
    : await dlibContent(component, sources[0], dtype);
  const file = `${output}/${component.output}.weave`;
  const values = content.tensors.reduce(
    (sum, { shape, dtype }) =>
      sum + shape.reduce((a, b) => a * b, dtype === "f16" ? 2 : 4),
    0,
  );
  using bar = new ProgressLine(
    component.output,
    // Every tensor passes twice: for its checksum, and to be written.
    2 * values,
    progress === true,
  );
  await writeFileAtomic(
    file,
    (append) => writeWeave(append, content, (bytes) => bar.advance(bytes)),
  );
  await using written = await FileSource.open(file);
  const { hash } = await openWeave(written);
  return {
    component: content.component,
    file,
    tensors: content.tensors.length,
    bytes: written.size,
    hash,
    // Of a network it is known only once its tensors have been written.
    maxRoundingError: maxRoundingError(),
    dropped: Object.fromEntries(dropped),
  };
}

/** What is to be written, and what it lost on the way. */
interface PlannedContent {
  readonly content: WeaveContent;
  readonly maxRoundingError: () => number;
  readonly dropped: ReadonlyMap<string, number>;
}

async function networkContent(
  component: NetworkComponent,
  sources: readonly FileSource[],
  dtype: FloatDtype,
): Promise<PlannedContent> {
  const checkpoint: Checkpoint[] = [];
  for (const source of sources) checkpoint.push(await openCheckpoint(source));
  const table = component.table(checkpoint);
  const conversion = planConversion(table, checkpoint, dtype);
  const dtypes = checkpoint.flatMap(({ tensors }) =>
    [...tensors.values()].map(({ dtype }) => dtype)
  );
  return {
    content: {
      component: table.component,
      config: component.config,
      provenance: {
        ...provenance(component),
        container: checkpoint[0].kind,
        dtypes: [...new Set(dtypes)].sort(),
      },
      tensors: conversion.tensors,
    },
    maxRoundingError: () => conversion.maxRoundingError,
    dropped: conversion.dropped,
  };
}

async function dlibContent(
  component: DlibComponent,
  source: FileSource,
  dtype: FloatDtype,
): Promise<PlannedContent> {
  const { content, maxRoundingError } = await readDlibFile(source, dtype, {
    ...provenance(component),
    container: "dlib",
  });
  return {
    content,
    maxRoundingError: () => maxRoundingError,
    dropped: new Map(),
  };
}

/** Where the weights came from: nothing that tells of a machine or a day. */
function provenance(component: Component) {
  return {
    converter: "masterweaver tools/convert.ts 1",
    sources: component.files.map((file) => {
      const folder = basename(dirname(file));
      const name = basename(file);
      // A file that is called like all others is told by its folder.
      return /model|^pytorch/.test(name) ? `${folder}/${name}` : name;
    }),
  };
}

function describe(result: ConvertedComponent): string {
  const dropped = Object.entries(result.dropped)
    .map(([reason, count]) => `; left out ${count}: ${reason}`).join("");
  return `${result.component}: ${result.tensors} tensors, ${
    (result.bytes / 1e6).toFixed(1)
  } MB, largest rounding error ${
    result.maxRoundingError.toPrecision(2)
  } → ${result.file}${dropped}`;
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (cause) {
    throw new MasterWeaverError(
      "cannot-write",
      `Cannot make the folder ${path}; give one that you may write to`,
      { cause },
    );
  }
}

function usageError(message: string): number {
  console.error(`${message}\n\n${USAGE}`);
  return 2;
}

/**
 * Runs the command.
 *
 * @param args what was typed after the script's name
 * @returns the exit code: 0, 1 = it failed, 2 = wrong usage
 */
export async function main(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        output: { type: "string" },
        dtype: { type: "string", default: "f16" },
        json: { type: "boolean", default: false },
        quiet: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return usageError(error instanceof Error ? error.message : String(error));
  }
  const { values: { output, dtype, json, quiet, help }, positionals } = parsed;
  if (help) {
    console.log(USAGE);
    return 0;
  }
  if (positionals.length === 0) return usageError("Give a file or a folder");
  if (output === undefined) return usageError("Give --output DIR");
  if (dtype !== "f16" && dtype !== "f32") {
    return usageError(`--dtype is ${dtype}, expected f16 or f32`);
  }
  try {
    const components = await convert({
      inputs: positionals,
      output,
      dtype,
      report: quiet ? undefined : (line) => console.error(line),
      progress: !quiet && process.stderr.isTTY === true,
    });
    if (json) console.log(JSON.stringify({ output, components }));
    return 0;
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    console.error(error.message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
