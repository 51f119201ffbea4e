/**
 * Imports go one way, from hardware to person.
 */
import { assert, assertEquals } from "@std/assert";
import { repositoryPath } from "./support/paths.ts";

const root = repositoryPath("");

/** What a folder or file of `src/` may import from, beside itself. */
const below: Readonly<Record<string, readonly string[]>> = {
  "base": [],
  "gpu": ["base"],
  "ops": ["gpu", "base"],
  "weights": ["base"],
  "graph": ["ops", "gpu", "weights", "base"],
  "models": ["graph", "ops", "weights", "base"],
  "text": ["base"],
  "samplers": ["graph", "ops", "gpu", "weights", "base"],
  "image": ["base", "host"],
  "face": ["image", "weights", "base"],
  "checkpoints": ["face", "weights", "base"],
  "identity": [
    "face",
    "image",
    "models",
    "graph",
    "ops",
    "gpu",
    "weights",
    "base",
  ],
  "generate": [
    "identity",
    "samplers",
    "image",
    "models",
    "graph",
    "ops",
    "gpu",
    "weights",
    "base",
  ],
};

/** Folders and files that only web APIs may be used in. */
const atTheEdge = new Set(["host"]);

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(`${root}${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (path.endsWith(".ts")) yield path;
  }
}

/** What comes after `from` or inside `import(…)`. */
function imports(code: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g;
  return [...code.matchAll(pattern)].map(([, specifier]) => specifier);
}

/** The file or folder of `src/` a path belongs to, or nothing. */
function layer(path: string): string | undefined {
  return /^src\/([^/]+)/.exec(path)?.[1];
}

function resolved(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

const files: { path: string; code: string }[] = [];
for await (const path of sources("src")) {
  files.push({ path, code: await Deno.readTextFile(`${root}${path}`) });
}

Deno.test("layers: there are sources to look at", () => {
  assert(files.length > 40, `found ${files.length}`);
});

Deno.test("layers: each imports only from those below it", () => {
  const wrong: string[] = [];
  for (const { path, code } of files) {
    const allowed = below[layer(path)!];
    if (!allowed) continue;
    for (const specifier of imports(code)) {
      if (!specifier.startsWith(".")) continue;
      const target = resolved(path, specifier);
      const name = layer(target);
      if (target.startsWith("shaders/")) continue;
      if (name !== layer(path) && !allowed.includes(name ?? "")) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("layers: what mod.ts reaches resolves without an import map", async () => {
  const wrong: string[] = [];
  const mod = await Deno.readTextFile(`${root}mod.ts`);
  for (const { path, code } of [...files, { path: "mod.ts", code: mod }]) {
    for (const specifier of imports(code)) {
      const exact = /^npm:[a-z-]+@\d+\.\d+\.\d+$/.test(specifier);
      if (!/^\.{1,2}\/|^node:/.test(specifier) && !exact) {
        wrong.push(`${path} imports ${specifier}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("layers: only the edge touches files and the process", () => {
  const wrong = files
    .filter(({ path }) => !atTheEdge.has(layer(path)!))
    .filter(({ code }) =>
      /\bDeno\.|"node:(fs|process|os)/.test(withoutComments(code))
    )
    .map(({ path }) => path);
  assertEquals(wrong, []);
});

Deno.test("layers: only src/gpu and src/graph speak to the device", () => {
  const wrong = files
    .filter(({ path }) => !["gpu", "graph"].includes(layer(path)!))
    .filter(({ code }) =>
      /\bnavigator\.gpu|createBuffer\(|createComputePipeline|\.submit\(/
        .test(withoutComments(code))
    )
    .map(({ path }) => path);
  assertEquals(wrong, []);
});

function withoutComments(code: string): string {
  return code.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}
