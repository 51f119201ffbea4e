/**
 * TypeScript's compiler, as much of it as is used here: it works file by file
 * and looks at no types, which `deno check` has done.
 *
 * @module
 */

/** The compiler, exactly; its checksum is in the `deno.lock` beside this file. */
export const COMPILER = "npm:typescript@6.0.3";

/** What `compilerOptions` is in a `tsconfig.json`, with the compiler's own numbers. */
export type CompilerOptions = Readonly<Record<string, unknown>>;

/** A file's import, and where its name stands. */
export interface Import {
  /** What is imported, as written. */
  readonly fileName: string;
  /** Where the name's opening quote stands. */
  readonly pos: number;
}

/** A compiled file. */
export interface Output {
  /** Its text. */
  readonly outputText: string;
  /** What the compiler refuses. */
  readonly diagnostics?: readonly {
    readonly messageText: string | { readonly messageText: string };
  }[];
}

/** The compiler. */
export interface Compiler {
  /** Finds what a file imports. */
  preProcessFile(text: string): { readonly importedFiles: readonly Import[] };
  /** Makes JavaScript of a file. */
  transpileModule(text: string, options: TranspileOptions): Output;
  /** Makes declarations of a file whose exported symbols all state their types. */
  transpileDeclaration(text: string, options: TranspileOptions): Output;
  /** Numbers of the versions of JavaScript. */
  readonly ScriptTarget: { readonly ES2022: number };
  /** Numbers of the kinds of modules. */
  readonly ModuleKind: { readonly ESNext: number };
}

/** How a file is compiled. */
export interface TranspileOptions {
  /** As in a `tsconfig.json`. */
  readonly compilerOptions: CompilerOptions;
  /** Its name, for messages. */
  readonly fileName: string;
  /** Whether to say what is refused. */
  readonly reportDiagnostics: boolean;
}

/** Loads the compiler, by a computed name: only who builds the package needs it. */
export async function loadCompiler(): Promise<Compiler> {
  const { default: compiler } = await import(COMPILER);
  return compiler;
}
