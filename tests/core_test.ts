/**
 * The core as a page gets it: one bundled file without a host, which makes an
 * image without permissions and without Deno.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage } from "../src/host/files.ts";
import { networkComponents } from "../src/weights/components.ts";
import { deno, finished } from "./support/command.ts";
import { sameBytes } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const settings = { prompt: "a page", steps: 2, width: 64, height: 64, seed: 9 };

/** Bundles the core into a folder. */
async function bundle(folder: string): Promise<string> {
  const path = `${folder}/core.js`;
  const args = ["bundle", "--platform=browser", "--no-lock", "-o", path];
  const { code, err } = await finished(
    deno([...args, repositoryPath("src/core.ts")]),
  );
  assertEquals(code, 0, err.join("\n"));
  return path;
}

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("core: its bundle has no host, no Deno, no Node and no package in it", () =>
  inFolder(async (folder) => {
    const code = await Deno.readTextFile(await bundle(folder));
    // Every module begins with its path.
    const modules = [...code.matchAll(/^\/\/ (\S+\.(?:ts|js|wgsl|json))$/gm)]
      .map(([, path]) => path);
    assert(modules.includes("src/pipeline.ts"), modules.join(" "));
    assertEquals(
      modules.filter((path) => !/^(src|shaders)\//.test(path)),
      [],
    );
    assertEquals(
      modules.filter((path) => /^src\/(host|studio)\//.test(path)),
      [],
    );
    assertEquals(
      code.match(/\bDeno\.|\bnode:|\bnpm:|\brequire\(|^import |\bimport\(/gm),
      null,
    );
    // Not every browser has explicit resource management.
    assertEquals(
      code.match(/^(?!\s*\*).*(\busing \w+ =|DisposableStack)/gm),
      null,
    );
    // Shaders travel with it, as text: all that its networks need.
    const shaders = modules.filter((path) => path.endsWith(".wgsl"));
    assert(shaders.length > 30, shaders.join(" "));
    assert(shaders.includes("shaders/prelude.wgsl"), shaders.join(" "));
    assertMatch(code, /@compute @workgroup_size/);
  }));

/**
 * What a page does. Standard input stands for its fetches: a line of JSON with
 * names and lengths, then the bytes. The image's pixels go to standard output.
 */
const page = `
const { stdin: { readable }, stdout: { writable } } = Deno;
for (const name of ["Deno", "process", "Buffer", "global"]) {
  delete globalThis[name];
}
const { MasterWeaver, MasterWeaverError, MemorySource } = await import(
  "./core.js"
);
const bytes = await new Response(readable).bytes();
let at = bytes.indexOf(10) + 1;
const { components, settings, photo, dtype } = JSON.parse(
  new TextDecoder().decode(bytes.subarray(0, at)),
);
const files = {};
for (const { name, length } of components) {
  files[name] = new MemorySource(bytes.slice(at, at += length), name);
}
const refused = await MasterWeaver.load("weights/mini").catch((error) => error);
if (!(refused instanceof MasterWeaverError)) throw refused;
await using weaver = await MasterWeaver.load(files, { dtype, tune: "off" });
const identity = await weaver.encodeIdentity(
  [{ ...photo, data: new Uint8ClampedArray(bytes.slice(at)) }],
  { align: false },
);
const { images } = await weaver.generate({ ...settings, identity });
const writer = writable.getWriter();
await writer.write(new Uint8Array(images[0].data.buffer));
await writer.close();
`;

gpuTest(
  "core: a bundle without permissions makes the same image from bytes",
  () =>
    inFolder(async (folder) => {
      await bundle(folder);
      await Deno.writeTextFile(`${folder}/page.js`, page);
      const mini = repositoryPath("weights/mini");
      const { data, ...size } = await readImage(`${mini}/demo.png`);
      const weaver = await miniWeaver("f32");
      const components = await Promise.all(
        networkComponents.map(async (name) => {
          const bytes = await Deno.readFile(`${mini}/${name}.weave`);
          return { name, length: bytes.length, bytes };
        }),
      );
      const head = JSON.stringify({
        components: components.map(({ name, length }) => ({ name, length })),
        settings,
        photo: size,
        dtype: "f32",
      });
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-config", "--unstable-webgpu"]
          .concat(`${folder}/page.js`),
        env: { NO_COLOR: "1" },
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const input = new Blob([
        `${head}\n`,
        ...components.map(({ bytes }) => bytes),
        new Uint8Array(data),
      ]);
      const sent = input.stream().pipeTo(child.stdin).catch(() => {});
      const { code, stdout, stderr } = await child.output();
      await sent;
      assertEquals(code, 0, new TextDecoder().decode(stderr));

      const identity = await weaver.encodeIdentity([{ ...size, data }], {
        align: false,
      });
      const { images } = await weaver.generate({ ...settings, identity });
      assert(sameBytes(stdout, images[0].data));
    }),
);
