/**
 * Values written as Python pickles are read back as they were, and name no code
 * but that of tensors.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { inModuleOrder } from "../src/checkpoints/module_order.ts";
import { unpickle } from "../src/checkpoints/pickle.ts";
import {
  type PickleDict,
  PickleList,
} from "../src/checkpoints/pickle_values.ts";
import { pickle } from "../src/checkpoints/pickle_writer.ts";
import {
  pythonDict,
  PythonFloat,
  PythonOrderedDict,
  PythonTensor,
  PythonTuple,
  type PythonValue,
} from "../src/checkpoints/python_values.ts";
import { openTorchContent } from "../src/checkpoints/torch_file.ts";
import { writeTorchValue } from "../src/checkpoints/torch_writer.ts";

function back(value: PythonValue) {
  return unpickle(pickle(value).bytes, "test").value;
}

Deno.test("pickle writer: plain values come back", () => {
  const plain = [null, true, false, 0, 255, 256, -1, 2 ** 31 - 1, "ü\n", ""];
  for (const value of plain) assertEquals(back(value), value);
  for (const value of [0.1, -2e-300, 3]) {
    assertEquals(back(new PythonFloat(value)), value);
  }
  assertEquals(
    back([1, [new PythonTuple([2, "a"])], []]),
    listOf(1, [[2, "a"]], []),
  );
  const dict = back(
    new Map<number | string, PythonValue>([[0, 1], ["a", null]]),
  );
  assertEquals(
    (dict as PickleDict).entries,
    new Map<unknown, unknown>([[0, 1], ["a", null]]) as never,
  );
});

/** Lists as the reader makes them. */
function listOf(...items: unknown[]): PickleList {
  return new PickleList(
    items.map((item) => Array.isArray(item) ? listOf(...item) : item) as never,
  );
}

Deno.test("pickle writer: a float is told from a whole number", () => {
  const opcode = (value: PythonValue) => pickle(value).bytes[2];
  assertEquals(opcode(3), 0x4b); // BININT1
  assertEquals(opcode(new PythonFloat(3)), 0x47); // BINFLOAT
  for (const value of [0.5, 2 ** 31, NaN]) {
    assertThrows(
      () => pickle(value),
      MasterWeaverError,
      `Cannot pickle ${value}: expected a whole number of 32 bits`,
    );
  }
});

Deno.test("torch writer: tensors and values of any nesting come back", async () => {
  const chunks: Uint8Array[] = [];
  const value = pythonDict({
    state: new Map([
      [0, pythonDict({ step: PythonTensor.of([], Float32Array.of(7)) })],
      [
        1,
        new PythonOrderedDict([
          ["a", PythonTensor.of([2, 1], Float32Array.of(1, 2))],
        ]),
      ],
    ]),
    lr: new PythonFloat(1e-4),
  });
  await writeTorchValue(
    (bytes) => Promise.resolve(void chunks.push(bytes)),
    value,
  );
  const bytes = new Uint8Array(
    await new Blob(chunks as BlobPart[]).arrayBuffer(),
  );
  const content = await openTorchContent(new MemorySource(bytes, "test.bin"));
  const { tensors } = content.checkpoint;
  assertEquals([...tensors.keys()], ["state.0.step", "state.1.a"]);
  assertEquals(tensors.get("state.0.step")!.shape, []);
  assertEquals([...await readFloats(tensors.get("state.0.step")!)], [7]);
  assertEquals(tensors.get("state.1.a")!.shape, [2, 1]);
  assertEquals((content.value as PickleDict).entries.get("lr"), 1e-4);
});

Deno.test("module order: as the reference registers its parameters", () => {
  const names = [
    "id_encoder.latents",
    "id_encoder.proj_in.weight",
    "id_encoder.proj_in.bias",
    "id_encoder.proj_out.weight",
    "id_encoder.norm_out.bias",
    "id_encoder.layers.0.0.norm1.weight",
    "id_encoder.layers.0.0.to_kv.weight",
    "id_encoder.layers.0.1.0.weight",
    "id_encoder.layers.0.1.3.weight",
    "id_encoder.layers.1.0.norm1.weight",
    "id_encoder.final_attn.norm2.weight",
    "adapter_modules.1.to_k_img.weight",
    "adapter_modules.1.to_v_img.weight",
    "adapter_modules.3.to_k_img.weight",
    "adapter_modules.11.to_k_img.weight",
    "unknown",
  ].map((name) => ({ name }));
  assertEquals(inModuleOrder(names.toReversed()), names);
});
