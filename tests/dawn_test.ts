/**
 * The core on Dawn, which is Chrome's WebGPU, from the npm package `webgpu`:
 * Tint compiles every pipeline of the mini model and of Stable Diffusion 1.5 and
 * has nothing to say of any, ops are exact, an image has Deno's pixels.
 *
 * Dawn runs in processes of its own, with a lock of its own (`dawn/deno.lock`).
 * Where the package cannot be fetched, or finds no adapter, these tests are
 * skipped by name; `sh tools/setup.sh --with-tests` fetches it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Report } from "./dawn/pipelines.ts";
import { makePixels } from "./dawn/image.ts";
import { sameBytes } from "./support/compare.ts";
import { deno, type Finished, finished } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const folder = repositoryPath("tests/dawn");
const common = [
  "--allow-all",
  "--quiet",
  "--no-prompt",
  "--no-check",
  `--config=${repositoryPath("deno.json")}`,
  `--lock=${folder}/deno.lock`,
  "--frozen",
];
const preload = `--preload=${folder}/install.ts`;

/** Starts a program after Dawn has taken the place of Deno's WebGPU. */
const onDawn = (subcommand: "run" | "test", file: string, ...args: string[]) =>
  deno([subcommand, ...common, preload, `${folder}/${file}`, ...args]);

/** The line of JSON that such a program printed; Dawn prints warnings after it. */
function answer<T>({ code, out, err }: Finished): T {
  assertEquals(code, 0, err.join("\n"));
  return JSON.parse(out.split("\n").find((line) => /^[[{]/.test(line))!);
}

const first = await finished(onDawn("run", "warning.ts"));
if (first.code) console.warn(`Dawn does not run: ${first.err.at(-1)}`);

const dawnTest = (name: string, fn: () => Promise<void>) =>
  gpuTest(`dawn: ${name}`, fn, first.code !== 0);

dawnTest("what Tint says of a shader is seen", () => {
  const [warning, error, ...more] = answer<string[]>(first);
  assertMatch(warning, /^first warning: code is unreachable/);
  assertMatch(error, /^second error: /);
  assertEquals(more, []);
  return Promise.resolve();
});

dawnTest("Tint compiles every pipeline and has nothing to say", async () => {
  const { pipelines, shaders, messages } = answer<Report>(
    await finished(onDawn("run", "pipelines.ts")),
  );
  assertEquals(messages, []);
  assertEquals(Object.keys(pipelines), ["mini", "SD1.5", "all ops"]);
  for (const count of Object.values(pipelines)) {
    assert(count > 90, `${count} pipelines`);
  }
  assert(shaders > 100, `${shaders} shaders`);
});

dawnTest("ops are as exact as on Deno's WebGPU", async () => {
  const { code, out, err } = await finished(onDawn("test", "ops.ts"));
  assertEquals(code, 0, out + err.join("\n"));
  const passed = Number(/(\d+) passed/.exec(out)?.[1]);
  assert(passed > 150, `${passed} passed`);
});

for (const dtype of ["f32", "f16"] as const) {
  dawnTest(`an image in ${dtype} has Deno's pixels`, async () => {
    const child = onDawn("run", "image.ts", dtype);
    const { code, stdout, stderr } = await child.output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const pixels = await makePixels(dtype);
    assertEquals(stdout.length, pixels.length);
    assert(sameBytes(stdout, pixels), "pixels differ");
  });
}
