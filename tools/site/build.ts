/**
 * Puts the site together: scripts, style sheet, document, service worker, model.
 *
 * @module
 */
import { basename, dirname, join, sep } from "node:path";
import { sha256 } from "../../src/base/sha256.ts";
import { OLDEST_TEXT } from "../../src/gpu/browsers.ts";
import { joinBytes } from "../../src/host/codecs/bytes.ts";
import { UsageError } from "../../src/host/exit.ts";
import {
  networkComponents,
  optionalComponents,
} from "../../src/weights/components.ts";
import { PREVIEW_NAME } from "../../src/generate/preview_map.ts";
import { PORTRAITS, STYLES } from "../../src/studio/http/page_files.ts";
import { readModelResource } from "../../src/studio/engine/model_resource.ts";
import { writeManifest } from "../convert/model_manifest.ts";
import { addDetector } from "../download.ts";
import { repositoryFile } from "../tool.ts";
import { bundleScript, bundleScripts } from "./bundle.ts";

/** What the page may load and do: nothing from anywhere else, nothing inline. */
export const POLICY: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types default",
].join("; ");

/** The document's script, and the Workers'. */
const SCRIPTS = [
  "src/site/main.tsx",
  "src/site/workers/gpu_worker.ts",
  "src/site/workers/photo_worker.ts",
  "src/site/workers/weights_worker.ts",
];

/**
 * What each script begins with: Safari has no such symbols, by which the core
 * frees things. They are the only part of explicit resource management that it
 * uses, which `core_test.ts` holds.
 */
const SYMBOLS =
  'for(const n of["dispose","asyncDispose"])n in Symbol||Object.defineProperty(Symbol,n,{value:Symbol(`Symbol.${n}`)});\n';

/** What every build has, so that a folder is known as one. */
const MARK = "service_worker.js";

/** How that file begins. */
const START = "globalThis.site = ";

/** Files beside a model that travel with it: what its licences want. */
const PAPERS = /^(README\.md|LICENSE.*|NOTICE.*)$/;

/** How a site is built. */
export interface SiteOptions {
  /** Where it goes. */
  readonly output: string;
  /** The folder of the model that comes with it. */
  readonly model: string;
}

/** What was built. */
export interface BuiltSite {
  /** Files in all. */
  readonly files: number;
  /** Bytes without the model. */
  readonly pageBytes: number;
  /** Bytes of the model. */
  readonly modelBytes: number;
}

/**
 * Builds the site; an earlier build in the same folder is replaced.
 *
 * @throws {UsageError} where the folder holds anything else, or the model itself
 * @throws {MasterWeaverError} `cannot-read`, `bad-model` where the model cannot be used
 */
export async function buildSite(
  { output, model }: SiteOptions,
): Promise<BuiltSite> {
  await readModelResource(model);
  if (`${model}${sep}`.startsWith(`${output}${sep}`)) {
    throw new UsageError(
      `--model ${model} lies in --output ${output}, which is replaced: give another folder`,
    );
  }
  await clear(output);
  const page = await pageFiles(
    `weights/${encodeURIComponent(basename(model))}/`,
  );
  for (const [path, bytes] of page) {
    const place = join(output, path);
    await Deno.mkdir(dirname(place), { recursive: true });
    await Deno.writeFile(place, bytes);
  }
  const folder = join(output, "weights", basename(model));
  const { files, modelBytes } = await copyModel(model, folder);
  const pageBytes = [...page.values()]
    .reduce((sum, { length }) => sum + length, 0);
  return { files: page.size + files, pageBytes, modelBytes };
}

/** The files of a model that a page uses. */
async function modelFiles(model: string): Promise<string[]> {
  const used = [...networkComponents, ...optionalComponents]
    .map((name) => `${name}.weave`);
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(model)) {
    const isUsed = used.includes(name) || PAPERS.test(name) ||
      name === PREVIEW_NAME;
    if (isUsed && !isDirectory) names.push(name);
  }
  return names;
}

/**
 * Copies what a page uses of a model. Its list is made anew: a page knows files
 * by it alone, and a face detector that was put beside a model is not in it.
 *
 * @returns how many files it became, and their bytes
 */
async function copyModel(
  model: string,
  folder: string,
): Promise<{ files: number; modelBytes: number }> {
  await Deno.mkdir(folder, { recursive: true });
  for (const name of await modelFiles(model)) {
    await Deno.copyFile(join(model, name), join(folder, name));
  }
  await addDetector(folder);
  await writeManifest(folder);
  const names = await namesIn(folder);
  let modelBytes = 0;
  for (const name of names) {
    modelBytes += (await Deno.stat(join(folder, name))).size;
  }
  return { files: names.length, modelBytes };
}

/** Removes what an earlier build wrote; what else is beside it stays. */
async function clear(output: string): Promise<void> {
  const worker = await Deno.readTextFile(join(output, MARK)).catch(() => "");
  if (!worker.startsWith(START)) {
    const names = await namesIn(output);
    if (names.length === 0) return;
    throw new UsageError(
      `--output ${output} holds other files, expected none or an earlier site: give another folder`,
    );
  }
  for (const name of ["assets", "weights"]) {
    await Deno.remove(join(output, name), { recursive: true }).catch(unless);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((e) => e.name);
  } catch (error) {
    unless(error);
    return [];
  }
}

/** Throws an error, unless it says that something is not there. */
function unless(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** The page's files by path. */
async function pageFiles(
  model: string,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const scripts = await bundleScripts(SCRIPTS.map(repositoryFile));
  const code = [...scripts.values()];
  // Scripts name each other, so that all of them move together.
  const folder = `assets/${await hashOf(code)}`;
  for (const [name, bytes] of scripts) {
    files.set(`${folder}/${name}`, await new Blob([SYMBOLS, bytes]).bytes());
  }
  const styles = await styleSheet();
  const stylesPath = `assets/page.${await hashOf([styles])}.css`;
  files.set(stylesPath, styles);
  files.set("assets/icon.svg", await read("studio/page/icon.svg"));
  for (let i = 0; i < PORTRAITS; i++) {
    const portrait = await read(`studio/page/portraits/${i}.jpg`);
    files.set(`assets/portrait-${i}.jpg`, portrait);
  }
  const document = new TextDecoder().decode(await read("site/index.html"))
    .replace("{{policy}}", POLICY).replace("{{model}}", model)
    .replace("{{styles}}", stylesPath).replace("{{ browsers }}", OLDEST_TEXT)
    .replace("{{script}}", `${folder}/main.js`);
  files.set("index.html", new TextEncoder().encode(document));
  const worker = await bundleScript(
    repositoryFile("src/site/service_worker.ts"),
  );
  const built = JSON.stringify({
    version: await hashOf([...files.values(), worker]),
    files: [...files.keys()],
    policy: POLICY,
  });
  files.set(
    MARK,
    await new Blob([`${START}${built};\n`, worker]).bytes(),
  );
  return files;
}

async function styleSheet(): Promise<Uint8Array<ArrayBuffer>> {
  const sheets = [
    ...STYLES.map((name) => `studio/page/styles/${name}.css`),
    "site/styles.css",
  ];
  return await new Blob(await Promise.all(sheets.map(read))).bytes();
}

/** A file of `src/`. */
async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await Deno.readFile(repositoryFile(`src/${path}`));
}

async function hashOf(
  files: readonly Uint8Array<ArrayBuffer>[],
): Promise<string> {
  return (await sha256(joinBytes(files))).slice(0, 16);
}
