/**
 * Every op keeps its tolerance where WGSL's built-in functions, divisions and
 * conversions are as inexact as the specification allows: one case of each
 * kernel and activation in f32, and in f16 of ops that end in many ways.
 * `support/worst_math.ts` says how; the table of what is allowed, and why it is
 * enough, is in `shaders/README.md`.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { shaderSource } from "../src/gpu/pipelines.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { pipelinesOf, testOps } from "./support/op_tests.ts";
import { representatives } from "./support/representatives.ts";
import { RewritableShader, WorstMath } from "./support/worst_math.ts";

/** Ops that only move values or add products: nothing in them is inexact. */
const EXACT =
  /^(argmax|concat|embedding.*|map_tokens|pad|view.*|weight_gradient|position_gradient|copy|sum|non_finite|matmul)$/;
/** In f16, conversions count: these have one, several, and sums before them. */
const IN_F16 =
  /^(map|geglu|layer_norm|softmax|time_embedding|group_norm_gradient)$/;

let worst: WorstMath | null = null;

for (const storage of ["f32", "f16"] as const) {
  const isFirst = representatives();
  testOps(storage, {
    title: "worst math:",
    only: (opCase, kernel) =>
      !EXACT.test(opCase.op.name) &&
      (storage === "f32" || IN_F16.test(opCase.op.name)) &&
      isFirst(opCase, kernel),
    before: async (opCase, kernel) => {
      const gpu = await sharedGpu();
      worst ??= new WorstMath(gpu.device);
      for (const key of pipelinesOf(storage, opCase, kernel, gpu.limits)) {
        await worst.prepare(shaderSource(key));
      }
    },
  });
}

gpuTest("worst math: shaders were rewritten", () => {
  const { rewritten = 0 } = worst ?? {};
  assert(rewritten > 800, `${rewritten} places`);
  return Promise.resolve();
});

Deno.test("worst math: calls and divisions are found, comments left out", () => {
  const rewritten = (code: string) => {
    const shader = new RewritableShader(code);
    return shader.with(new Set(shader.sites));
  };
  assertEquals(rewritten("a + b // exp(x)\n"), "a + b \n");
  assertEquals(new RewritableShader("a / f(b)[2].x * c").sites.length, 1);
  assertEquals(
    rewritten("a / f(b)[2].x * c").startsWith("a * ((1.0 / (f(b)[2].x))"),
    true,
  );
  assertThrows(() => new RewritableShader("tanh(x)"), Error, "tanh");
});
