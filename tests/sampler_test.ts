/**
 * Samplers: the loop knows none by name. One that is written here uses all that
 * a sampler may use, and gives the latents that plain TypeScript gives.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Start } from "../src/generate/start.ts";
import type { Tensor } from "../src/graph/graph.ts";
import { binary } from "../src/ops/binary.ts";
import { map } from "../src/ops/map.ts";
import { view } from "../src/ops/view.ts";
import { checkSchedule } from "../src/samplers/check_schedule.ts";
import {
  ddimSampler,
  ddimSchedule,
  ddimStepCoefficients,
} from "../src/samplers/ddim.ts";
import type { DdimConfig } from "../src/samplers/ddim_config.ts";
import {
  alphasCumprod,
  spacedTimesteps,
} from "../src/samplers/noise_levels.ts";
import type {
  Sampler,
  SamplerSchedule,
  StepTensors,
} from "../src/samplers/sampler.ts";
import { nmse } from "./support/compare.ts";
import {
  loopNoise,
  madeUpConditions,
  miniGenerator,
  readTensor,
  readyLoop,
} from "./support/generator.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";
import { Predictor } from "./support/predictor.ts";

/** Coefficients of a step of {@linkcode adamsAncestral}, in this order. */
type Step = [
  input: number,
  now: number,
  previous: number,
  older: number,
  noise: number,
];

/** Adams and Bashforth's weights of the slopes, newest first, by how many there are. */
const ADAMS = [[1, 0, 0], [3 / 2, -1 / 2, 0], [23 / 12, -16 / 12, 5 / 12]];

/**
 * Adams-Bashforth of three steps in x = x0 + σ·ε, down to less noise than the
 * next level has, which is added anew: scaled input, a history that moves on,
 * and noise at every step.
 */
function adamsAncestral(config: DdimConfig): Sampler {
  return {
    name: "adams-ancestral",
    coefficients: 5,
    drawsNoise: true,

    schedule(count): SamplerSchedule {
      const alphas = alphasCumprod(config);
      const timesteps = spacedTimesteps(config, count);
      const sigmas = [...timesteps].map((t) =>
        Math.sqrt((1 - alphas[t]) / alphas[t])
      );
      const steps = sigmas.map((sigma, i) => {
        const next = sigmas[i + 1] ?? 0;
        const up = 0.5 * next * Math.sqrt(1 - (next / sigma) ** 2);
        const slope = Math.sqrt(next ** 2 - up ** 2) - sigma;
        const weights = ADAMS[Math.min(i, 2)].map((each) => each * slope);
        return {
          timestep: timesteps[i],
          level: { image: 1, noise: sigma },
          coefficients: [
            1 / Math.sqrt(sigma ** 2 + 1),
            ...weights,
            up,
          ] satisfies number[] as Step,
        };
      });
      return {
        initialNoiseScale: sigmas[0],
        steps,
        finalLevel: { image: 1, noise: 0 },
      };
    },

    state: (latents) => ({ previous: latents, older: latents }),

    scaleInput: (latents, coefficients) => times(latents, coefficients, 0),

    update(
      { latents, modelOutput, coefficients, noise, state }: StepTensors,
    ) {
      const terms = [
        times(modelOutput, coefficients, 1),
        times(state.previous, coefficients, 2),
        times(state.older, coefficients, 3),
        times(noise!, coefficients, 4),
      ];
      return {
        latents: terms.reduce(
          (sum, term) =>
            sum.graph.apply(binary, { a: sum, b: term }, { operation: "add" }),
          latents,
        ),
        state: { previous: modelOutput, older: state.previous },
      };
    },
  };
}

/** x times one of the coefficients. */
function times(x: Tensor, coefficients: Tensor, index: number): Tensor {
  const g = x.graph;
  const b = g.apply(view, { x: coefficients }, {
    shape: [1],
    strides: [1],
    offset: index,
  });
  return g.apply(binary, { a: x, b }, { operation: "mul" });
}

const size = [16, 12] as const;
const rules = {
  steps: 5,
  guidanceScale: 4,
  // Guided, then not: two plans over one state.
  guidanceRange: [0, 0.6],
  reuseFeatures: 1,
} as const;

gpuTest(
  "sampler: one with scaled input, history and noise equals plain TypeScript",
  async () => {
    const { unet } = await miniComponents;
    const sampler = adamsAncestral(unet.config.scheduler);
    using mini = await miniGenerator(true);
    using ready = await readyLoop(mini.context, {
      size,
      rules,
      idScale: 0.8,
      sampler,
    });
    const found: Float32Array[] = [];
    for await (const { latents } of ready.steps) {
      found.push(await readTensor(latents));
    }

    using predict = await Predictor.make(ready, rules.guidanceScale);
    const { initialNoiseScale, steps } = sampler.schedule(rules.steps);
    const draw = await loopNoise(size);
    let x: Float32Array = draw().map((value) => value * initialNoiseScale);
    let [previous, older]: Float32Array[] = [x.map(() => 0), x.map(() => 0)];
    for (const [i, { timestep, coefficients }] of steps.entries()) {
      const [input, a, b, c, up] = coefficients;
      const isGuided = i < 3;
      const scaled = x.map((value) => value * input);
      const eps = await predict.noise(scaled, timestep, isGuided);
      const noise = draw();
      x = x.map((value, j) =>
        value + a * eps[j] + b * previous[j] + c * older[j] + up * noise[j]
      );
      [previous, older] = [eps, previous];
      const error = nmse(found[i], x);
      assert(error <= 1e-10, `step ${i}: NMSE ${error}`);
    }
    assertEquals(found.length, steps.length);

    // A second run starts with no history.
    using again = await readyLoop(mini.context, {
      size,
      rules,
      idScale: 0.8,
      sampler,
    });
    for await (const { index, latents } of again.steps) {
      assertEquals(await readTensor(latents), found[index]);
    }
  },
);

gpuTest("sampler: another one makes whole images", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  using mini = await miniGenerator(false);
  const settings = {
    ...rules,
    idScale: 1,
    numImages: 2,
    width: 64,
    height: 72,
    mergeTokens: 0,
    seed: 3,
    rng: "torch-cuda",
    cudaThreads: 0,
  } as const;
  const conditions = await madeUpConditions();
  const make = (sampler?: Sampler) =>
    mini.generator.generate({ ...conditions, settings, sampler });
  const usual = await make();
  const [first, second] = await make(adamsAncestral(scheduler));
  assertEquals([first.width, first.height], [64, 72]);
  assert(first.data.some((value, i) => value !== usual[0].data[i]));
  assert(first.data.some((value, i) => value !== second.data[i]));
  // DDIM is what it was before the other.
  assertEquals(await make(), usual);
});

gpuTest("start: an image's latents go on where they are put in", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  using mini = await miniGenerator(true);
  const run = async (start?: Start) => {
    using ready = await readyLoop(mini.context, {
      size,
      rules: { ...rules, guidanceRange: [0, 1] },
      idScale: 1,
      sampler: ddimSampler(scheduler),
      start,
    });
    const steps: { timestep: number; latents: Float32Array }[] = [];
    for await (const { index, total, timestep, latents } of ready.steps) {
      assertEquals([index, total], [steps.length, start ? 3 : 5]);
      steps.push({ timestep, latents: await readTensor(latents) });
    }
    return steps;
  };
  const whole = await run();
  const rest = await run({
    firstStep: () => 2,
    latents: (schedule) => {
      const { image, noise } = schedule.steps[2].level;
      assertAlmostEquals(image ** 2 + noise ** 2, 1, 1e-12);
      return whole[1].latents;
    },
  });
  assertEquals(rest, whole.slice(2));
});

gpuTest("sampler: one that forgets its state is told", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  const forgetful: Sampler = {
    ...adamsAncestral(scheduler),
    update: ({ latents }) => ({ latents, state: { previous: latents } }),
  };
  using mini = await miniGenerator(false);
  using ready = await readyLoop(mini.context, {
    size,
    rules,
    idScale: 1,
    sampler: forgetful,
  });
  await assertRejects(
    () => ready.steps.next(),
    MasterWeaverError,
    "Sampler adams-ancestral keeps older from step to step",
  );
});

gpuTest("sampler: state may be a result that lies in the latents", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  const ddim = ddimSampler(scheduler);
  /** Keeps DDIM's latents and hands on those of before, in place or copied. */
  const keeping = (inPlace: boolean): Sampler => ({
    ...ddim,
    name: `keeping ${inPlace}`,
    state: (latents) => ({ kept: latents }),
    update(step) {
      const copy = (x: Tensor) => x.graph.apply(map, { x }, {});
      const copied = copy(step.latents);
      const latents = inPlace ? step.latents : copy(step.latents);
      const kept = ddim.update({ ...step, latents }).latents;
      return { latents: copied, state: { kept } };
    },
  });
  const keptBy = async (sampler: Sampler) => {
    using mini = await miniGenerator(false);
    using ready = await readyLoop(mini.context, {
      size,
      rules: { ...rules, steps: 2 },
      idScale: 1,
      sampler,
    });
    for await (const { total } of ready.steps) assertEquals(total, 2);
    return await readTensor(ready.handover.samplerState.kept);
  };
  assertEquals(await keptBy(keeping(true)), await keptBy(keeping(false)));
});

Deno.test("sampler: schedules that cannot be run are refused", () => {
  const step = {
    timestep: 1,
    level: { image: 1, noise: 0 },
    coefficients: [1, 2],
  };
  const check = (steps: object[], coefficients = 2, first = 0) =>
    checkSchedule(
      { name: "odd", coefficients },
      { initialNoiseScale: 1, steps } as unknown as SamplerSchedule,
      first,
    );
  check([step]);
  for (
    const [run, why] of [
      [() => check([step], 0), "it has 0 coefficients"],
      [() => check([]), "it has 0 steps"],
      [() => check([step], 2, 1), "of which number 1 is the first"],
      [() => check([step], 2, -1), "of which number -1"],
      [() => check([{ ...step, coefficients: [1] }]), "has 1 coefficients"],
      [() => check([{ ...step, timestep: NaN }]), "not finite"],
    ] as const
  ) {
    const error = assertThrows(run, MasterWeaverError, why);
    assertEquals(error.code, "bad-option");
  }
});

Deno.test("sampler: DDIM's last step leaves as much noise as the model says", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  const [first] = alphasCumprod(scheduler);
  for (const setAlphaToOne of [false, true]) {
    const config = { ...scheduler, setAlphaToOne };
    const { finalLevel } = ddimSampler(config).schedule(30);
    const alpha = setAlphaToOne ? 1 : first;
    assertEquals(finalLevel, {
      image: Math.sqrt(alpha),
      noise: Math.sqrt(1 - alpha),
    });
  }
  assert(first < 1);
});

Deno.test("sampler: DDIM's is the schedule that equals diffusers'", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  const { initialNoiseScale, steps } = ddimSampler(scheduler).schedule(30);
  const { timesteps, coefficients } = ddimSchedule(scheduler, 30);
  assertEquals(initialNoiseScale, 1);
  assertEquals(steps.map(({ timestep }) => timestep), [...timesteps]);
  steps.forEach((step, i) => {
    const { sample, predictedNoise } = ddimStepCoefficients(coefficients[i]);
    assertEquals(step.coefficients, [sample, predictedNoise]);
    const { image, noise } = step.level;
    assertAlmostEquals(image ** 2, coefficients[i].alpha, 1e-12);
    assertAlmostEquals(noise ** 2, 1 - coefficients[i].alpha, 1e-12);
  });
});
