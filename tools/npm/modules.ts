/**
 * Makes JavaScript and declarations of what the package's entries need, file by
 * file: each keeps its place, so that paths relative to it stay right.
 *
 * @module
 */
import type { Compiler, Output } from "./compiler.ts";

/** What can be imported, and the source of it. */
export const entries: Readonly<Record<string, string>> = {
  ".": "src/host/library.ts",
  "./core": "src/core.ts",
};

/** Commands, and the source of them. */
export const bins: Readonly<Record<string, string>> = {
  "masterweaver-webgpu": "src/host/command/start.ts",
};

/** An import of an npm package: its name, and its version. */
const NPM = /^npm:(.+)@([\d.]+)$/;

/** What was compiled. */
export interface Compiled {
  /** Texts by their place in the package. */
  readonly files: ReadonlyMap<string, string>;
  /** npm packages that are imported, with their versions. */
  readonly dependencies: ReadonlyMap<string, string>;
}

/** Makes JavaScript or declarations of a source. */
type Compile = (path: string, source: string) => string;

/**
 * Compiles all that the entries and commands need.
 *
 * @param read gives a source of the repository by its path
 * @throws where a source cannot be compiled
 */
export async function compiled(
  compiler: Compiler,
  read: (path: string) => Promise<string>,
): Promise<Compiled> {
  const files = new Map<string, string>();
  const dependencies = new Map<string, string>();

  /** Compiles sources, and those that the results import, in turn. */
  async function walk(
    starts: readonly string[],
    target: (path: string) => string,
    compile: Compile,
  ): Promise<void> {
    const open = [...starts];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (files.has(target(path))) continue;
      const source = await read(path);
      const made = named(path, () => compile(path, source));
      const { text, imports } = forPackage(compiler, made);
      files.set(target(path), text);
      for (const name of imports) {
        const [, dependency, version] = NPM.exec(name) ?? [];
        if (dependency) dependencies.set(dependency, version);
        if (name.startsWith(".")) open.push(resolve(path, name));
      }
    }
  }

  const shared = {
    target: compiler.ScriptTarget.ES2022,
    module: compiler.ModuleKind.ESNext,
    isolatedModules: true,
  };
  // Declarations have the comments, where editors look.
  const javaScript = { ...shared, removeComments: true };
  const declarations = {
    ...shared,
    declaration: true,
    isolatedDeclarations: true,
  };
  const javaScriptOf: Compile = (fileName, text) =>
    fileName.endsWith(".wgsl")
      ? `export default ${JSON.stringify(text)};\n`
      : outputOf(compiler.transpileModule(text, {
        compilerOptions: javaScript,
        fileName,
        reportDiagnostics: true,
      }));
  const declarationsOf: Compile = (fileName, text) =>
    outputOf(compiler.transpileDeclaration(text, {
      compilerOptions: declarations,
      fileName,
      reportDiagnostics: true,
    }))
      // It reads no library, and so declares these methods as properties, too.
      .replace(/^ +\[Symbol\.(?:d|asyncD)ispose\]: \(\) => .*;\n/gm, "")
      // Examples import the package.
      .replaceAll('from "./mod.ts"', 'from "masterweaver-webgpu"')
      .replaceAll('from "./core.ts"', 'from "masterweaver-webgpu/core"');
  const imported = Object.values(entries);
  const run = Object.values(bins);
  await walk([...imported, ...run], inJavaScript, javaScriptOf);
  await walk(imported, inDeclarations, declarationsOf);
  return { files, dependencies };
}

/** Where the JavaScript of a source lies. */
export function inJavaScript(path: string): string {
  return path.endsWith(".wgsl") ? `${path}.js` : path.replace(/\.ts$/, ".js");
}

/** Where the declarations of a source lie. */
export function inDeclarations(path: string): string {
  return path.replace(/\.ts$/, ".d.ts");
}

/** What a function returns; what it throws names the source. */
function named<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`Cannot compile ${path}: ${error}`, { cause: error });
  }
}

/** What was compiled, where it could be. */
function outputOf({ outputText, diagnostics = [] }: Output): string {
  const faults = diagnostics.map(({ messageText: text }) =>
    typeof text === "string" ? text : text.messageText
  );
  if (faults.length > 0) throw new Error(faults.join("; "));
  return outputText;
}

/** A text with its imports as they are in the package, and what they were. */
function forPackage(
  compiler: Compiler,
  text: string,
): { readonly text: string; readonly imports: readonly string[] } {
  const found = compiler.preProcessFile(text).importedFiles
    .toSorted((a, b) => b.pos - a.pos);
  let changed = text;
  for (const { fileName, pos } of found) {
    const start = pos + 1, end = start + fileName.length;
    if (changed.slice(start, end) !== fileName) {
      throw new Error(`Expected ${fileName} at ${pos} of its file`);
    }
    // A shader is a module here, and needs no attribute that says it is text.
    const rest = fileName.endsWith(".wgsl")
      ? changed.slice(end).replace(/^"\s*with\s*\{[^}]*\}/, '"')
      : changed.slice(end);
    changed = changed.slice(0, start) + nameInPackage(fileName) + rest;
  }
  return { text: changed, imports: found.map(({ fileName }) => fileName) };
}

/** What an import is called in the package. */
function nameInPackage(name: string): string {
  if (name.startsWith("node:")) return name;
  if (name.startsWith(".")) return inJavaScript(name);
  const [, dependency] = NPM.exec(name) ?? [];
  if (!dependency) throw new Error(`Cannot import ${name} in a package`);
  return dependency;
}

/** The path in the repository that a file's relative import leads to. */
function resolve(path: string, name: string): string {
  return new URL(name, `file:///${path}`).pathname.slice(1);
}
