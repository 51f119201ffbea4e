/**
 * The npm package as its users have it: packed, installed from the tarball, and
 * used in Node, Bun, TypeScript and a bundle for pages.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { version } from "../src/base/version.ts";
import { MasterWeaver, readImage } from "../mod.ts";
import { readPngSettings } from "../src/host/files.ts";
import { findChromium, launchChromium } from "./support/browser.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { deno, finished } from "./support/command.ts";
import { hasGpu } from "./support/gpu.ts";
import { type NpmPrograms, npmTest } from "./support/npm_environment.ts";
import { makeProject, must, request } from "./support/npm_project.ts";
import { repositoryPath } from "./support/paths.ts";
import { type Ran, runProgram } from "./support/program.ts";

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
let project: Promise<number> | undefined;

/** Registers a test in the project, which the first one makes. */
function projectTest(
  name: string,
  fn: (programs: NpmPrograms, bytes: number) => Promise<void>,
  lacks = false,
): void {
  const withProject = async (programs: NpmPrograms) => {
    project ??= makeProject(folder);
    await fn(programs, await project);
  };
  npmTest(`npm: ${name}`, withProject, lacks);
}

const installed = `${folder}/node_modules/masterweaver-webgpu`;
const demo = `${installed}/weights/mini/demo.png`;
const bin = `${folder}/node_modules/.bin/masterweaver-webgpu`;
/** What makes the command take the same shaders as the script. */
const asScript = ["--dtype", "f32", "--tune", "off"];

/** Runs Node or Bun. */
function run(program: string, ...args: string[]): Promise<Ran> {
  return runProgram(program, args, 60_000, folder);
}

/** What Deno makes of the script's request. */
let expected: Promise<Uint8ClampedArray> | undefined;

async function byDeno(): Promise<Uint8ClampedArray> {
  const model = repositoryPath("weights/mini");
  const options = { dtype: "f32", tune: "off" } as const;
  await using weaver = await MasterWeaver.load(model, options);
  const photo = await readImage(`${model}/demo.png`);
  const identity = await weaver.encodeIdentity([photo]);
  const { images } = await weaver.generate({ identity, ...request });
  return images[0].data;
}

projectTest(
  "the package is small and whole, and the core reaches no host",
  async (
    _,
    bytes,
  ) => {
    // Of which weights/mini is 19.3 MB.
    assert(bytes < 21_000_000, `${bytes} bytes`);
    const open = [`${installed}/src/core.js`];
    const seen = new Set<string>();
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const code = await Deno.readTextFile(path);
      for (
        const [, name] of code.matchAll(
          /^(?:import|export)\b.* from "(.*)";$/gm,
        )
      ) {
        assert(name.startsWith("."), `${path} imports ${name}`);
        open.push(new URL(name, `file://${path}`).pathname);
      }
      assert(!/\bDeno\.|\bprocess\./.test(code), path);
    }
    assert(seen.size > 100, `${seen.size} files`);
    for (const text of ["README.md", "weights/mini/README.md"]) {
      const markdown = await Deno.readTextFile(`${installed}/${text}`);
      for (const [, link] of markdown.matchAll(/\]\((?!https:)([^)#]+)/g)) {
        await Deno.stat(new URL(link, `file://${installed}/${text}`));
      }
    }
  },
);

for (const name of ["node", "bun"] as const) {
  projectTest(
    `an image in ${name} is Deno's in every pixel`,
    async (programs) => {
      await must(programs[name], ["make.js", `${name}.png`], folder);
      const { data } = await readImage(`${folder}/${name}.png`);
      expected ??= byDeno();
      const differing = (await expected).reduce(
        (sum, value, i) => sum + Number(value !== data[i]),
        0,
      );
      assertEquals(differing, 0, "channels differ");
    },
    !hasGpu,
  );
}

projectTest(
  "the command says what it is and what was wrong",
  async ({ node }) => {
    const help = await run(node, bin, "--help");
    assertEquals([help.code, help.err], [0, ""]);
    assertMatch(help.out, /^ {2}masterweaver-webgpu --ref a\.png/m);
    assert(!/mod\.ts|tools\//.test(help.out), help.out);
    const old = "data:text/javascript,delete globalThis.AsyncDisposableStack";
    const tooOld = await run(node, "--import", old, bin);
    assertEquals([tooOld.code, tooOld.out], [1, ""]);
    assertMatch(
      tooOld.err,
      /^Node 24 or later is needed, this is [\d.]+; .*`\n$/,
    );
    const own = await run(node, bin, "--version");
    assertEquals([own.code, own.out], [0, `masterweaver ${version}\n`]);
    const studio = await run(node, bin, "serve");
    assertEquals([studio.code, studio.out], [2, ""]);
    assertMatch(
      studio.err,
      /^The studio is not in this package: .*; see --help\n$/,
    );
    const usage = await run(node, bin, "--ref", demo, "--steps", "0");
    assertEquals([usage.code, usage.out], [2, ""]);
    assertMatch(usage.err, /^Option --steps .*, got 0; see --help\n$/);
    const missing = await run(
      node,
      bin,
      ...["--ref", demo, "--model", "nowhere"],
    );
    assertEquals([missing.code, missing.out], [1, ""]);
    assertEquals(
      missing.err,
      "Cannot read nowhere: no such file or folder; give the folder of a model that tools/convert.ts of the MasterWeaver repository has written\n",
    );
  },
);

projectTest("without npm's webgpu the command names it", async ({ node }) => {
  const dawn = `${folder}/node_modules/webgpu`;
  await Deno.rename(dawn, `${folder}/aside`);
  try {
    const args = ["--ref", demo, "--prompt", "a man"];
    const { code, err } = await run(node, bin, ...args);
    assertEquals(code, 1);
    assertEquals(
      err,
      "Found no WebGPU: this runtime has none of its own; install it with `npm i webgpu`\n",
    );
  } finally {
    await Deno.rename(`${folder}/aside`, dawn);
  }
});

for (const name of ["node", "bun"] as const) {
  projectTest(`the command makes an image in ${name}`, async (programs) => {
    const output = `command-${name}.png`;
    const { code, out, err } = await run(
      programs[name],
      bin,
      ...["--ref", demo, "--prompt", request.prompt, "--steps", "1"],
      ...[...asScript, "--output", output],
    );
    assertEquals([code, out], [0, `${output}\n`], err);
    assertMatch(err, /^Decoding: 1\/1$/m);
    const { prompt, model } = await readPngSettings(`${folder}/${output}`);
    assertEquals([prompt, model], [request.prompt, "weights/mini"]);
  }, !hasGpu);
}

projectTest("Ctrl-C stops the command", async ({ node }) => {
  const what = ["--ref", demo, "--prompt", "a man", "--output", "stopped.png"];
  const child = new Deno.Command(node, {
    args: [bin, ...what, ...asScript],
    cwd: folder,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let err = "", stopped = 0;
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    err += text;
    if (stopped === 0 && /^Denoising: /m.test(err)) {
      stopped = performance.now();
      child.kill("SIGINT");
    }
  }
  const { code } = await child.status;
  assertEquals(code, 1, err);
  assertMatch(err, /\nStopped before it was done\n$/);
  // About half a second, but other tests run at the same time.
  const seconds = (performance.now() - stopped) / 1000;
  assert(seconds < 5, `${seconds} s`);
  const names = await namesIn(folder);
  assertEquals(names.filter((name) => /stopped|partial/.test(name)), []);
}, !hasGpu || Deno.build.os === "windows");

projectTest(
  "TypeScript finds the declarations right",
  async ({ node, tsc }) => {
    await must(node, [tsc, "-p", "."], folder);
  },
);

Deno.test("npm: the build replaces nothing but a package", () =>
  inFolder(async (other) => {
    await Deno.writeTextFile(`${other}/a.txt`, "kept");
    const build = repositoryPath("tools/npm/build.ts");
    const { code, err } = await finished(deno(["run", "-A", build, other]));
    assertEquals(code, 2);
    assertMatch(err.join(), /holds something else than the package/);
    assertEquals(await namesIn(other), ["a.txt"]);
  }));

const chromium = findChromium();

projectTest("Vite's bundle for pages runs in a browser", async (
  { node, vite },
) => {
  await must(node, [vite, "build", "--logLevel", "error"], folder);
  const page = await bundledPage(`${folder}/dist`);
  await using browser = await launchChromium(chromium!);
  const tab = await browser.newPage();
  await tab.setContent(page);
  await tab.waitForFunction("document.title !== 'starting'");
  // There is no GPU that it may use, or there are no files: either is its own error.
  assertMatch(
    await tab.title(),
    new RegExp(`^${version} MasterWeaverError (no-adapter|bad-model)$`),
  );
}, chromium === undefined);

/** The page that Vite made, with its one script inside. */
async function bundledPage(dist: string): Promise<string> {
  const scripts = await Array.fromAsync(Deno.readDir(`${dist}/assets`));
  assertEquals(scripts.length, 1);
  const code = await Deno.readTextFile(`${dist}/assets/${scripts[0].name}`);
  assert(code.length < 600_000, `${code.length} characters`);
  assert(!/["'`]node:/.test(code), "it imports Node's modules");
  return `<title>starting</title><script type="module">${
    code.replaceAll("</script", "<\\/script")
  }</script>`;
}
