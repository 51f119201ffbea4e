/**
 * Every op in f32; `ops_f16_test.ts` has them in f16: side by side, shaders take
 * half as long to compile.
 */
import { assert } from "@std/assert";
import { opCases } from "./ops/all_cases.ts";
import { allOps } from "./ops/all_ops.ts";
import { testOps } from "./support/op_tests.ts";

testOps("f32");

Deno.test("op cases: every op of src/ops has some", async () => {
  const tested = new Set<unknown>(opCases.map(({ op }) => op));
  for (const [symbol, op] of await allOps()) {
    // Packing is no op of a network's: every texture-backed case runs it.
    assert(tested.has(op) || symbol === "packTexels", `${symbol} has no case`);
  }
});
