/**
 * Whole models as GGUF: written from a model folder, and converted back.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import { FileSource } from "../src/host/files.ts";
import type { ModelDtype } from "../src/weights/quantisation_policy.ts";
import type { WeaveFile } from "../src/weights/weave.ts";
import { convert } from "../tools/convert.ts";
import { toGguf } from "../tools/convert/to_gguf.ts";
import { inFolder } from "./support/file_systems.ts";
import {
  floatsOf,
  ggufBytes,
  type GgufTensorOf,
  textValue,
} from "./support/gguf.ts";
import { repositoryPath } from "./support/paths.ts";
import { readWeave, weaveValues } from "./support/weave_files.ts";

const mini = repositoryPath("weights/mini");

function openComponent(folder: string, name: string): Promise<WeaveFile> {
  return readWeave(`${folder}/${name}.weave`);
}

/** A tensor's stored bytes. */
async function stored(file: WeaveFile, name: string): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(file.tensors.get(name)!.chunks());
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Everything but where it came from. */
async function assertSame(a: WeaveFile, b: WeaveFile, but: string[] = []) {
  assertEquals(a.config, b.config);
  assertEquals([...a.tensors.keys()], [...b.tensors.keys()]);
  for (const [name, { dtype, shape }] of a.tensors) {
    if (but.includes(name)) continue;
    const other = b.tensors.get(name)!;
    assertEquals([name, dtype, shape], [name, other.dtype, other.shape]);
    assertEquals(await stored(a, name), await stored(b, name), name);
  }
}

/** Writes the mini model as GGUF, and converts that back. */
async function roundTrip(folder: string, input: string, dtype: ModelDtype) {
  const gguf = `${folder}/${dtype}.gguf`;
  const written = await toGguf({ inputs: [input], output: gguf, dtype });
  const output = `${folder}/back-${dtype}`;
  const done = await convert({ inputs: [gguf], output, dtype });
  return { gguf, written, output, done };
}

Deno.test("gguf: the mini model comes back from f16 as it was", () =>
  inFolder(async (folder) => {
    const { written, output, done } = await roundTrip(folder, mini, "f16");
    assertEquals(written.components, ["text_encoder", "unet", "vae"]);
    assertEquals(written.quantised, 0);
    assertEquals(done.map(({ component }) => component).sort(), [
      "text_encoder",
      "unet",
      "vae",
    ]);
    for (const name of written.components) {
      const before = await openComponent(mini, name);
      await assertSame(before, await openComponent(output, name));
    }
  }));

Deno.test("gguf: quantised layers go there and back without being quantised anew", () =>
  inFolder(async (folder) => {
    for (const dtype of ["q8", "q4"] as const) {
      const quantised = `${folder}/${dtype}`;
      await convert({ inputs: [mini], output: quantised, dtype });
      const { gguf, written, output, done } = await roundTrip(
        folder,
        quantised,
        dtype,
      );
      assertEquals(written.quantised, 105);
      const before = await openComponent(quantised, "unet");
      const after = await openComponent(output, "unet");
      let same = 0;
      for (const [name, { shape, dtype: type }] of before.tensors) {
        assertEquals(after.tensors.get(name)!.dtype, type);
        if (type !== dtype || shape.length !== 2) continue;
        assertEquals(await stored(before, name), await stored(after, name));
        same++;
      }
      assertEquals(same, 81);
      const text = await openComponent(quantised, "text_encoder");
      await assertSame(text, await openComponent(output, "text_encoder"));
      // No block of the text encoder's was quantised anew, so nothing was lost.
      const report = done.find(({ component }) => component === "text_encoder");
      assertEquals(report!.quantisedNmse, 0);
      // The file's values are those that the model's quants stand for.
      await using source = await FileSource.open(gguf);
      const { tensors } = await openCheckpoint(source);
      const name =
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
      const tensor = tensors.get(name)!;
      assertEquals(tensor.dtype, dtype === "q8" ? "Q8_0" : "Q4_0");
      const own = "text_model.encoder.layers.0.mlp.fc1.weight";
      assertEquals(
        [...await readFloats(tensor)],
        [...await weaveValues(text, own)],
      );
    }
  }));

Deno.test("gguf: a block with the code -128 is quantised anew, alone", () =>
  inFolder(async (folder) => {
    const gguf = `${folder}/q8.gguf`;
    await toGguf({ inputs: [mini], output: gguf, dtype: "q8" });
    const bytes = await Deno.readFile(gguf);
    const name =
      "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
    await using source = await FileSource.open(gguf);
    const tensor = (await openCheckpoint(source)).tensors.get(name)!;
    const start = find(bytes, await tensor.read(0, 340));
    // The second block: a scale of 1, all codes -128.
    bytes.set([0, 0x3c, ...Array(32).fill(0x80)], start + 34);
    const odd = `${folder}/odd.gguf`;
    await Deno.writeFile(odd, bytes);
    const output = `${folder}/out`;
    await convert({ inputs: [odd], output, dtype: "q8" });
    const text = await openComponent(output, "text_encoder");
    const values = await weaveValues(
      text,
      "text_model.encoder.layers.0.mlp.fc1.weight",
    );
    const given = await readFloats(tensor, 0, 96);
    assertEquals(values.slice(0, 32), given.slice(0, 32));
    assertEquals(values.slice(64, 96), given.slice(64, 96));
    // Codes end at 127 here; the scale, rounded to f16, is off by up to 2⁻¹¹: 0.06.
    for (const value of values.slice(32, 64)) {
      assert(Math.abs(value + 128) < 0.1, `${value}`);
    }
    // A scale that is infinite.
    bytes.set([0, 0x7c], start + 34);
    await Deno.writeFile(odd, bytes);
    await assertRejects(
      () => convert({ inputs: [odd], output, dtype: "q8" }),
      MasterWeaverError,
      "infinite or not a number",
    );
  }));

function find(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at <= bytes.length - part.length; at += 32) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("The bytes are not there");
}

Deno.test("gguf: a folder's file is used where there is nothing better", () =>
  inFolder(async (folder) => {
    const inner = `${folder}/model`;
    await Deno.mkdir(inner);
    await toGguf({ inputs: [mini], output: `${inner}/a.gguf`, dtype: "q8" });
    const output = `${folder}/out`;
    const alone = await convert({ inputs: [inner], output, dtype: "f16" });
    assertEquals(alone.length, 3);
    await Deno.copyFile(`${mini}/vae.weave`, `${inner}/vae.weave`);
    const beside = await convert({ inputs: [inner], output, dtype: "f16" });
    assertEquals(beside.map(({ component }) => component), ["vae"]);
    // A file is not made from itself.
    const error = await assertRejects(
      () =>
        toGguf({
          inputs: [`${inner}/a.gguf`],
          output: `${inner}/a.gguf`,
          dtype: "q4",
        }),
      MasterWeaverError,
      "it is made from itself",
    );
    assertEquals(error.code, "bad-option");
  }));

Deno.test("gguf: what cannot be converted gets one line, and nothing is written", () =>
  inFolder(async (folder) => {
    const unet = floatsOf(
      "model.diffusion_model.input_blocks.0.0.weight",
      [1],
      [1],
    );
    const refuse = async (
      architecture: string,
      tensors: GgufTensorOf[],
      says: string,
    ) => {
      const keys = [["general.architecture", textValue(architecture)]] as const;
      const path = `${folder}/model.gguf`;
      await Deno.writeFile(path, ggufBytes({ keys, tensors }));
      const output = `${folder}/out`;
      for (
        const work of [
          () => convert({ inputs: [path], output, dtype: "f16" }),
          () =>
            toGguf({
              inputs: [path],
              output: `${folder}/out.gguf`,
              dtype: "f16",
            }),
        ]
      ) {
        const error = await assertRejects(work, MasterWeaverError, says);
        assert(!error.message.includes("\n"));
        const left = await Array.fromAsync(Deno.readDir(folder));
        assertEquals(left.map(({ name }) => name), ["model.gguf"]);
      }
    };
    await refuse("llama", [floatsOf("token_embd.weight", [1], [1])], "llama");
    await refuse("flux", [unet], "flux");
    await refuse("sd1", [], "it holds no tensors");
    await refuse("sd1", [unet], "missing");
  }));
