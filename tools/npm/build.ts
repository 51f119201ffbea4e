/**
 * Builds the npm package: `deno task npm`.
 *
 * It runs by itself, with the lock beside it, so that nobody but who builds the
 * package fetches the compiler. To change the compiler's version, change it in
 * `compiler.ts` and run the task's command once with `--frozen=false`.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import { print } from "../../src/host/streams.ts";
import { repositoryFile, toolMain } from "../tool.ts";
import { loadCompiler } from "./compiler.ts";
import { compiled } from "./modules.ts";
import { packageJson, packageName } from "./package_json.ts";

const USAGE = `Usage: deno task npm [FOLDER]

Builds the npm package ${packageName}: library, core and command for Node, Bun,
pages and bundlers, with weights/mini. Nothing is published.

  FOLDER      where to (npm); a package that is there is replaced
  -h, --help  this text`;

/** Files of the repository that the package has as they are, and where. */
const COPIED: readonly (readonly [from: string, to: string])[] = [
  ["tools/npm/README.md", "README.md"],
  ["LICENSE", "LICENSE"],
  // The model's README leads to it.
  ["weights/FORMAT.md", "weights/FORMAT.md"],
];

/** The model that the command uses where none is given. */
const MODEL = "weights/mini";
/** What only tools read of it. */
const ONLY_TOOLS = new Set(["evaluation.weave", "strip.png"]);

/** Writes the package into a folder. */
async function build(folder: string): Promise<void> {
  await removePackage(folder);
  const read = (path: string) => Deno.readTextFile(repositoryFile(path));
  const { files, dependencies } = await compiled(await loadCompiler(), read);
  const write = async (path: string, content: string | Uint8Array) => {
    const target = `${folder}/${path}`;
    const parent = target.slice(0, target.lastIndexOf("/"));
    await Deno.mkdir(parent, { recursive: true });
    if (typeof content === "string") await Deno.writeTextFile(target, content);
    else await Deno.writeFile(target, content);
  };
  for (const [path, text] of files) await write(path, text);
  for (const [from, to] of COPIED) await write(to, await read(from));
  for await (const { name } of Deno.readDir(repositoryFile(MODEL))) {
    if (ONLY_TOOLS.has(name)) continue;
    const path = `${MODEL}/${name}`;
    await write(path, await Deno.readFile(repositoryFile(path)));
  }
  const manifest = JSON.stringify(packageJson(dependencies), null, 2);
  await write("package.json", `${manifest}\n`);
}

/**
 * Removes what an earlier build has made.
 *
 * @throws {UsageError} where the folder holds anything else
 */
async function removePackage(folder: string): Promise<void> {
  const names = await Array.fromAsync(Deno.readDir(folder)).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  });
  if (names.length === 0) return;
  const manifest = await Deno.readTextFile(`${folder}/package.json`)
    .then(JSON.parse).catch(() => ({}));
  if (manifest?.name !== packageName) {
    throw new UsageError(
      `Folder ${folder} holds something else than the package; give a new or empty folder`,
    );
  }
  await Deno.remove(folder, { recursive: true });
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {},
  words: true,
  run: async (_, words) => {
    if (words.length > 1) {
      throw new UsageError(`Give one folder, got ${words.length}`);
    }
    const folder = words[0] ?? repositoryFile("npm");
    await build(folder);
    print(`${folder}\n`);
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
