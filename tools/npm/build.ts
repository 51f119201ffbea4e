/**
 * Builds the npm package: `deno task npm [FOLDER]`, by default into `npm/`.
 *
 * It runs by itself, with the lock beside it, so that nobody but who builds the
 * package fetches the compiler. To change the compiler's version, change it in
 * `compiler.ts` and run the task's command once with `--frozen=false`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { bins, compiled, entries } from "./modules.ts";
import { loadCompiler } from "./compiler.ts";
import { packageJson } from "./package_json.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Files of the repository that the package has as they are, and where. */
const COPIED: readonly (readonly [from: string, to: string])[] = [
  ["tools/npm/README.md", "README.md"],
  ["LICENSE", "LICENSE"],
];

/** The model that the command uses where none is given, without what only tools read. */
const MODEL = "weights/mini";
const ONLY_TOOLS = new Set(["evaluation.weave", "strip.png"]);

/** Writes the package into a folder, which it empties first. */
async function build(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const write = async (path: string, content: string | Uint8Array) => {
    const target = `${folder}/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), {
      recursive: true,
    });
    if (typeof content === "string") await Deno.writeTextFile(target, content);
    else await Deno.writeFile(target, content);
  };
  const read = (path: string) => Deno.readTextFile(root + path);
  const { files, dependencies } = await compiled(await loadCompiler(), read);
  for (const [path, text] of files) await write(path, text);
  for (const [from, to] of COPIED) await write(to, await read(from));
  for await (const { name } of Deno.readDir(root + MODEL)) {
    if (ONLY_TOOLS.has(name)) continue;
    const path = `${MODEL}/${name}`;
    await write(path, await Deno.readFile(root + path));
  }
  const manifest = packageJson({ entries, bins, dependencies });
  await write("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
}

if (import.meta.main) {
  const folder = Deno.args[0] ?? `${root}npm`;
  await build(folder);
  console.log(folder);
}
