/**
 * What must not be in the repository, and that its pages link to what there is.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { HUB_CLIENT } from "../tools/download/hub.ts";
import { COMPILER } from "../tools/npm/compiler.ts";
import { usage } from "../src/host/command/usage.ts";
import { repositoryPath } from "./support/paths.ts";

const root = repositoryPath("");

/** What is at the top, without `.git` and what it ignores. */
const topLevel = new Set([
  ".ci",
  ".gitignore",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
  "deno.json",
  "deno.lock",
  "mod.ts",
  "shaders",
  "src",
  "tests",
  "tools",
  "weights",
]);

const binary = /\.(png|jpe?g|weave|safetensors|bin|pt|pth|svm|dat|gz|gguf)$/;

/** Tracked files; every file where git is not at hand. */
async function tracked(): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard"],
    cwd: root,
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter(Boolean);
}

Deno.test("repository: only known files are at the top", async () => {
  const names = new Set((await tracked()).map((path) => path.split("/")[0]));
  assertEquals([...names].filter((name) => !topLevel.has(name)), []);
});

Deno.test("repository: no machine paths, registry hosts or unfinished marks", async () => {
  // Put together from halves, so that this file does not find itself.
  const marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|");
  const folders = ["/wo" + "rk/", "/fa" + "rm/", "/tm" + "p/[a-z]"].join("|");
  const hosts = `https?://[a-z.]*(${
    ["regi" + "stry", "py" + "pi", "deb" + "ian", "js" + "r"].join("|")
  })`;
  const pattern = new RegExp(`${folders}|${hosts}|${marks}`);
  const found: string[] = [];
  for (const path of await tracked()) {
    if (
      binary.test(path) || /\.lock$|^tests\/(fixtures|goldens)\//.test(path)
    ) {
      continue;
    }
    const text = await Deno.readTextFile(`${root}${path}`).catch(() => "");
    text.split("\n").forEach((line, i) => {
      if (pattern.test(line)) found.push(`${path}:${i + 1}`);
    });
  }
  assertEquals(found, []);
});

Deno.test("repository: a checkout takes less than 35 MB", async () => {
  let bytes = 0;
  for (const path of await tracked()) {
    // A file that was just removed may still be listed.
    const info = await Deno.lstat(`${root}${path}`).catch(() => null);
    bytes += info?.size ?? 0;
  }
  assert(bytes > 0 && bytes < 35_000_000, `${bytes} bytes`);
});

Deno.test("repository: one subject a file, at most 500 lines", async () => {
  const long: string[] = [];
  for (const path of await tracked()) {
    if (!/\.(ts|wgsl)$/.test(path)) continue;
    const text = await Deno.readTextFile(`${root}${path}`).catch(() => "");
    if (text.trimEnd().split("\n").length > 500) long.push(path);
  }
  assertEquals(long, []);
});

Deno.test("repo: everyone's lock has exact versions, each with its reason in README, and no tool's packages", async () => {
  const lock = async (path: string) =>
    JSON.parse(await Deno.readTextFile(repositoryPath(path)));
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  // All of it is downloaded by the first run of anything here.
  const { specifiers } = await lock("deno.lock");
  for (const specifier of Object.keys(specifiers)) {
    const [, name] = /^npm:(.+)@\d+\.\d+\.\d+$/.exec(specifier) ?? [];
    assert(name, `${specifier} is not an exact version`);
    assert(readme.includes(`](https://www.npmjs.com/package/${name})`), name);
  }
  const hub = await lock("tools/download/deno.lock");
  assertEquals(Object.keys(hub.specifiers), [HUB_CLIENT]);
  const npm = await lock("tools/npm/deno.lock");
  assertEquals(Object.keys(npm.specifiers), [COMPILER]);
});

/** What another page may link to: the anchors of a page's headings. */
function anchors(markdown: string): Set<string> {
  const headings = withoutCode(markdown).matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, title]) =>
      title.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Markdown without what only looks like a heading or a link. */
function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```$/gms, "");
}

Deno.test("repository: README has at most 200 lines beside options and comparison", async () => {
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  const [, comparison = ""] = /^## Beside other programs$(.*?)^## /ms
    .exec(readme) ?? [];
  const { length } = readme.replace(comparison, "").trimEnd().split("\n")
    .filter((line) => !line.startsWith("| `--"));
  assert(length <= 200, `${length} lines; move some beside what they describe`);
});

Deno.test("repository: links between its pages lead somewhere", async () => {
  const broken: string[] = [];
  let count = 0;
  for (const path of await tracked()) {
    if (!path.endsWith(".md")) continue;
    const page = pathToFileURL(`${root}${path}`);
    const text = await Deno.readTextFile(page).catch(() => "");
    const links = withoutCode(text).matchAll(/\]\(([^)\s]*)\)/g);
    for (const [, link] of links) {
      if (/^[a-z]+:/.test(link)) continue;
      count++;
      const { hash, href } = new URL(link, page);
      const target = fileURLToPath(href);
      const isThere = await Deno.stat(target).then(() => true, () => false);
      const leadsTo = isThere && (hash === "" || !target.endsWith(".md") ||
        anchors(await Deno.readTextFile(target)).has(hash.slice(1)));
      if (!leadsTo) broken.push(`${path}: ${link}`);
    }
  }
  assert(count > 20, `${count} links`);
  assertEquals(broken, []);
});

Deno.test("repo: README and --help name every choice of a face", async () => {
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  assert(readme.includes("`--face N \\| best \\| largest`"));
  assert(usage("").includes("--face N|best|largest"));
});
