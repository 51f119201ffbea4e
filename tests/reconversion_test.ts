/**
 * Converted models stored as another type: the mini model made smaller.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { convert } from "../tools/convert.ts";
import { repositoryPath } from "./support/paths.ts";
import { readWeave, weaveValues } from "./support/weave_files.ts";

const mini = repositoryPath("weights/mini");

async function restore(input: string, dtype: "f32" | "f16" | "q8" | "q4") {
  const output = await Deno.makeTempDir();
  const done = await convert({ inputs: [input], output, dtype });
  return { done, output };
}

Deno.test("reconversion: a model folder in q8 and q4", async () => {
  const linear = "text_model.encoder.layers.0.mlp.fc1.weight"; // (512, 128)
  const token = "text_model.embeddings.token_embedding.weight";
  const before = await readWeave(`${mini}/text_encoder.weave`);
  const original = await weaveValues(before, linear);
  // As for normally distributed weights: see quantise_test.
  for (const [dtype, nmse] of [["q8", 2.9e-5], ["q4", 6.6e-3]] as const) {
    const { done, output } = await restore(mini, dtype);
    const files = (await Array.fromAsync(Deno.readDir(mini)))
      .filter(({ name }) => name.endsWith(".weave"));
    assertEquals(done.length, files.length);
    const part = done.find(({ component }) => component === "text_encoder")!;
    assertEquals(part.quantised, 24); // six linear layers in each of four
    assertAlmostEquals(part.quantisedNmse, nmse, nmse / 5);

    const text = await readWeave(`${output}/text_encoder.weave`);
    assertEquals(text.tensors.get(linear)!.dtype, dtype);
    assertEquals(text.tensors.get(token)!.dtype, "f16");
    assertEquals(text.config, before.config);
    assertEquals(text.provenance.stored_before_as, ["f16"]);
    const stored = await weaveValues(text, linear);
    let error = 0;
    let square = 0;
    for (const [i, value] of original.entries()) {
      error += (stored[i] - value) ** 2;
      square += value ** 2;
    }
    assertAlmostEquals(error / square, nmse, nmse / 5);

    // Back to f32, the values are those that the quants stand for.
    const back = await restore(`${output}/text_encoder.weave`, "f32");
    const wide = await readWeave(`${back.output}/text_encoder.weave`);
    assertEquals(wide.tensors.get(linear)!.dtype, "f32");
    assertEquals(await weaveValues(wide, linear), stored);

    const parser = await readWeave(`${output}/face_parser.weave`);
    assertEquals(parser.tensors.get("ffm.conv1.weight")!.dtype, "f16");
    assertEquals(parser.tensors.get("cp.resnet.conv1.weight")!.dtype, "f32");
    const vae = await readWeave(`${output}/vae.weave`);
    const types = [...vae.tensors.values()].map(({ dtype }) => dtype);
    assertEquals([...new Set(types)].sort(), ["f16", "q8"]);
    const detector = await readWeave(`${output}/face_detector.weave`);
    const detectorBefore = await readWeave(`${mini}/face_detector.weave`);
    assertEquals(
      [...detector.tensors.values()].map(({ dtype, bytes }) => [dtype, bytes]),
      [...detectorBefore.tensors.values()].map((
        { dtype, bytes },
      ) => [dtype, bytes]),
    );
    for (const folder of [output, back.output]) {
      await Deno.remove(folder, { recursive: true });
    }
  }
});

Deno.test("reconversion: the same type gives the same data", async () => {
  const { output } = await restore(`${mini}/face_parser.weave`, "f16");
  const [before, after] = [
    await readWeave(`${mini}/face_parser.weave`),
    await readWeave(`${output}/face_parser.weave`),
  ];
  assertEquals([...after.tensors.keys()], [...before.tensors.keys()]);
  for (const [name, tensor] of before.tensors) {
    const found = after.tensors.get(name)!;
    assertEquals([found.dtype, found.shape], [tensor.dtype, tensor.shape]);
    assertEquals(
      await weaveValues(after, name),
      await weaveValues(before, name),
      name,
    );
  }
  assert(after.hash !== before.hash, "the provenance tells of the conversion");
  await Deno.remove(output, { recursive: true });
});
