/**
 * Imports go one way, from hardware to person, and never in a circle; what a
 * page imports reaches no host.
 */
import { assert, assertEquals } from "@std/assert";
import { repositoryPath } from "./support/paths.ts";

const root = repositoryPath("");

/**
 * The folders and files of `src/`, from hardware to person: each may import
 * from itself and from those before it, types included.
 */
const order = [
  "base",
  "gpu",
  "ops",
  "weights",
  "graph",
  "models",
  "text",
  "samplers",
  "image",
  "face",
  "checkpoints",
  "identity",
  "options",
  "generate",
  "components",
  "train",
  "engine.ts",
  "load.ts",
  "call_queue.ts",
  "call_options.ts",
  "checked_call.ts",
  "pipeline.ts",
  "core.ts",
  "host",
  "studio",
  "site",
];

/** What may know Deno, Node and packages. */
const atTheEdge = ["host", "studio"];

interface Source {
  /** From the repository's root. */
  readonly path: string;
  /** Without comments, whose examples import as well. */
  readonly code: string;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(`${root}${folder}`)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(path)) yield path;
  }
}

async function read(path: string): Promise<Source> {
  const text = await Deno.readTextFile(`${root}${path}`);
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(?<=^|\s)\/\/.*$/gm, "");
  return { path, code };
}

/** What comes after `from` or `import`, or stands inside `import(…)`. */
function specifiers(code: string): string[] {
  // Not texts that end with "from".
  const pattern = /(?:\bfrom\s+|\bimport\s*\(?\s*)"([^"]+)"/g;
  return [...code.matchAll(pattern)].map(([, specifier]) => specifier);
}

/** The files of this repository that one imports, types included. */
function imported({ path, code }: Source): string[] {
  return specifiers(code)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) =>
      new URL(specifier, `file:///${path}`).pathname.slice(1)
    );
}

/** The file or folder right in `src/` that a path belongs to, else nothing. */
function layer(path: string): string {
  return /^src\/([^/]+)/.exec(path)?.[1] ?? "";
}

/** What a layer may import from, beside itself. */
function below(name: string): readonly string[] {
  return order.slice(0, Math.max(order.indexOf(name), 0));
}

const files: Source[] = [];
for await (const path of sources("src")) files.push(await read(path));
const byPath = new Map(files.map((file) => [file.path, file]));

/** All that a file needs, itself included. */
function closure(start: string): Source[] {
  const found = new Map<string, Source>();
  const open = [start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path);
    if (!file || found.has(path)) continue;
    found.set(path, file);
    open.push(...imported(file));
  }
  return [...found.values()];
}

/** A circle of imports that a file is in; nothing where there is none. */
function circleOf(start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const open = [start];
  for (let path = open.shift(); path !== undefined; path = open.shift()) {
    const file = byPath.get(path);
    for (const next of file ? imported(file) : []) {
      if (next === start) {
        const circle = [path];
        while (circle[0] !== start) circle.unshift(cameFrom.get(circle[0])!);
        return circle;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, path);
      open.push(next);
    }
  }
  return undefined;
}

Deno.test("layers: there are sources to check", () => {
  assert(files.length > 40, `found ${files.length}`);
  // Imports of types and over several lines, text, and exports are all seen.
  const pipelines = imported(byPath.get("src/gpu/pipelines.ts")!);
  assert(pipelines.includes("src/gpu/limits.ts"), pipelines.join());
  assert(pipelines.includes("shaders/prelude.wgsl"), pipelines.join());
  assert(imported(byPath.get("src/core.ts")!).includes("src/call_queue.ts"));
});

Deno.test("layers: every file and folder of src has its place", () => {
  const names = new Set(files.map(({ path }) => layer(path)));
  assertEquals([...names].toSorted(), order.toSorted());
});

Deno.test("layers: each imports only from those below it", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const own = layer(file.path);
    const allowed = ["", own, ...below(own)];
    for (const target of imported(file)) {
      const isOutside = layer(target) === "" && !target.startsWith("shaders/");
      if (isOutside || !allowed.includes(layer(target))) {
        wrong.push(`${file.path} imports ${target}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("layers: no files import each other in a circle", () => {
  const circles = new Set<string>();
  for (const { path } of files) {
    const circle = circleOf(path);
    if (circle) circles.add(circle.toSorted().join(", "));
  }
  assertEquals([...circles], []);
});

Deno.test("layers: the core imports no host, and nothing that only tools need", () => {
  const paths = closure("src/core.ts").map(({ path }) => path);
  assert(!paths.includes("src/weights/weave_writer.ts"));
  const reached = paths.map(layer);
  assert(reached.length > 100, `${reached.length} files`);
  const below = order.slice(0, order.indexOf("core.ts") + 1)
    .filter((name) => name !== "train");
  assertEquals([...new Set(reached)].toSorted(), below.toSorted());
});

Deno.test("layers: what mod.ts reaches resolves without an import map", async () => {
  const wrong: string[] = [];
  for (const { path, code } of [...files, await read("mod.ts")]) {
    for (const specifier of specifiers(code)) {
      const exact = /^npm:(@[a-z-]+\/)?[a-z-]+@\d+\.\d+\.\d+(\/[\w./-]+)?$/
        .test(specifier);
      if (!/^\.{1,2}\/|^node:/.test(specifier) && !exact) {
        wrong.push(`${path} imports ${specifier}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("layers: only the edge knows Deno, Node and packages", () => {
  const wrong = files
    .filter(({ path }) => !atTheEdge.includes(layer(path)))
    .filter(needsHost)
    .map(({ path }) => path);
  assertEquals(wrong, []);
});

Deno.test("layers: image decoders run anywhere", () => {
  const decoders = closure("src/host/codecs/decode_image.ts");
  assert(decoders.length > 10, `${decoders.length} files`);
  const wrong = decoders.filter(needsHost).map(({ path }) => path);
  assertEquals(wrong, []);
});

Deno.test("layers: only the edge mentions flags and tools", () => {
  const wrong = files
    .filter(({ path }) =>
      ![...atTheEdge, "site", "checkpoints"].includes(layer(path))
    )
    .flatMap(({ path, code }) =>
      [...code.matchAll(/--[a-z][a-z-]+|\btools\/|\bsetup\.sh/g)]
        .map(([advice]) => `${path}: ${advice}`)
    );
  assertEquals(wrong, []);
});

Deno.test("layers: only src/gpu and src/graph use the device", () => {
  const wrong = files
    .filter(({ path }) => !["gpu", "graph"].includes(layer(path)))
    // It puts npm's WebGPU where a runtime has none.
    .filter(({ path }) => path !== "src/host/dawn.ts")
    .filter(({ code }) =>
      /\bnavigator\.gpu|createBuffer\(|createComputePipeline|\.submit\(/
        .test(code)
    )
    .map(({ path }) => path);
  assertEquals(wrong, []);
});

/** Whether a file calls Deno or Node, or imports a package. */
function needsHost({ code }: Source): boolean {
  return /\bDeno\b|\bprocess\.|\bBuffer\./.test(withoutTexts(code)) ||
    specifiers(code).some((specifier) => !specifier.startsWith("."));
}

/** What a message says of Deno calls nothing. */
function withoutTexts(code: string): string {
  return code.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}
