/**
 * Judges everything that is to be converted before anything is written: each
 * part as loading would, and all of them together where they are a whole model.
 *
 * @module
 */
import {
  type ComponentName,
  requiredComponents,
} from "../../src/components.ts";
import { MasterWeaverError } from "../../src/errors.ts";
import { FileSource } from "../../src/files.ts";
import {
  checkPart,
  checkWeights,
  partsFrom,
  readTokenizer,
} from "../../src/parts.ts";
import { badCheckpoint } from "../../src/weights/checkpoint.ts";
import { byteLength } from "../../src/weights/dtype.ts";
import { openWeave, type WeaveFile } from "../../src/weights/weave.ts";
import type { WeaveContent } from "../../src/weights/weave_writer.ts";
import type { Component, PlannedContent, PlanOptions } from "./component.ts";
import { exists } from "./folder.ts";
import { checkTarget } from "./staging.ts";

/** A component that can be written. */
export interface JudgedPart {
  /** What it is and where it comes from. */
  readonly component: Component;
  /** What will be written. */
  readonly planned: PlannedContent;
}

/** All that is to be written; `await using` closes the sources. */
export interface Judged extends AsyncDisposable {
  /** In the order they were found. */
  readonly parts: readonly JudgedPart[];
  /** What the user is to know, each once. */
  readonly warnings: readonly string[];
}

/** Where a component is written. */
export function partPath(output: string, { output: name }: Component): string {
  return `${output}/${name}.weave`;
}

/**
 * Opens and judges all components: headers, tables, configs, tokens.
 *
 * @param components what was found
 * @param output the folder they are written to
 * @param options how they are converted
 * @throws {MasterWeaverError} `bad-checkpoint`, `bad-model`, `cannot-read`, `cannot-write`
 */
export async function judge(
  components: readonly Component[],
  output: string,
  { dtype, allowUnused = false }: Pick<PlanOptions, "dtype"> & {
    readonly allowUnused?: boolean;
  },
): Promise<Judged> {
  await using stack = new AsyncDisposableStack();
  const parts: JudgedPart[] = [];
  const files = new Map<string, WeaveFile>();
  for (const component of components) {
    const path = partPath(output, component);
    await checkTarget(path);
    const sources: FileSource[] = [];
    for (const file of component.files) {
      sources.push(stack.use(await FileSource.open(file)));
    }
    const planned = await component.plan(sources, { dtype, allowUnused });
    const file = plannedFile(path, planned.content);
    asLoaded(component.files[0], () => checkPart(file));
    files.set(component.output, file);
    parts.push({ component, planned });
  }
  const warnings = parts.flatMap(({ planned }) => planned.warnings);
  const misfit = await checkModel(files, output);
  if (misfit !== undefined) warnings.push(misfit);
  const sources = stack.move();
  return {
    parts,
    warnings: [...new Set(warnings)],
    [Symbol.asyncDispose]: () => sources.disposeAsync(),
  };
}

/** What is to be written, as loading will see it. */
function plannedFile(name: string, content: WeaveContent): WeaveFile {
  const { component, config, provenance, tensors } = content;
  return {
    name,
    component,
    config,
    provenance,
    hash: "",
    tensors: new Map(
      tensors.map(({ name, dtype, shape, data }) => [name, {
        name,
        dtype,
        shape,
        bytes: Number(byteLength(dtype, shape)),
        chunks: () => data() as AsyncIterable<Uint8Array<ArrayBuffer>>,
      }]),
    ),
  };
}

/**
 * Builds all networks of the model as loading does, where the parts that are
 * written and those that lie in the folder make one.
 *
 * @returns what is wrong where parts that stay do not fit; they may be replaced next
 * @throws {MasterWeaverError} `bad-checkpoint` where all parts are written now
 */
async function checkModel(
  written: ReadonlyMap<string, WeaveFile>,
  output: string,
): Promise<string | undefined> {
  await using stack = new AsyncDisposableStack();
  const stay: ComponentName[] = [];
  const files = new Map(written);
  for (const name of requiredComponents) {
    const path = `${output}/${name}.weave`;
    if (written.has(name)) continue;
    // Without all of its parts it is no model yet.
    if (!await exists(path)) return;
    stay.push(name);
  }
  try {
    for (const name of stay) {
      const path = `${output}/${name}.weave`;
      const source = stack.use(await FileSource.open(path));
      files.set(name, await openWeave(source));
    }
    const parts = await partsFrom((name) => Promise.resolve(files.get(name)!));
    readTokenizer(parts);
    checkWeights("f32", parts);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    if (stay.length === 0) {
      throw badCheckpoint(output, error.message, { cause: error });
    }
    return `Warning: ${output} cannot be used with the files that stay in it (${
      stay.join(", ")
    }): ${error.message}`;
  }
}

/** Runs what loading runs: what it refuses is the checkpoint's fault. */
function asLoaded(file: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw badCheckpoint(file, error.message, { cause: error });
  }
}
