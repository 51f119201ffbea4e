import { assert, assertEquals, assertThrows } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { WeightScope } from "../src/weights/scope.ts";
import { openWeave, type WeaveFile } from "../src/weights/weave.ts";
import { floatTensor, weaveBytes } from "./support/weights.ts";

async function fileWith(
  tensors: Record<string, number[]>,
): Promise<WeaveFile> {
  const bytes = await weaveBytes({
    tensors: Object.entries(tensors).map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return floatTensor(name, shape, Array(count).fill(1));
    }),
  });
  return await openWeave(new MemorySource(bytes, "unet.weave"));
}

Deno.test("scope: a weight is found by path and shape", async () => {
  const file = await fileWith({
    "down_blocks.0.attn2.to_q.weight": [4, 2],
    "conv_in.bias": [4],
  });
  const w = new WeightScope(file);
  const attn2 = w.at("down_blocks.0").at("attn2");
  const ref = attn2.tensor("to_q.weight", [4, 2]);
  assertEquals(ref.name, "down_blocks.0.attn2.to_q.weight");
  assertEquals(ref.shape, [4, 2]);
  assertEquals(ref.tensor, file.tensors.get(ref.name));
  // Asked for again, it is the same weight.
  assert(w.tensor("down_blocks.0.attn2.to_q.weight", [4, 2]) === ref);
  assertEquals([attn2.has("to_q.weight"), attn2.has("to_k.weight")], [
    true,
    false,
  ]);
  w.at("conv_in").tensor("bias", [4]);
  w.finish();
  assert(w.at("conv_in").file === file);
});

Deno.test("scope: missing, misshapen and unused names come together", async () => {
  const file = await fileWith({ "a.weight": [4, 2], "b.weight": [4], c: [1] });
  const w = new WeightScope(file);
  assertEquals(w.at("a").tensor("weight", [2, 4]).shape, [2, 4]);
  const absent = w.tensor("absent", [3]);
  assertEquals([absent.name, absent.shape], ["absent", [3]]);
  w.tensor("c", [1]);
  const error = assertThrows(() => w.finish(), MasterWeaverError);
  assertEquals(error.code, "bad-model");
  assertEquals(
    error.message,
    "Cannot use unet.weave: its tensors do not fit its config: " +
      "1 missing: absent; 1 misshapen: a.weight is (4, 2), expected (2, 4); " +
      "1 unused: b.weight; convert the checkpoint again",
  );
  assertThrows(
    () => absent.tensor.chunks(),
    MasterWeaverError,
    "unet.weave does not have it",
  );
});

Deno.test("scope: one name asked for in two shapes is misshapen", async () => {
  const w = new WeightScope(await fileWith({ a: [4] }));
  w.tensor("a", [4]);
  w.tensor("a", [2, 2]);
  assertThrows(
    () => w.finish(),
    MasterWeaverError,
    "a is (4), expected (2, 2)",
  );
});

Deno.test("scope: long lists are shortened, with a count", async () => {
  const w = new WeightScope(await fileWith({ a: [1] }));
  w.tensor("a", [1]);
  for (let i = 0; i < 20; i++) w.tensor(`layers.${i}`, [1]);
  assertThrows(
    () => w.finish(),
    MasterWeaverError,
    "20 missing: layers.0, layers.1, layers.2, layers.3, layers.4, layers.5, layers.6, layers.7, … (12 more)",
  );
});

Deno.test("scope: names are ignored by whole segments", async () => {
  const w = new WeightScope(
    await fileWith({ "encoder.a": [1], "encoder.b": [1], encoder2: [1] }),
  );
  w.ignore("encoder");
  assertThrows(() => w.finish(), MasterWeaverError, "1 unused: encoder2;");
  w.ignore("encoder2");
  w.finish();
});
