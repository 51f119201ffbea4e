/**
 * The many ways in which a network's folder holds its weights.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFile } from "../src/host/files.ts";
import { openWeave } from "../src/weights/weave.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { convert } from "../tools/convert.ts";
import { makeFolder, type Tensors } from "./support/checkpoint_folder.ts";
import { rawSafetensors } from "./support/weights.ts";

/** A safetensors file of 16-bit values: k / 64, which both types hold. */
function halves(tensors: Tensors, dtype: "F16" | "BF16"): Uint8Array {
  let end = 0;
  const header: Record<string, unknown> = {};
  const values: number[] = [];
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = {
      dtype,
      shape,
      data_offsets: [end, end += 2 * data.length],
    };
    values.push(...data);
  }
  const bits = dtype === "F16"
    ? new Uint16Array(new Float16Array(values).buffer)
    : Uint16Array.from(
      new Uint32Array(new Float32Array(values).buffer),
      (word) => word >>> 16,
    );
  return rawSafetensors(header, new Uint8Array(bits.buffer));
}

async function valuesOf(path: string, name: string): Promise<number[]> {
  const file = await openWeave(new MemorySource(await readFile(path)));
  const chunks = await Array.fromAsync(weaveFloats(file.tensors.get(name)!));
  return chunks.flatMap((chunk) => [...chunk]);
}

Deno.test("folders: file names, precisions and shards", async (t) => {
  const folder = await makeFolder();
  const vae = `${folder.path}/vae`;
  const output = `${folder.path}/out`;
  const tensors = folder.tensors.vae;
  const name = "decoder.conv_out.bias";
  await Deno.remove(`${vae}/model.safetensors`);
  const entries = Object.entries(tensors);
  const [first, second] = [entries.slice(0, 5), entries.slice(5)].map((part) =>
    Object.fromEntries(part)
  );
  const cases: Record<string, Record<string, Uint8Array | object>> = {
    "fp16 safetensors": {
      "diffusion_pytorch_model.fp16.safetensors": halves(tensors, "F16"),
    },
    "bf16 safetensors": {
      "diffusion_pytorch_model.safetensors": halves(tensors, "BF16"),
    },
    "an index of fp16 parts": {
      "diffusion_pytorch_model.safetensors.index.fp16.json": {
        weight_map: {
          ...Object.fromEntries(
            Object.keys(first).map((n) => [n, "1.safetensors"]),
          ),
          ...Object.fromEntries(
            Object.keys(second).map((n) => [n, "2.safetensors"]),
          ),
        },
      },
      "1.safetensors": halves(first, "F16"),
      "2.safetensors": halves(second, "F16"),
    },
    // A file's name does not say what is in it.
    "bin": { "diffusion_pytorch_model.bin": halves(tensors, "F16") },
  };
  for (const [what, files] of Object.entries(cases)) {
    await t.step(what, async () => {
      for (const [file, content] of Object.entries(files)) {
        if (content instanceof Uint8Array) {
          await Deno.writeFile(`${vae}/${file}`, content);
        } else await folder.write(`vae/${file}`, content);
      }
      await convert({ inputs: [vae], output, dtype: "f32" });
      assertEquals(
        await valuesOf(`${output}/vae.weave`, name),
        tensors[name].data,
      );
      for (const file of Object.keys(files)) {
        await Deno.remove(`${vae}/${file}`);
      }
    });
  }

  await t.step(
    "the exact file is preferred to the one of half size",
    async () => {
      const other = { ...tensors, [name]: { shape: [3], data: [9, 9, 9] } };
      const file = `${vae}/diffusion_pytorch_model.fp16.safetensors`;
      await Deno.writeFile(file, halves(other, "F16"));
      await folder.write("vae/diffusion_pytorch_model.bin", tensors);
      await convert({ inputs: [vae], output, dtype: "f32" });
      assertEquals(
        await valuesOf(`${output}/vae.weave`, name),
        tensors[name].data,
      );
      await Deno.remove(file);
      await Deno.remove(`${vae}/diffusion_pytorch_model.bin`);
    },
  );

  await t.step("an index that names what is not there is refused", async () => {
    const index = "vae/model.safetensors.index.json";
    const attempt = () => convert({ inputs: [vae], output, dtype: "f16" });
    const wrong: [unknown, string][] = [
      [{ a: "../unet/model.safetensors" }, "which is not beside it"],
      [{ a: 5 }, "it names the file 5, which is not beside it"],
      [{}, "it names no files"],
      ["", "it names no files"],
    ];
    for (const [map, message] of wrong) {
      await folder.write(index, { weight_map: map });
      await assertRejects(attempt, MasterWeaverError, message);
    }
    await Deno.remove(`${folder.path}/${index}`);
    await assertRejects(attempt, MasterWeaverError, "it has no weights");
  });
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("folders: loose files, and an adapter before its UNet", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await Deno.mkdir(`${folder.path}/loose`);
  for (const name of ["adapter_final.pt", "adapter_config.json"]) {
    await Deno.rename(`${folder.path}/${name}`, `${folder.path}/loose/${name}`);
  }
  await folder.write(
    "loose/adapter_002000.pt",
    folder.tensors.identity_adapter,
  );
  const lines: string[] = [];
  const done = await convert({
    inputs: [`${folder.path}/loose`, `${folder.path}/unet`],
    output,
    dtype: "f16",
    report: (line) => lines.push(line),
  });
  assertEquals(
    done.map(({ component }) => component).sort(),
    ["identity_adapter", "unet"],
  );
  assertEquals(lines[0].split(",")[0], "adapter_002000.pt: left out");
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("folders: files beside the networks that are not components are ignored", async () => {
  const folder = await makeFolder();
  await Deno.writeFile(`${folder.path}/notes.pt`, new Uint8Array(0));
  await folder.write("optimizer.pt", {
    "state.0.exp_avg": { shape: [1], data: [0] },
  });
  await folder.write("scheduler.pt", {});
  const lines: string[] = [];
  const attempt = () =>
    convert({
      inputs: [folder.path],
      output: `${folder.path}/out`,
      dtype: "f16",
      report: (line) => lines.push(line),
    });
  assertEquals((await attempt()).length, 6);
  for (
    const line of [
      "notes.pt: left out, it is not a component of the model: it is empty",
      "optimizer.pt: left out, it is not a component of the model: ",
      "scheduler.pt: left out, it is not a component of the model: it holds no tensors",
    ]
  ) assert(lines.some((found) => found.startsWith(line)), line);
  // A damaged file, and one named like a component, are refused.
  await Deno.writeTextFile(`${folder.path}/notes.pt`, "some text");
  await assertRejects(attempt, MasterWeaverError, "notes.pt");
  await Deno.remove(`${folder.path}/notes.pt`);
  for (const name of ["adapter_final.pt", "face_parser.pth"]) {
    const bytes = await Deno.readFile(`${folder.path}/${name}`);
    await Deno.writeFile(`${folder.path}/${name}`, new Uint8Array(0));
    await assertRejects(attempt, MasterWeaverError, name);
    await Deno.writeFile(`${folder.path}/${name}`, bytes);
  }
  await attempt();
  await Deno.remove(folder.path, { recursive: true });
});
