/**
 * Merged models: weighted sums of networks in any container and layout.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { unetTable } from "../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../src/checkpoints/tables/vae.ts";
import type { WeaveFile } from "../src/weights/weave.ts";
import { convert, main } from "../tools/convert.ts";
import { toGguf } from "../tools/convert/to_gguf.ts";
import {
  checkpointOf,
  config,
  type Folder,
  SCHEDULER,
  UNET,
  VAE,
} from "./support/checkpoint_folder.ts";
import { withFolder } from "./support/convert_component.ts";
import { readWeave, weaveValues } from "./support/weave_files.ts";

function open(folder: string, component: string): Promise<WeaveFile> {
  return readWeave(`${folder}/${component}.weave`);
}

async function values(folder: string, component: string, name: string) {
  return await weaveValues(await open(folder, component), name);
}

/** A folder of a UNet and an autoencoder with other values. */
async function another(folder: Folder, name: string, seed: number) {
  const path = `${folder.path}/${name}`;
  for (const inner of ["unet", "vae", "scheduler"]) {
    await Deno.mkdir(`${path}/${inner}`, { recursive: true });
  }
  const unet = checkpointOf(unetTable(config(UNET)), seed);
  const vae = checkpointOf(vaeTable(config(VAE)), seed + 1);
  await folder.write(`${name}/model_index.json`, {});
  await folder.write(`${name}/scheduler/scheduler_config.json`, SCHEDULER);
  await folder.write(`${name}/unet/config.json`, UNET);
  await folder.write(`${name}/unet/model.safetensors`, unet);
  await folder.write(`${name}/vae/config.json`, VAE);
  await folder.write(`${name}/vae/model.safetensors`, vae);
  return path;
}

const weight = "down_blocks.0.resnets.0.conv1.weight";

Deno.test("merge: three models in three containers, by weight", () =>
  withFolder(async (folder) => {
    const second = await another(folder, "second", 50);
    const third = await another(folder, "third", 70);
    // The second as GGUF, the third as a model folder.
    const gguf = `${folder.path}/second.gguf`;
    await toGguf({ inputs: [second], output: gguf, dtype: "f32" });
    const weave = `${folder.path}/third-weave`;
    await convert({ inputs: [third], output: weave, dtype: "f16" });
    const plain: string[] = [];
    for (const path of [folder.path, second, third]) {
      plain.push(await Deno.makeTempDir({ dir: folder.path }));
      await convert({ inputs: [path], output: plain.at(-1)!, dtype: "f32" });
    }
    const weights = [1, 0.75, -0.75];
    const output = `${folder.path}/merged`;
    const lines: string[] = [];
    const done = await convert({
      inputs: [],
      merge: [folder.path, gguf, weave]
        .map((path, i) => ({ path, weight: weights[i] })),
      output,
      dtype: "f32",
      report: (line) => lines.push(line),
    });
    for (const component of ["unet", "vae"]) {
      const { tensors, provenance } = await open(output, component);
      const merged = provenance.merged as { weight: number }[];
      assertEquals(merged.map(({ weight }) => weight), weights);
      for (const name of tensors.keys()) {
        const [a, b, c] = await Promise.all(
          plain.map((path) => values(path, component, name)),
        );
        const sum = await values(output, component, name);
        assertEquals(
          sum,
          a.map((value, i) => Math.fround(value + 0.75 * (b[i] - c[i]))),
          name,
        );
      }
    }
    // What only the first one has is its own.
    assert(lines.some((line) => line.startsWith("text_encoder: not in all")));
    assert(!lines.some((line) => line.includes("add up")));
    assertEquals(done.length, 6);
    const name = "text_model.final_layer_norm.weight";
    assertEquals(
      await values(output, "text_encoder", name),
      await values(plain[0], "text_encoder", name),
    );
  }));

Deno.test("merge: rounded to f16, and as GGUF", () =>
  withFolder(async (folder) => {
    const second = await another(folder, "second", 50);
    const merge = [
      { path: folder.path, weight: 0.5 },
      { path: second, weight: 0.25 },
    ];
    const lines: string[] = [];
    const output = `${folder.path}/merged.gguf`;
    const written = await toGguf({
      inputs: [],
      merge,
      output,
      dtype: "f32",
      report: (line) => lines.push(line),
    });
    assertEquals([...written.components].sort(), [
      "text_encoder",
      "unet",
      "vae",
    ]);
    assert(lines.some((line) => line.includes("add up to 0.75")));
    const [back, direct] = [`${folder.path}/back`, `${folder.path}/direct`];
    await convert({ inputs: [output], output: back, dtype: "f32" });
    await convert({ inputs: [], merge, output: direct, dtype: "f16" });
    const exact = await values(back, "unet", weight);
    const halves = await values(direct, "unet", weight);
    assertEquals(halves.length, exact.length);
    // Values are below 2, where half a step of f16 is 2⁻¹¹.
    for (const [i, value] of halves.entries()) {
      assertAlmostEquals(value, exact[i], 2 ** -11);
    }
  }));

Deno.test("merge: models of two kinds are refused, and nothing is written", () =>
  withFolder(async (folder) => {
    const second = await another(folder, "second", 50);
    const wide = { ...UNET, cross_attention_dim: 16 };
    await folder.write("second/unet/config.json", wide);
    await folder.write(
      "second/unet/model.safetensors",
      checkpointOf(unetTable(config(wide)), 1),
    );
    const output = `${folder.path}/merged`;
    const error = await assertRejects(
      () =>
        convert({
          inputs: [],
          merge: [
            { path: folder.path, weight: 0.5 },
            { path: second, weight: 0.5 },
          ],
          output,
          dtype: "f16",
        }),
      MasterWeaverError,
    );
    assertStringIncludes(error.message, "does not go together with");
    assertStringIncludes(error.message, "is (8, 16) and (8, 8) there");
    await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
  }));

Deno.test("merge: the command's words", () =>
  withFolder(async (folder) => {
    const second = await another(folder, "second", 50);
    const output = `${folder.path}/merged`;
    const args = (...words: string[]) => [
      "--quiet",
      "--merge",
      ...words,
      "--output",
      output,
    ];
    for (
      const words of [
        ["a=0.5"],
        ["a=0.5", "b"],
        ["a=0.5", "b=half"],
        ["a=0.5", "b="],
        ["=0.5", "b=0.5"],
        ["a=0.5", "b=NaN"],
      ]
    ) assertEquals(await main(args(...words)), 2, words.join(" "));
    const words = [`${folder.path}=0.7`, `${second}=0.3`];
    assertEquals(await main(args(...words)), 0);
    const { provenance } = await open(output, "unet");
    const merged = provenance.merged as { weight: number }[];
    assertEquals(merged.map(({ weight }) => weight), [0.7, 0.3]);
  }));
