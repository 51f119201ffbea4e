import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFile } from "../src/host/files.ts";
import { openWeave, type WeaveFile } from "../src/weights/weave.ts";
import { convert } from "../tools/convert.ts";
import {
  ADAPTER,
  makeFolder,
  PARSER,
  PREPROCESSOR,
  SCHEDULER,
  UNET,
} from "./support/checkpoint_folder.ts";
import { join } from "./support/weights.ts";

async function open(path: string): Promise<WeaveFile> {
  return await openWeave(new MemorySource(await readFile(path), path));
}

async function valuesOf(file: WeaveFile, name: string): Promise<number[]> {
  const tensor = file.tensors.get(name);
  assert(tensor, `${file.name} has no ${name}`);
  const { buffer } = join(await Array.fromAsync(tensor.chunks()));
  return tensor.dtype === "f16"
    ? [...new Float16Array(buffer)]
    : [...new Float32Array(buffer)];
}

Deno.test("convert: a folder becomes a model", async (t) => {
  const folder = await makeFolder();
  const output = `${folder.path}/out/model`;
  const lines: string[] = [];
  const done = await convert({
    inputs: [folder.path],
    output,
    dtype: "f16",
    report: (line) => lines.push(line),
  });
  const names = [
    "unet",
    "vae",
    "text_encoder",
    "image_encoder",
    "identity_adapter",
    "face_parser",
  ];
  assertEquals(done.map(({ component }) => component), names);
  const files = Object.fromEntries(
    await Promise.all(
      names.map(async (n) => [n, await open(`${output}/${n}.weave`)] as const),
    ),
  );

  await t.step("linear weights keep their order", async () => {
    const name =
      "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    assertEquals(
      await valuesOf(files.unet, name),
      folder.tensors.unet[name].data,
    );
    assertEquals(files.unet.tensors.get(name)!.shape, [8, 8]);
  });

  await t.step("convolutions become (O, kh, kw, I)", async () => {
    const name = "down_blocks.1.resnets.0.conv1.weight"; // (8, 4, 3, 3)
    const { data } = folder.tensors.unet[name];
    const stored = await valuesOf(files.unet, name);
    assertEquals(files.unet.tensors.get(name)!.shape, [8, 3, 3, 4]);
    for (let o = 0; o < 8; o++) {
      for (let i = 0; i < 4; i++) {
        for (let pixel = 0; pixel < 9; pixel++) {
          assertEquals(
            stored[(o * 9 + pixel) * 4 + i],
            data[(o * 4 + i) * 9 + pixel],
          );
        }
      }
    }
  });

  await t.step("three input channels get a fourth of zeros", async () => {
    const name = "encoder.conv_in.weight"; // (4, 3, 3, 3)
    const { data } = folder.tensors.vae[name];
    const stored = await valuesOf(files.vae, name);
    assertEquals(files.vae.tensors.get(name)!.shape, [4, 3, 3, 4]);
    for (const [at, value] of stored.entries()) {
      const [o, pixel, i] = [Math.floor(at / 36), (at >> 2) % 9, at % 4];
      assertEquals(value, i === 3 ? 0 : data[(o * 3 + i) * 9 + pixel]);
    }
  });

  await t.step("the VAE's old attention names become new ones", async () => {
    const path = "decoder.mid_block.attentions.0";
    const old = folder.tensors.vae[`${path}.proj_attn.weight`];
    assertEquals(
      await valuesOf(files.vae, `${path}.to_out.0.weight`),
      old.data,
    );
  });

  await t.step("batch norms are folded, in f32", async () => {
    const path = "cp.resnet.layer2.0";
    const part = (name: string) => folder.tensors.face_parser[name].data;
    const [gain, shift, mean, variance] = [
      "weight",
      "bias",
      "running_mean",
      "running_var",
    ].map((name) => part(`${path}.downsample.1.${name}`));
    const weight = await valuesOf(
      files.face_parser,
      `${path}.downsample.0.weight`,
    );
    const bias = await valuesOf(files.face_parser, `${path}.downsample.0.bias`);
    // norm(conv(x)) for an x that is one in channel i and else zero.
    const given = part(`${path}.downsample.0.weight`); // (8, 4, 1, 1)
    for (let o = 0; o < 8; o++) {
      for (let i = 0; i < 4; i++) {
        const expected = (given[o * 4 + i] - mean[o]) /
            Math.sqrt(variance[o] + 1e-5) * gain[o] + shift[o];
        const found = weight[o * 4 + i] + bias[o];
        // Two values rounded to f32, each of size 10 at most.
        assert(Math.abs(found - expected) < 2e-6, `${found} ≠ ${expected}`);
      }
    }
    const { tensors } = files.face_parser;
    assertEquals(tensors.get(`${path}.downsample.0.weight`)!.dtype, "f32");
    assertEquals(tensors.get("ffm.conv1.weight")!.dtype, "f16");
    assertEquals(
      [...tensors.keys()].filter((n) => /bn|conv_out16/.test(n)),
      [],
    );
  });

  await t.step("the adapter's layers get the UNet's paths", async () => {
    // Positions 0 and 1 are of down_blocks.1, 2 to 5 of up_blocks.0.
    const paths = {
      1: "down_blocks.1.attentions.0",
      3: "up_blocks.0.attentions.0",
      5: "up_blocks.0.attentions.1",
      7: "mid_block.attentions.0",
    };
    for (const [position, path] of Object.entries(paths)) {
      for (const name of ["to_k_img.weight", "to_v_img.weight"]) {
        const from = `adapter_modules.${position}.${name}`;
        assertEquals(
          await valuesOf(
            files.identity_adapter,
            `${path}.transformer_blocks.0.attn2.${name}`,
          ),
          folder.tensors.identity_adapter[from].data,
        );
      }
    }
    const latents = files.identity_adapter.tensors.get("id_encoder.latents")!;
    assertEquals(latents.shape, [1, 2, 8]);
  });

  await t.step("configs hold what is beside the weights", () => {
    assertEquals(files.unet.config.scheduler, SCHEDULER);
    assertEquals(files.text_encoder.config.tokenizer, {
      vocab: ["a", "#", "b</w>", "<|startoftext|>", "<|endoftext|>"],
      merges: ["a b</w>", "# a"],
    });
    assertEquals(files.text_encoder.config.hidden_act, "quick_gelu");
    assertEquals(files.image_encoder.config.preprocessor, PREPROCESSOR);
    assertEquals(files.image_encoder.config.hidden_size, 8);
    assertEquals(files.identity_adapter.config, ADAPTER);
    assertEquals(files.face_parser.config, PARSER);
    assertEquals(files.unet.provenance, {
      converter: "masterweaver tools/convert.ts 1",
      sources: ["unet/model.safetensors"],
      container: "safetensors",
      dtypes: ["F32"],
    });
  });

  await t.step("what is left out is reported", () => {
    const { dropped } = done.find(({ component }) =>
      component === "image_encoder"
    )!;
    assertEquals(dropped, {
      "the text tower is not used here": 1,
      "the numbers 0, 1, 2, … in order": 1,
      "only for comparing texts with images": 1,
    });
    assertStringIncludes(lines.join("\n"), "unet: ");
    assertEquals(done.map(({ maxRoundingError }) => maxRoundingError), [
      ...Array(6).fill(0),
    ]);
  });

  await t.step(
    "an adapter alone is named by the model it goes to",
    async () => {
      const other = folder.tensors.identity_adapter;
      await folder.write("out/adapter_002000.pt", other);
      await folder.write("out/adapter_config.json", ADAPTER);
      const [{ file }] = await convert({
        inputs: [`${folder.path}/out/adapter_002000.pt`],
        output,
        dtype: "f32",
      });
      assertEquals(file, `${output}/adapter_002000.weave`);
      const { tensors } = await open(file);
      assertEquals(
        [...tensors.keys()],
        [...files.identity_adapter.tensors.keys()],
      );
      assertEquals(tensors.get("id_encoder.latents")!.dtype, "f32");
    },
  );

  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: wrong tensors are reported together, and nothing is written", async () => {
  const folder = await makeFolder();
  const { "conv_out.bias": _, ...rest } = folder.tensors.unet;
  await folder.write("unet/model.safetensors", {
    ...rest,
    "conv_in.weight": { shape: [4, 9, 3, 3], data: Array(324).fill(1) },
    "strange.down": { shape: [1], data: [1] },
  });
  const output = `${folder.path}/out`;
  const error = await assertRejects(
    () => convert({ inputs: [folder.path], output, dtype: "f16" }),
    MasterWeaverError,
    "1 missing: conv_out.bias; 1 misshapen: conv_in.weight is (4, 9, 3, 3), " +
      "expected (4, 4, 3, 3); 1 unused: strange.down",
  );
  assertEquals(error.code, "bad-checkpoint");
  await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: values that f16 cannot hold are refused or reported", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  const withBias = async (value: number) => {
    await folder.write("vae/model.safetensors", {
      ...folder.tensors.vae,
      "decoder.conv_out.bias": { shape: [3], data: [1, value, 1] },
    });
    return (dtype: "f16" | "f32") =>
      convert({ inputs: [`${folder.path}/vae`], output, dtype });
  };
  const large = await withBias(70000);
  await assertRejects(
    () => large("f16"),
    MasterWeaverError,
    "model.safetensors: tensor decoder.conv_out.bias: 1 of its values are over 65504",
  );
  await large("f32");
  const odd = await withBias(1 + 2 ** -12);
  const [{ maxRoundingError }] = await odd("f16");
  assertEquals(maxRoundingError, 2 ** -12);
  const broken = await withBias(NaN);
  await assertRejects(
    () => broken("f32"),
    MasterWeaverError,
    "model.safetensors: tensor decoder.conv_out.bias: it holds values that are infinite or not",
  );
  assertEquals(
    (await Array.fromAsync(Deno.readDir(output))).map(({ name }) => name)
      .sort(),
    ["model.json", "vae.weave"],
  );
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: a sharded checkpoint is read as one", async () => {
  const folder = await makeFolder();
  const all = Object.entries(folder.tensors.vae);
  const shards = {
    "a.safetensors": all.slice(0, 9),
    "b.safetensors": all.slice(9),
  };
  const map: Record<string, string> = {};
  for (const [name, tensors] of Object.entries(shards)) {
    await folder.write(`vae/${name}`, Object.fromEntries(tensors));
    for (const [tensor] of tensors) map[tensor] = name;
  }
  await Deno.remove(`${folder.path}/vae/model.safetensors`);
  await folder.write("vae/model.safetensors.index.json", { weight_map: map });
  const output = `${folder.path}/out`;
  const [{ tensors }] = await convert({
    inputs: [`${folder.path}/vae`],
    output,
    dtype: "f16",
  });
  assertEquals(tensors, all.length);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: unsupported models are refused by name", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  const attempt = (...inputs: string[]) => () =>
    convert({
      inputs: inputs.map((input) => `${folder.path}/${input}`),
      output,
      dtype: "f16",
    });
  await folder.write("lora.safetensors", {
    "lora_unet_down.weight": { shape: [1], data: [1] },
  });
  await assertRejects(
    attempt("lora.safetensors"),
    MasterWeaverError,
    "it is a LoRA, which is used as it is, from the folder loras of a model",
  );
  await assertRejects(attempt("absent"), MasterWeaverError, "no such file");
  await assertRejects(attempt("tokenizer"), MasterWeaverError, "config.json");
  const depth = { ...UNET, in_channels: 5 };
  await folder.write("unet/config.json", depth);
  await assertRejects(
    attempt("unet"),
    MasterWeaverError,
    "its in_channels is 5, expected 4 (9 in an inpainting UNet; a depth UNet has 5)",
  );
  await folder.write("unet/config.json", { ...UNET, layers_per_block: 1e9 });
  await assertRejects(
    attempt("unet"),
    MasterWeaverError,
    "its layers_per_block is 1000000000",
  );
  await folder.write("tokenizer/vocab.json", { a: 0, b: 5 });
  await assertRejects(
    attempt("text_encoder"),
    MasterWeaverError,
    "its token b has the number 5, expected each of 0 to 1 once",
  );
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: the command says what it did, and fails with 1 and 2", async () => {
  const folder = await makeFolder();
  const run = async (...args: string[]) => {
    const script = new URL("../tools/convert.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, ...args],
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  };
  const output = `${folder.path}/out`;
  const good = await run(folder.path, "--output", output, "--json");
  assertEquals(good.code, 0, good.stderr);
  const { components } = JSON.parse(good.stdout);
  assertEquals(components.length, 6);
  assertStringIncludes(good.stderr, "face_parser: ");
  const bad = await run(`${folder.path}/nothing`, "--output", output);
  assertEquals([bad.code, bad.stdout], [1, ""]);
  assertEquals(bad.stderr.trim().split("\n").length, 1);
  const wrong = await run(folder.path, "--dtype", "f8", "--output", output);
  assertEquals(wrong.code, 2);
  assertStringIncludes(
    wrong.stderr,
    "--dtype is f8, expected f32, f16, q8, q4",
  );
  await Deno.remove(folder.path, { recursive: true });
});
