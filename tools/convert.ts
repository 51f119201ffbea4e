/**
 * Converts PyTorch checkpoints and dlib's files to a model folder of `*.weave`
 * files.
 *
 *     deno run -A tools/convert.ts FILE|FOLDER… --output DIR
 *
 * @module
 */
import { basename, dirname, resolve } from "node:path";
import { Interrupt } from "../src/host/command/interrupt.ts";
import { checkWritable, FileSource } from "../src/host/files.ts";
import { endOnSignals, UsageError } from "../src/host/exit.ts";
import { cannotWrite } from "../src/host/reasons.ts";
import { writeStderr } from "../src/host/streams.ts";
import { throwIfAborted } from "../src/base/progress.ts";
import { MANIFEST_NAME, type ManifestEntry } from "../src/weights/manifest.ts";
import type { ModelDtype } from "../src/weights/quantisation_policy.ts";
import { openWeave } from "../src/weights/weave.ts";
import { byteLength } from "../src/weights/dtype.ts";
import { writeWeave } from "../src/weights/weave_writer.ts";
import type { Component } from "./convert/component.ts";
import { exists } from "./convert/folder.ts";
import {
  checkComponents,
  type CheckedComponent,
  componentPath,
} from "./convert/checks.ts";
import {
  entriesBefore,
  manifestAfter,
  writeManifest,
} from "./convert/model_manifest.ts";
import { restoreOld } from "./convert/neighbours.ts";
import { readComponents, type ReadOptions } from "./convert/merge.ts";
import {
  type ConvertValues,
  OPTIONS,
  readWords,
  USAGE,
} from "./convert/options.ts";
import { runExtraction, runGguf } from "./convert/other_outputs.ts";
import { ProgressLine } from "./convert/progress.ts";
import { checkTarget, Staging } from "./convert/staging.ts";
import { toPyTorch } from "./convert/to_pytorch.ts";
import { printJson, talk, toolMain } from "./tool.ts";

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
  /** How many of them are quantised. */
  readonly quantised: number;
  /** The largest |stored − original| of any value that was rounded to f16. */
  readonly maxRoundingError: number;
  /** Σ (stored − original)² / Σ original² over all quantised values. */
  readonly quantisedNmse: number;
  /** How many tensors were left out on purpose, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** How to convert. */
export interface ConvertOptions extends ReadOptions {
  /** The folder to write to. */
  readonly output: string;
  /** How floating-point tensors are stored; single ones may be stored finer. */
  readonly dtype: ModelDtype;
  /** Stops the conversion between two chunks; what was written is removed. */
  readonly signal?: AbortSignal;
  /** Whether to draw a progress bar on a terminal. */
  readonly progress?: boolean;
}

/**
 * Converts checkpoints. Everything is checked before the first byte is written,
 * and all files are replaced together: a conversion that fails changes nothing.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `bad-model`, `cannot-read`, `cannot-write`, `bad-option`, `aborted`
 */
export async function convert(
  options: ConvertOptions,
): Promise<ConvertedComponent[]> {
  const { output, report = () => {} } = options;
  for (const path of await restoreOld(output)) {
    report(`${path}: restored after an interrupted conversion`);
  }
  const components = await readComponents(options, output);
  await using made = await makeFolder(output);
  await using staging = new Staging();
  const converted: ConvertedComponent[] = [];
  const manifest = `${output}/${MANIFEST_NAME}`;
  const before = await entriesBefore(output, names(components));
  {
    // Sources are closed before files are replaced: they may be the same.
    await using checked = await checkComponents(
      components,
      output,
      options,
      before.manifest,
    );
    for (const line of checked.warnings) report(line);
    await checkTarget(manifest);
    for (const component of checked.components) {
      converted.push(await writeComponent(component, staging, options));
    }
    const written = new Map(converted.flatMap(entry));
    const text = manifestAfter(before.entries, written);
    if (text) await staging.write(manifest, (append) => append(text));
  }
  throwIfAborted(options.signal);
  // The manifest goes first: a folder whose replacement is interrupted does not
  // match its manifest, and so never looks valid.
  await staging.commit(manifest);
  made.keep();
  for (const result of converted) report(describe(result));
  return converted;
}

/** The names of the components that will be written. */
function names(components: readonly Component[]): string[] {
  return components.map(({ output }) => output);
}

/** A file's entry in the manifest; none for an adapter that is not the model's own. */
function entry(
  { component, file, hash, bytes }: ConvertedComponent,
): [string, ManifestEntry][] {
  const own = `${component}.weave`;
  return basename(file) === own
    ? [[component, { file: own, hash, bytes }]]
    : [];
}

async function writeComponent(
  { component, planned }: CheckedComponent,
  staging: Staging,
  { output, progress, signal }: ConvertOptions,
): Promise<ConvertedComponent> {
  const { content, loss, dropped } = planned;
  const { tensors } = content;
  const file = componentPath(output, component);
  const bytes = tensors.reduce(
    (sum, { dtype, shape }) => sum + Number(byteLength(dtype, shape)),
    0,
  );
  using bar = new ProgressLine(
    component.output,
    // Every tensor passes twice: for its checksum, and to be written.
    2 * bytes,
    progress === true,
  );
  const onBytes = (bytes: number) => {
    throwIfAborted(signal);
    bar.advance(bytes);
  };
  const partial = await staging.write(
    file,
    (append) => writeWeave(append, content, onBytes),
  );
  await using written = await FileSource.open(partial);
  const { hash } = await openWeave(written);
  return {
    component: content.component,
    file,
    tensors: tensors.length,
    bytes: written.size,
    hash,
    quantised: tensors.filter(({ dtype }) => /^q/.test(dtype)).length,
    // Known only once the tensors have been written.
    maxRoundingError: loss.maxRoundingError,
    quantisedNmse: loss.quantisedNmse,
    dropped: Object.fromEntries(dropped),
  };
}

function describe(result: ConvertedComponent): string {
  const { quantised } = result;
  const facts = [
    `${result.tensors} tensors`,
    `${(result.bytes / 1e6).toFixed(1)} MB`,
    ...quantised > 0
      ? [`${quantised} quantised, NMSE ${shortly(result.quantisedNmse)}`]
      : [],
    `largest rounding error ${quantised > 0 ? "of the others " : ""}${
      shortly(result.maxRoundingError)
    }`,
  ];
  const dropped = Object.entries(result.dropped)
    .map(([reason, count]) => `; left out ${count}: ${reason}`).join("");
  return `${result.component}: ${facts.join(", ")} → ${result.file}${dropped}`;
}

/** Two digits of a number, and exactly 0 for none. */
function shortly(value: number): string {
  return value === 0 ? "0" : value.toPrecision(2);
}

/** A folder that was made; disposing of this removes it, unless it is kept. */
interface MadeFolder extends AsyncDisposable {
  /** Keeps the folder. */
  keep(): void;
}

async function makeFolder(path: string): Promise<MadeFolder> {
  const made: string[] = [];
  // From the innermost to the outermost folder that does not exist yet.
  for (let at = resolve(path); !await exists(at); at = dirname(at)) {
    made.push(at);
    if (at === dirname(at)) break;
  }
  const remove = async () => {
    // A folder that others have put something into stays.
    for (const folder of made) await Deno.remove(folder).catch(() => {});
  };
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    await remove();
    throw cannotWrite(path, error, "give a folder that you may write to");
  }
  return {
    keep: () => void made.splice(0),
    [Symbol.asyncDispose]: remove,
  };
}

async function run(
  values: ConvertValues,
  inputs: readonly string[],
): Promise<void> {
  const { output, manifest, "to-pytorch": adapter, json } = values;
  const jobs = [adapter, manifest, inputs[0]];
  if (jobs.filter((job) => job !== undefined).length !== 1) {
    throw new UsageError(
      "Give a file or a folder, or --to-pytorch FILE, or --manifest DIR",
    );
  }
  const { report, progress } = talk(values.quiet);
  if (manifest !== undefined) {
    const written = await writeManifest(manifest);
    report(`${written.files} files → ${written.manifest}`);
    if (json) printJson(written);
    return;
  }
  if (values["extract-lora"]) return await runExtraction(values, inputs);
  if (values.rank !== undefined) {
    throw new UsageError("--rank goes with --extract-lora");
  }
  const read = readWords(inputs, values.merge);
  if (values.gguf !== undefined) {
    return await runGguf(values.gguf, values, read);
  }
  if (!output) throw new UsageError("Give --output");
  if (adapter !== undefined) {
    await checkWritable(output);
    using _ = endOnSignals();
    const written = await toPyTorch(adapter, output, progress);
    report(`${written.tensors} tensors → ${output}`);
    if (json) printJson(written);
    return;
  }
  await using interrupt = new Interrupt((text) => writeStderr(`${text}\n`));
  const components = await convert({
    ...read,
    output,
    dtype: values.dtype,
    ldmWeights: values["no-ema"] ? "last" : "ema",
    allowUnused: values["allow-unused"],
    signal: interrupt.signal,
    report,
    progress,
  });
  if (json) printJson({ output, components });
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  words: true,
  stopsItself: true,
  run,
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
