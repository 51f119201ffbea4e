/**
 * The losses with the own face, with none and with another's: what they measure,
 * and that training goes on to the same bits.
 */
import { assert, assertEquals } from "@std/assert";
import { Tuner } from "../src/graph/tuner.ts";
import { RandomStream } from "../src/train/data/random.ts";
import { probedReferences } from "../src/train/probe.ts";
import { stageTrainable } from "../src/train/stages.ts";
import { Trainer } from "../src/train/trainer.ts";
import { drawDataset } from "./support/dataset.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";
import { recorded, trained } from "./support/train_tool.ts";

Deno.test("face probe: another's face is that of the other end of the batch", () => {
  const [a, b, c, d] = [1, 2, 3, 4].map((value) => ({
    features: Float32Array.of(value),
  }));
  const { own, none, other } = probedReferences([a, b, c, d], 2);
  assertEquals(own, [a, b, c, d]);
  assertEquals(none, [null, null, null, null]);
  assertEquals(other, [c, d, a, b]);
  assertEquals(probedReferences([a, null], 1), {
    own: [a, null],
    none: [null, null],
  });
});

gpuTest(
  "face probe: the step's own losses, and nothing is changed",
  async () => {
    const components = await miniComponents;
    const gpu = await sharedGpu();
    const { unet, text, adapter, vision } = components;
    const side = 8;
    const batch = 2;
    using trainer = await Trainer.make({
      gpu,
      storage: "f32",
      tuner: new Tuner(gpu, "off"),
      components,
      trainable: stageTrainable(1, components),
      batch,
      latentSize: [side, side],
      lambdaNoise: 1,
    });
    const random = new RandomStream(1, "probe");
    const count = batch * side * side * unet.config.channels;
    const { imageSize, patchSize, hiddenSize } = vision.config;
    const tokens = (imageSize / patchSize) ** 2 + 1;
    const references = Array.from(
      { length: batch * adapter.config.maxReferences },
      () => ({ features: random.normals(tokens * hiddenSize) }),
    );
    const samples = {
      latents: random.normals(count),
      noise: random.normals(count),
      timesteps: [700, 700],
      ids: new Uint32Array(batch * text.config.positions).fill(1),
      references,
      mix: Float32Array.of(0.3, 0.6),
      faceBox: new Float32Array(batch * side * side),
    };
    const shown = probedReferences(references, batch);
    await trainer.step(0, samples);
    await trainer.step(1, { ...samples, references: shown.none! });
    await trainer.step(2, { ...samples, references: shown.other! });
    await trainer.update(2, { learningRate: 1e-3 });
    const before = await trainer.blocks.read("parameters");
    // The steps again, with the parameters of now.
    await trainer.step(3, samples);
    await trainer.step(4, { ...samples, references: shown.none! });
    const weighted = { ...samples, sampleWeights: Float32Array.of(9, 9) };
    const { own, none, other } = await trainer.probe(weighted, [700]);
    await trainer.step(5, { ...samples, references: shown.other! });
    await trainer.update(5, { learningRate: 0 });
    const expected = (await trainer.readLog(3, 3)).map(({ noise }) => noise);
    for (const [i, loss] of [own, none, other].entries()) {
      const error = Math.abs(loss! / expected[i] - 1);
      assert(error < 1e-5, `${i}: ${loss}, ${expected[i]}`);
    }
    assert(new Set([own, none, other]).size === 3);
    assertEquals(await trainer.blocks.read("parameters"), before);
    const mean = await trainer.probe(samples, [700, 900]);
    const last = await trainer.probe(samples, [900]);
    assert(Math.abs(mean.own! - (own! + last.own!) / 2) < 1e-5);
  },
);

gpuTest(
  "face probe: recorded with each grid; the run comes to the same bits",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 2 });
      const given = { stage: 1, data, "max-train-steps": 3, "save-steps": 3 };
      await trained({ ...given, out: `${folder}/a`, "vis-steps": 2 });
      await trained({ ...given, out: `${folder}/b` });
      const records = await recorded(`${folder}/a`) as Record<string, number>[];
      const names = ["loss_own", "loss_none", "loss_other"];
      for (const { step, ...values } of records) {
        for (const name of names) {
          assertEquals(values[name] > 0, step > 1, `${step} ${name}`);
        }
      }
      const [a, b] = await Promise.all(
        ["a", "b"].map((run) =>
          Deno.readFile(`${folder}/${run}/adapter_final.weave`)
        ),
      );
      assertEquals(a, b);
    }),
);
