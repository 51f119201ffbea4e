/**
 * Which Dawn the tests use.
 *
 * @module
 */

/**
 * The package, exactly. It is imported by this string at run time, in processes
 * of their own, so that nothing but these tests fetches it; the `deno.lock`
 * beside this file holds its checksums. To change the version, change it here
 * and run `pipelines.ts` once with `--frozen=false` and that lock.
 */
export const DAWN = "npm:webgpu@0.6.2";
