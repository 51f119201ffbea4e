/**
 * Named samplers in the denoising loop: scaled input, two runs of the UNet a step,
 * history and noise come together as plain loops put them.
 */
import { assert, assertEquals } from "@std/assert";
import type { Progress } from "../src/base/progress.ts";
import { chooseSampler } from "../src/samplers/choose_sampler.ts";
import type { Start } from "../src/generate/start.ts";
import { nmse } from "./support/compare.ts";
import {
  loopNoise,
  loopSeed,
  madeUpConditions,
  miniGenerator,
  readTensor,
  readyLoop,
} from "./support/generator.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";
import { Predictor } from "./support/predictor.ts";

const size = [8, 8] as const;
const rules = {
  steps: 3,
  guidanceScale: 1,
  guidanceRange: [0, 1],
  reuseFeatures: 1,
} as const;

// With history, with fresh noise, and with both where the UNet runs twice a step.
for (const name of ["DPM++ 2M Karras", "Euler a", "DPM++ SDE"]) {
  gpuTest(`sampler loop: ${name} equals plain loops`, async () => {
    const { scheduler } = (await miniComponents).unet.config;
    const sampler = chooseSampler(scheduler, { sampler: name });
    using mini = await miniGenerator(true);
    const progress: Progress[] = [];
    using ready = await readyLoop(mini.context, {
      size,
      rules,
      idScale: 0.8,
      sampler,
    }, {
      onProgress: (event) => {
        if (event.stage === "denoise") progress.push(event);
      },
    });
    const found: Float32Array[] = [];
    for await (const { latents } of ready.steps) {
      found.push(await readTensor(latents));
    }
    // Steps are counted as they were asked for, however often the UNet runs.
    assertEquals(progress[0].done, 0);
    assertEquals(progress.at(-1)?.done, rules.steps);
    assert(progress.every(({ total }) => total === rules.steps));

    using predict = await Predictor.make(ready, rules.guidanceScale);
    const schedule = sampler.schedule(rules.steps);
    const draw = await loopNoise(size);
    const { channels } = (await miniComponents).unet.config;
    const [height, width] = size;
    const own = schedule.stepNoise?.(
      loopSeed,
      { images: 1, channels, height, width },
    );
    let x: Float32Array = draw().map((v) => v * schedule.initialNoiseScale);
    const slots = ready.handover.samplerState.history?.spec.shape[0] ?? 0;
    let history = Array.from({ length: slots }, () => x.map(() => 0));
    assertEquals(found.length, schedule.steps.length);
    for (const [i, step] of schedule.steps.entries()) {
      const scale = sampler.scaleInput ? step.coefficients.at(-1)! : 1;
      const output = await predict.noise(
        x.map((value) => value * scale),
        step.timestep,
        false,
      );
      const noise = step.drawsNoise ? own ? own(i) : draw() : x.map(() => 0);
      const read = [x, output, ...slots > 0 ? [noise, ...history] : []];
      const rows = Array.from(
        { length: 1 + slots },
        (_, row) =>
          x.map((_, at) =>
            read.reduce(
              (sum, values, column) =>
                sum +
                step.coefficients[row * read.length + column] * values[at],
              0,
            )
          ),
      );
      [x, ...history] = rows;
      const error = nmse(found[i], x);
      assert(error <= 1e-9, `run ${i}: NMSE ${error}`);
    }
  });
}

gpuTest(
  "sampler loop: settings choose the sampler of whole images",
  async () => {
    using mini = await miniGenerator(false);
    const conditions = await madeUpConditions();
    const settings = {
      ...rules,
      steps: 2,
      idScale: 1,
      numImages: 1,
      width: 64,
      height: 48,
      mergeTokens: 0,
      seed: 3,
      rng: "torch-cuda",
      cudaThreads: 0,
    } as const;
    const make = async (more: object) => {
      const all = { ...settings, ...more };
      const [image] = await mini.generator.generate({
        ...conditions,
        settings: all,
      });
      return image.data;
    };
    const usual = await make({});
    const other = await make({ sampler: "UniPC", guidanceRescale: 0.7 });
    assert(other.some((value, i) => value !== usual[i]));
    // By name DDIM is what it is without, and guidance that is not rescaled, too.
    assertEquals(await make({ sampler: "ddim", guidanceRescale: 0 }), usual);
  },
);

gpuTest("sampler loop: a start from an image has no history yet", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  const sampler = chooseSampler(scheduler, { sampler: "DPM++ 2M" });
  using mini = await miniGenerator(false);
  const start: Start = {
    firstStep: ({ order = 1 }) => 2 * order,
    latents: ({ steps }, draw) => {
      const { noise } = steps[2].level;
      return draw().map((value) => value * noise);
    },
  };
  using ready = await readyLoop(mini.context, {
    size,
    rules: { ...rules, steps: 4 },
    idScale: 0.8,
    sampler,
    start,
  });
  const schedule = sampler.schedule(4, 2);
  // Nothing of the history, which is undefined, goes into the first update.
  assertEquals(schedule.steps[2].coefficients[3], 0);
  let runs = 0;
  for await (const { done, steps } of ready.steps) {
    assertEquals([done, steps], [++runs, 2]);
  }
  assertEquals(runs, 2);
});
