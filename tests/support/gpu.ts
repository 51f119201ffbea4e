/**
 * One GPU for all tests of a process, and tests that need it.
 *
 * @module
 */
import { Gpu } from "../../src/gpu/gpu.ts";

// Where Deno also looks for OpenGL adapters, Mesa's threads and the loader's
// clean-up free the same memory twice in about 3 % of the exits of `deno test`,
// after the report's last line ("double free or corruption"); with Vulkan alone
// in none of 450. It must be set before the first adapter is requested.
if (Deno.build.os === "linux" && !Deno.env.has("DENO_WEBGPU_BACKEND")) {
  Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
}

/** Whether there is an adapter. */
export const hasGpu: boolean = await navigator.gpu?.requestAdapter() != null;
const inCi = Boolean(Deno.env.get("CI"));
let gpu: Promise<Gpu> | null = null;

if (!hasGpu) {
  console.warn(
    "No WebGPU adapter: GPU tests are skipped. `sh tools/setup.sh` installs a software driver.",
  );
}

/** The GPU all tests of a file share; it is freed after the last of them. */
export function sharedGpu(): Promise<Gpu> {
  return gpu ??= Gpu.open();
}

Deno.test.afterAll(async () => {
  (await gpu)?.[Symbol.dispose]();
});

/**
 * Registers a test that needs a GPU. Without one it is reported as skipped, by
 * its name; in CI it fails instead.
 *
 * @param lacking whether something else it needs is missing
 */
export function gpuTest(
  name: string,
  fn: () => Promise<void>,
  lacking = false,
): void {
  Deno.test({
    name,
    ignore: (!hasGpu || lacking) && !inCi,
    // The shared device outlives a test; plans are freed by the tests.
    sanitizeResources: false,
    sanitizeOps: false,
    fn,
  });
}
