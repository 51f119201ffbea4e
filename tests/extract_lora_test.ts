/**
 * LoRAs extracted from two models, against the best that their rank allows.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { approximate } from "../src/checkpoints/low_rank.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import { FileSource } from "../src/host/files.ts";
import type { WeaveFile } from "../src/weights/weave.ts";
import { convert, main } from "../tools/convert.ts";
import { extractLora } from "../tools/convert/extract_lora.ts";
import type { Folder, Tensors } from "./support/checkpoint_folder.ts";
import { withFolder } from "./support/convert_component.ts";
import { openLora } from "./support/loras.ts";
import { readWeave, weaveValues } from "./support/weave_files.ts";
import { random } from "./support/weights.ts";

/** Values that differ by up to 1. */
function changed(tensors: Tensors, seed: number, only = /./): Tensors {
  const next = random(seed);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [name, {
      shape,
      data: only.test(name)
        ? data.map((value) => value + (next(129) - 64) / 64)
        : data,
    }]),
  );
}

/** The folder's networks with other values, beside them. */
async function tuned(folder: Folder, only?: RegExp): Promise<string> {
  const path = `${folder.path}/tuned`;
  for (const network of ["unet", "text_encoder"]) {
    await Deno.mkdir(`${path}/${network}`, { recursive: true });
    await Deno.copyFile(
      `${folder.path}/${network}/config.json`,
      `${path}/${network}/config.json`,
    );
    await folder.write(
      `tuned/${network}/model.safetensors`,
      changed(folder.tensors[network], 5, only),
    );
  }
  return path;
}

async function converted(
  network: "unet" | "text_encoder",
  input: string,
  output: string,
): Promise<WeaveFile> {
  await convert({ inputs: [`${input}/${network}`], output, dtype: "f32" });
  return await readWeave(`${output}/${network}.weave`);
}

Deno.test("extract LoRA: every layer's difference, as well as the rank allows", () =>
  withFolder(async (folder) => {
    const other = await tuned(folder);
    const base = await converted("unet", folder.path, `${folder.path}/a`);
    const text = await converted(
      "text_encoder",
      folder.path,
      `${folder.path}/c`,
    );
    const trained = await converted("unet", other, `${folder.path}/b`);
    for (const dtype of ["f32", "f16"] as const) {
      const output = `${folder.path}/lora.safetensors`;
      const rank = 3;
      const made = await extractLora({
        base: folder.path,
        tuned: other,
        output,
        rank,
        dtype,
      });
      await using source = await FileSource.open(output);
      const file = await openCheckpoint(source);
      assertEquals(file.metadata.ss_network_dim, "3");
      // Two layers of text, six products each; two factors and alpha.
      const names = [...file.tensors.keys()]
        .filter((name) => name.startsWith("lora_te_"));
      assertEquals(names.length, 2 * 6 * 3);
      assert(
        names.includes(
          "lora_te_text_model_encoder_layers_1_mlp_fc1.lora_down.weight",
        ),
      );
      const lora = await openLora(source);
      const deltas = lora.deltas({ unet: base, text_encoder: text });
      assertEquals(deltas.text_encoder.length, 12);
      assertEquals(made.layers, deltas.unet.length + 12);
      assert(made.otherChanges > 10);
      assert(
        deltas.unet.some(({ shape }) => shape.length === 4 && shape[1] === 3),
      );
      for (const { name, shape, readLowRank } of deltas.unet) {
        const { rank: own, up, down } = await readLowRank!();
        const before = await weaveValues(base, name);
        const after = await weaveValues(trained, name);
        const difference = after.map((value, i) => value - before[i]);
        const columns = difference.length / shape[0];
        const best = approximate(difference, shape[0], columns, rank);
        let error = 0;
        for (let i = 0; i < shape[0]; i++) {
          for (let j = 0; j < columns; j++) {
            let sum = difference[i * columns + j];
            for (let k = 0; k < own; k++) {
              sum -= up[i * own + k] * down[k * columns + j];
            }
            error += sum * sum;
          }
        }
        // Squares, of factors that f16 rounds by up to 2⁻¹¹ and f32 by 2⁻²⁴.
        const rounding = dtype === "f32" ? 1e-10 : 1e-5;
        assert(
          error <= best.squaredError * 1.02 + rounding * best.square,
          `${name}: ${error} of ${best.squaredError}`,
        );
      }
      assert(made.missing > 0 && made.missing < 0.5, `${made.missing}`);
    }
  }));

Deno.test("extract LoRA: only what differs is in it", () =>
  withFolder(async (folder) => {
    const other = await tuned(folder, /^mid_block\..*to_q\.weight$/);
    const output = `${folder.path}/lora.safetensors`;
    // No tokenizer is needed, in whichever form a model comes.
    const made = await extractLora({
      base: folder.path,
      tuned: other,
      output,
      rank: 8,
      dtype: "f32",
    });
    assertEquals([made.layers, made.otherChanges], [2, 0]);
    // Matrices of 8 × 8 are exact at that rank.
    assertAlmostEquals(made.missing, 0, 1e-10);
    await using source = await FileSource.open(output);
    const { tensors } = await openCheckpoint(source);
    assertEquals([...tensors.keys()].slice(0, 3), [
      "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight",
      "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.lora_up.weight",
      "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.alpha",
    ]);
  }));

Deno.test("extract LoRA: equal models, and wrong usage, get one line and no file", () =>
  withFolder(async (folder) => {
    const output = `${folder.path}/lora.safetensors`;
    const base = folder.path;
    await assertRejects(
      () => extractLora({ base, tuned: base, output, rank: 4, dtype: "f16" }),
      MasterWeaverError,
      "in no layer that a LoRA changes",
    );
    const model = `${base}/unet/model.safetensors`;
    await assertRejects(
      () =>
        extractLora({
          base,
          tuned: base,
          output: model,
          rank: 4,
          dtype: "f16",
        }),
      MasterWeaverError,
      "it is made from itself; give another file with --output",
    );
    const words = ["--quiet", "--extract-lora", base, base];
    for (
      const [args, code] of [
        [[...words, "--output", output], 1],
        [words, 2],
        [[...words, "--output", output, "--rank", "0"], 2],
        [[...words, "--output", output, "--rank", "513"], 2],
        [[...words, "--output", output, "--dtype", "q8"], 2],
        [[...words, base, "--output", output], 2],
        [[base, "--output", output, "--rank", "4"], 2],
      ] as const
    ) assertEquals(await main(args), code, args.join(" "));
    await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
  }));
