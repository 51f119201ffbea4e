/**
 * Ops on Dawn, and what Tint says of their shaders. `dawn_test.ts` runs this as
 * tests of a process of its own, loaded after `install.ts`.
 *
 * `MASTERWEAVER_DAWN=all` runs every case in both storage types; without it,
 * one of each kernel and activation, most of them in f32.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { testOps } from "../support/op_tests.ts";
import { representatives } from "../support/representatives.ts";
import { allMessages } from "./install.ts";

const all = Deno.env.get("MASTERWEAVER_DAWN") === "all";
/** Where f16 differs by more than the type of loads and stores. */
const IN_F16 = /^(linear|conv2d|map|layer_norm|group_norm|time_embedding)$/;

for (const storage of ["f32", "f16"] as const) {
  const isFirst = representatives();
  testOps(storage, {
    title: "dawn:",
    only: (opCase, kernel) =>
      all || (storage === "f32" || IN_F16.test(opCase.op.name)) &&
        isFirst(opCase, kernel),
  });
}

Deno.test("dawn: Tint has nothing to say of them", async () => {
  assertEquals(await allMessages(), []);
});
