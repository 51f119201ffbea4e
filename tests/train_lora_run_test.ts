/**
 * `tools/train.ts --train lora` and `--train unet` from a data set to files that are
 * used.
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { checkWeights, openComponents } from "../src/components/networks.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { FileSource, openModelFolder } from "../src/host/files.ts";
import { loraTrainable } from "../src/train/lora.ts";
import { Trainer } from "../src/train/trainer.ts";
import { RandomStream } from "../src/train/data/random.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { deno, finished } from "./support/command.ts";
import { nmse } from "./support/compare.ts";
import { drawDataset } from "./support/dataset.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { lowRankLayers } from "./support/loras.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";

const model = repositoryPath("weights/mini");
const demo = repositoryPath("weights/mini/demo.png");

/** Trains on small drawn images; returns what the command printed. */
async function train(folder: string, out: string, ...args: string[]) {
  return await finished(deno([
    "run",
    "-A",
    repositoryPath("tools/train.ts"),
    ...["--model", model, "--data", `${folder}/data`],
    ...["--out", `${folder}/${out}`, "--resolution", "32"],
    ...["--train-batch-size", "1", "--gradient-accumulation-steps", "1"],
    ...["--dataloader-num-workers", "1", "--quiet", ...args],
  ]));
}

async function openLora(path: string) {
  const bytes = await Deno.readFile(path);
  return await lowRankLayers(new MemorySource(bytes, path));
}

gpuTest(
  "train lora: three updates, both files, a grid; stopped and gone on to the same bits; an image",
  () =>
    inFolder(async (folder) => {
      await drawDataset(`${folder}/data`, { count: 2 });
      const options = [
        ...["--train", "lora", "--rank", "3", "--alpha", "2"],
        ...["--learning-rate", "1e-2", "--save-steps", "2"],
        ...["--target-layers", "to_q,to_v,conv1"],
      ];
      const whole = await train(
        folder,
        "whole",
        ...options,
        "--max-train-steps=3",
      );
      assertEquals(whole.code, 0, whole.err.join("\n"));
      const names = await namesIn(`${folder}/whole`);
      for (const step of ["000002", "000003", "final"]) {
        for (const stem of ["lora", "pytorch_lora_weights"]) {
          assert(names.includes(`${stem}_${step}.safetensors`), `${names}`);
        }
      }
      assertEquals(await namesIn(`${folder}/whole/grids`), ["grid-000003.png"]);
      const lines = (await Deno.readTextFile(`${folder}/whole/metrics.jsonl`))
        .trim().split("\n").map((line) => JSON.parse(line));
      assertEquals(lines.length, 3);
      for (const record of lines) {
        assert(record.loss_mle > 0);
        // It has no background loss.
        assert(!("loss_bg" in record));
      }
      const report = await Deno.readTextFile(`${folder}/whole/report.html`);
      assert(!report.includes("cannot be mixed"));

      const file = `${folder}/whole/lora_final.safetensors`;
      const layers = await openLora(file);
      const other = `${folder}/whole/pytorch_lora_weights_final.safetensors`;
      assertEquals(await openLora(other), layers);
      for (const { rank, up } of layers) {
        assertEquals(rank, 3);
        assert(up.some((value) => value !== 0));
      }

      // Without grids, which change nothing of the rest.
      for (const steps of ["--max-train-steps=2", "--max-train-steps=3"]) {
        const { code, err } = await train(
          folder,
          "again",
          ...options,
          ...[steps, "--vis-steps=0"],
        );
        assertEquals(code, 0, err.join("\n"));
      }
      assertEquals(
        await Deno.readFile(`${folder}/again/lora_final.safetensors`),
        await Deno.readFile(file),
      );

      const example = await finished(deno([
        "run",
        "-A",
        repositoryPath("tools/examples/lora.ts"),
        ...["--model", model],
        ...[file, demo, `${folder}/out.png`, "a person", "1", "1"],
      ]));
      assertEquals([example.code, example.out], [0, `${folder}/out.png\n`]);
      assertEquals(example.err, []);
      assert((await Deno.stat(`${folder}/out.png`)).size > 1000);
    }),
);

gpuTest(
  "train unet: a whole component that takes the place of the model's",
  () =>
    inFolder(async (folder) => {
      await drawDataset(`${folder}/data`, { count: 1 });
      const { code, err } = await train(
        folder,
        "run",
        ...["--train", "unet", "--stage", "1", "--max-train-steps", "1"],
        ...["--learning-rate", "1e-4", "--vis-steps", "0"],
      );
      assertEquals(code, 0, err.join("\n"));
      const report = await Deno.readTextFile(`${folder}/run/report.html`);
      assertStringIncludes(
        report,
        "With one sample a step identities cannot be mixed",
      );
      await using own = await openModelFolder(model);
      await using unet = await FileSource.open(
        `${folder}/run/unet_final.weave`,
      );
      const elsewhere = ["unet" as const];
      const trained = await openComponents({ ...own.files, unet, elsewhere });
      checkWeights("f32", trained);
      const before = (await miniComponents).unet.file.tensors;
      const { tensors } = trained.unet.file;
      assertEquals([...tensors.keys()], [...before.keys()]);
      const read = async (from: typeof tensors) =>
        (await Array.fromAsync(weaveFloats(from.get("conv_in.weight")!)))
          .flatMap((chunk) => [...chunk]);
      const error = nmse(await read(tensors), await read(before));
      assert(error > 0 && error < 1e-3, `${error}`);
    }),
);

gpuTest(
  "train lora: what cannot be trained is told",
  () =>
    inFolder(async (folder) => {
      await drawDataset(`${folder}/data`, { count: 1 });
      const unknown = await train(
        folder,
        "a",
        "--train=lora",
        "--target-layers=to_x",
      );
      assertEquals(unknown.code, 2);
      assertMatch(unknown.err[0], /Cannot train a LoRA of to_x: .* to_q, /);
      const staged = await train(folder, "b", "--train=lora", "--stage=2");
      assertEquals(staged.code, 2);
      assertMatch(staged.err[0], /A LoRA has no stage 2/);
    }),
);

gpuTest("train lora: one sample again and again is learnt", async () => {
  const components = await miniComponents;
  const gpu = await sharedGpu();
  const { unet, text, adapter } = components;
  const side = 8;
  const steps = 20;
  using trainer = await Trainer.make({
    gpu,
    storage: "f32",
    tuner: new Tuner(gpu, "off"),
    components,
    trainable: loraTrainable(components, { rank: 4, seed: 1 }),
    batch: 1,
    latentSize: [side, side],
    lambdaNoise: 1,
    background: false,
  });
  const random = new RandomStream(1, "overfit");
  const count = side * side * unet.config.channels;
  const sample = {
    latents: random.normals(count),
    noise: random.normals(count),
    timesteps: [300],
    ids: new Uint32Array(text.config.positions).fill(1),
    references: new Array(adapter.config.maxReferences).fill(null),
    mix: Float32Array.of(1),
    faceBox: new Float32Array(side * side),
  };
  for (let i = 0; i < steps; i++) {
    await trainer.step(i, sample);
    await trainer.update(i, { learningRate: 3e-3 });
  }
  const rows = await trainer.readLog(0, steps);
  const losses = rows.map(({ noise }) => noise);
  assert(losses[steps - 1] < 0.7 * losses[0], losses.join(", "));
  assertEquals(new Set(rows.map(({ background }) => background)), new Set([0]));
});
