/**
 * Checks everything that is to be converted before anything is written: each
 * component as loading would, and all together where they are a whole model.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import {
  type ComponentName,
  identityComponents,
  isNetworkComponent,
  networkComponents,
  requiredComponents,
} from "../../src/weights/components.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FileSource } from "../../src/host/files.ts";
import {
  checkComponent,
  checkTogether,
  checkWeights,
  modelComponentsOf,
  readTokenizer,
} from "../../src/components/networks.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { brief } from "../../src/weights/brief.ts";
import { byteLength } from "../../src/weights/dtype.ts";
import { checkListed, type Manifest } from "../../src/weights/manifest.ts";
import { openWeave, type WeaveFile } from "../../src/weights/weave.ts";
import type { WeaveContent } from "../../src/weights/weave_writer.ts";
import type { Component, PlannedContent, PlanOptions } from "./component.ts";
import { exists } from "./folder.ts";
import { checkTarget } from "./staging.ts";

/** A component that can be written. */
export interface CheckedComponent {
  /** What it is and where it comes from. */
  readonly component: Component;
  /** What will be written. */
  readonly planned: PlannedContent;
}

/** Everything that is to be written; `await using` closes the sources. */
export interface CheckedComponents extends AsyncDisposable {
  /** In the order they were found. */
  readonly components: readonly CheckedComponent[];
  /** What the user should know, each line once. */
  readonly warnings: readonly string[];
}

/** Where a component is written. */
export function componentPath(
  output: string,
  { output: name }: Component,
): string {
  return `${output}/${name}.weave`;
}

/**
 * Opens and checks all components: headers, tables, configs, tokens.
 *
 * @param components what was found
 * @param output the folder they are written to
 * @param options how they are converted
 * @param listed the folder's manifest, where it has one
 * @throws {MasterWeaverError} `bad-checkpoint`, `bad-model`, `cannot-read`, `cannot-write`, `bad-option`
 */
export async function checkComponents(
  components: readonly Component[],
  output: string,
  { dtype, allowUnused = false }: Pick<PlanOptions, "dtype"> & {
    readonly allowUnused?: boolean;
  },
  listed?: Manifest,
): Promise<CheckedComponents> {
  await using stack = new AsyncDisposableStack();
  const checked: CheckedComponent[] = [];
  const files = new Map<string, WeaveFile>();
  for (const component of components) {
    const path = componentPath(output, component);
    await checkTarget(path);
    const sources = await openSources(component, stack);
    const planned = await component.plan(sources, { dtype, allowUnused });
    for (const source of sources) {
      await checkNotItself(source, path, planned.content);
    }
    const file = checkPlanned(component.files[0], planned.content, path);
    files.set(component.output, file);
    checked.push({ component, planned });
  }
  const warnings = checked.flatMap(({ planned }) => planned.warnings);
  warnings.push(...await checkModel(files, output, listed));
  const sources = stack.move();
  return {
    components: checked,
    warnings: [...new Set(warnings)],
    [Symbol.asyncDispose]: () => sources.disposeAsync(),
  };
}

/** Opens a component's files, which the stack closes. */
export async function openSources(
  { files }: Component,
  stack: AsyncDisposableStack,
): Promise<FileSource[]> {
  const sources: FileSource[] = [];
  for (const file of files) {
    sources.push(stack.use(await FileSource.open(file)));
  }
  return sources;
}

/**
 * Refuses to replace a component by what is made from it: storing it as another
 * type loses values, and its file may be the only copy.
 *
 * @throws {MasterWeaverError} `bad-option` where anything about it would change
 */
async function checkNotItself(
  source: FileSource,
  path: string,
  content: WeaveContent,
): Promise<void> {
  if (!await isSameFile(source.name, path)) return;
  if (isDeepStrictEqual(outline(await openWeave(source)), outline(content))) {
    return;
  }
  throw new MasterWeaverError(
    "bad-option",
    `Cannot convert ${source.name} to itself: it would be lost; give another folder with --output`,
  );
}

/**
 * Refuses to replace a file by what is made from it, which lacks some of it.
 *
 * @param files that are read
 * @param option names the file to write
 * @throws {MasterWeaverError} `bad-option`
 */
export async function checkNotInput(
  files: readonly string[],
  output: string,
  option: string,
): Promise<void> {
  for (const file of files) {
    if (!await isSameFile(file, output)) continue;
    throw new MasterWeaverError(
      "bad-option",
      `Cannot write ${output}: it is made from itself; give another file with ${option}`,
    );
  }
}

/** Whether two paths lead to one file that is there. */
async function isSameFile(a: string, b: string): Promise<boolean> {
  const real = (path: string) => Deno.realPath(path).catch(() => undefined);
  const file = await real(a);
  return file !== undefined && file === await real(b);
}

/** Everything that a header says, but for checksums: those follow from the rest. */
function outline(
  { component, config, provenance, tensors }: WeaveFile | WeaveContent,
) {
  const all = [...tensors.values()].map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape: [...shape],
  }));
  return { component, config, provenance, tensors: all };
}

/**
 * Checks what is to be written, as loading would.
 *
 * @param source the file it is made from
 * @param name the file it will be
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function checkPlanned(
  source: string,
  content: WeaveContent,
  name = source,
): WeaveFile {
  const file = plannedFile(name, content);
  asLoaded(source, () => checkComponent(file));
  return file;
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
 * Checks the components that are written together with those that stay in the
 * folder: whether their configs fit and, where they make a whole model, all that
 * loading would refuse. Other adapters are checked in the place of the model's.
 *
 * @returns a warning where the model will follow no identities
 * @throws {MasterWeaverError} `bad-checkpoint` where they do not fit
 */
async function checkModel(
  written: ReadonlyMap<string, WeaveFile>,
  output: string,
  listed: Manifest | undefined,
): Promise<string[]> {
  // Detectors depend on no network.
  if (
    ![...written.values()].some(({ component }) =>
      isNetworkComponent(component)
    )
  ) {
    return [];
  }
  await using stack = new AsyncDisposableStack();
  const stay: ComponentName[] = [];
  const files = new Map<string, WeaveFile>();
  const adapters = new Map(written);
  try {
    for (const name of networkComponents) {
      adapters.delete(name);
      const own = written.get(name);
      if (own) files.set(name, own);
      const path = `${output}/${name}.weave`;
      if (own || !await exists(path)) continue;
      stay.push(name);
      const source = stack.use(await FileSource.open(path));
      files.set(name, await staying(source, name, listed));
    }
    checkTogether(files.values());
    const own = files.get("identity_adapter");
    if (!own) checkWhole(files);
    for (const adapter of [own, ...adapters.values()]) {
      if (adapter?.component !== "identity_adapter") continue;
      checkWhole(new Map([...files, ["identity_adapter", adapter]]));
    }
    return withoutIdentity(files, output);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw badCheckpoint(
      output,
      stay.length === 0
        ? error.message
        : `the components written now and those that stay in it (${
          stay.join(", ")
        }) do not make a model: ${error.message}; convert all components of one model ` +
          "together, or to another folder",
      { cause: error },
    );
  }
}

/** Says that a model is plain, or lacks something that an identity needs. */
function withoutIdentity(
  files: ReadonlyMap<string, WeaveFile>,
  output: string,
): string[] {
  const isModel = requiredComponents.every((name) => files.has(name));
  const missing = identityComponents.filter((name) => !files.has(name));
  if (!isModel || missing.length === 0) return [];
  return [
    `${output}: without ${
      missing.join(", ")
    } the model makes images, but none from reference photos; convert ${
      missing.length === 1 ? "it" : "them"
    } to the same folder for these`,
  ];
}

/** Opens and checks a component that stays. */
async function staying(
  source: FileSource,
  name: ComponentName,
  listed: Manifest | undefined,
): Promise<WeaveFile> {
  const file = await openWeave(source);
  if (file.component !== name) {
    throw new MasterWeaverError(
      "bad-model",
      `${file.name} holds the component ${
        brief(file.component)
      }, expected ${name}`,
    );
  }
  if (listed) {
    const { name: path, hash } = file;
    checkListed(listed, name, { name: path, hash, bytes: source.size });
  }
  checkComponent(file);
  return file;
}

/** Builds all networks as loading does, unless one that is required is not there yet. */
function checkWhole(files: ReadonlyMap<string, WeaveFile>): void {
  if (requiredComponents.some((name) => !files.has(name))) return;
  const components = modelComponentsOf(files);
  readTokenizer(components);
  checkWeights("f32", components);
}

/** Runs a check of loading's; what it refuses becomes an error of the checkpoint. */
function asLoaded(file: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw badCheckpoint(file, error.message, { cause: error });
  }
}
