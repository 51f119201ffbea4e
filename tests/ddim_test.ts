import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertThrows,
} from "@std/assert";
import {
  ddimSampler,
  ddimSchedule,
  ddimStepCoefficients,
  readDdimConfig,
} from "../src/samplers/ddim.ts";
import { alphasCumprod } from "../src/samplers/noise_levels.ts";
import { otherSampler } from "../src/samplers/ddim_config.ts";
import { MasterWeaverError } from "../src/base/errors.ts";

const golden: {
  timesteps: Record<string, number[]>;
  alphas_cumprod: number[];
} = JSON.parse(
  await Deno.readTextFile(
    new URL("goldens/schedule.json", import.meta.url),
  ),
);

/** Stable Diffusion's own scheduler_config.json. */
const stableDiffusion = {
  _class_name: "DDIMScheduler",
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
  prediction_type: "epsilon",
};
const config = readDdimConfig(stableDiffusion, "test");

Deno.test("ddim: the noise levels are PyTorch's to the last bit", () => {
  const alphas = alphasCumprod(config);
  assertEquals(alphas.length, 1000);
  assertEquals(Array.from(alphas), golden.alphas_cumprod.map(Math.fround));
});

Deno.test("ddim: the timesteps are diffusers' for every step count known", () => {
  for (const [steps, timesteps] of Object.entries(golden.timesteps)) {
    const schedule = ddimSchedule(config, Number(steps));
    assertEquals(Array.from(schedule.timesteps), timesteps, `${steps} steps`);
    assertEquals(schedule.coefficients.length, timesteps.length);
  }
});

Deno.test("ddim: every step count from 1 to 1000 stays inside the levels", () => {
  for (let steps = 1; steps <= 1000; steps++) {
    const { timesteps, coefficients } = ddimSchedule(config, steps);
    assertEquals(timesteps.length, steps);
    assertEquals(timesteps[steps - 1], 1);
    for (let i = 0; i < steps; i++) {
      assert(timesteps[i] >= 1 && timesteps[i] <= 999);
      const { alpha, alphaPrev } = coefficients[i];
      assert(alpha > 0 && alpha <= alphaPrev && alphaPrev < 1);
    }
  }
  const first = ddimStepCoefficients(
    ddimSchedule(config, 1000).coefficients[0],
  );
  assertEquals(first, { sample: 1, predictedNoise: 0 });
});

/** `DDIMScheduler(timestep_spacing=…).set_timesteps(n)` of diffusers 0.42. */
const spread: ["linspace" | "trailing", number[]][] = [
  ["linspace", [0]],
  ["linspace", [999, 500, 0]],
  ["linspace", [999, 832, 666, 500, 333, 166, 0]],
  ["linspace", [
    999,
    932,
    866,
    799,
    733,
    666,
    599,
    533,
    466,
    400,
    333,
    266,
    200,
    133,
    67,
    0,
  ]],
  ["trailing", [999]],
  ["trailing", [999, 666, 332]],
  ["trailing", [999, 856, 713, 570, 428, 285, 142]],
  ["trailing", [
    999,
    937,
    874,
    811,
    749,
    687,
    624,
    561,
    499,
    437,
    374,
    311,
    249,
    187,
    124,
    61,
  ]],
];
for (const [timestep_spacing, expected] of spread) {
  const steps = expected.length;
  Deno.test(`ddim: ${steps} steps of ${timestep_spacing} are diffusers'`, () => {
    const spaced = readDdimConfig(
      { ...stableDiffusion, timestep_spacing },
      "test",
    );
    const { timesteps, coefficients } = ddimSchedule(spaced, steps);
    assertEquals(Array.from(timesteps), expected);
    const alphas = golden.alphas_cumprod.map(Math.fround);
    for (const [i, t] of expected.entries()) {
      const previous = t - Math.floor(1000 / steps);
      assertEquals(coefficients[i].alpha, alphas[t]);
      assertEquals(coefficients[i].alphaPrev, alphas[Math.max(previous, 0)]);
    }
  });
}

Deno.test("ddim: a step leads where the next one starts, the last to level 0", () => {
  const { coefficients } = ddimSchedule(config, 30);
  const alphas = golden.alphas_cumprod.map(Math.fround);
  for (let i = 0; i + 1 < 30; i++) {
    assertEquals(coefficients[i].alphaPrev, coefficients[i + 1].alpha);
  }
  assertEquals(coefficients[29].alphaPrev, alphas[0]);
  const toNothing = readDdimConfig(
    { ...stableDiffusion, set_alpha_to_one: true },
    "test",
  );
  assertEquals(ddimSchedule(toNothing, 30).coefficients[29].alphaPrev, 1);
});

Deno.test("ddim: the folded step equals predicting the picture and renoising", () => {
  for (const alphas of ddimSchedule(config, 50).coefficients) {
    const { alpha, alphaPrev } = alphas;
    const { sample, predictedNoise } = ddimStepCoefficients(alphas);
    const [x, noise] = [0.7, -1.3];
    const clean = (x - Math.sqrt(1 - alpha) * noise) / Math.sqrt(alpha);
    const expected = Math.sqrt(alphaPrev) * clean +
      Math.sqrt(1 - alphaPrev) * noise;
    // Both in float64, from numbers of size 1.
    assertAlmostEquals(sample * x + predictedNoise * noise, expected, 1e-14);
  }
});

Deno.test("ddim: step counts outside 1..1000 are refused with the number", () => {
  for (const steps of [0, -1, 1001, 1.5, NaN, Infinity]) {
    const error = assertThrows(
      () => ddimSchedule(config, steps),
      MasterWeaverError,
      `got ${steps}`,
    );
    assertEquals(error.code, "bad-option");
  }
});

Deno.test("ddim: a config this schedule cannot follow is refused by key", () => {
  const cases: [string, unknown][] = [
    ["prediction_type", "sample"],
    ["clip_sample", true],
    ["thresholding", true],
    ["timestep_spacing", "karras"],
    ["trained_betas", [0.1]],
    ["beta_schedule", "squaredcos_cap_v2"],
    ["beta_start", 0],
    ["beta_end", "0.012"],
    ["num_train_timesteps", 1e9],
    ["steps_offset", -3],
    ["set_alpha_to_one", 1],
    ["rescale_betas_zero_snr", 1],
    ["use_karras_sigmas", true],
    ["variance_type", "learned_range"],
    ["_class_name", "FlowMatchEulerDiscreteScheduler"],
    ["_class_name", 7],
  ];
  for (const [key, value] of cases) {
    const error = assertThrows(
      () => readDdimConfig({ ...stableDiffusion, [key]: value }, "x.weave"),
      MasterWeaverError,
      key,
    );
    assertEquals(error.code, "bad-model");
  }
  for (const value of [null, 3, "x", []]) {
    assertThrows(() => readDdimConfig(value, "x"), MasterWeaverError, "object");
  }
});

/** What diffusers writes for Stable Diffusion 1.5 with other samplers. */
const training = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  trained_betas: null,
};
const samplers: Record<string, object> = {
  PNDMScheduler: { skip_prk_steps: true, steps_offset: 1, clip_sample: false },
  EulerDiscreteScheduler: {
    prediction_type: "epsilon",
    timestep_spacing: "linspace",
    interpolation_type: "linear",
    use_karras_sigmas: true,
    use_exponential_sigmas: false,
    final_sigmas_type: "zero",
    steps_offset: 0,
  },
  EulerAncestralDiscreteScheduler: { timestep_spacing: "trailing" },
  LMSDiscreteScheduler: { use_beta_sigmas: true },
  DPMSolverMultistepScheduler: {
    algorithm_type: "dpmsolver++",
    solver_order: 2,
    solver_type: "midpoint",
    thresholding: true,
    sample_max_value: 2,
    lower_order_final: true,
    lambda_min_clipped: -Infinity,
    timestep_spacing: "linspace",
    use_karras_sigmas: false,
    variance_type: null,
    final_sigmas_type: "zero",
  },
  DEISMultistepScheduler: { algorithm_type: "deis", solver_type: "logrho" },
  UniPCMultistepScheduler: { solver_p: null, predict_x0: true },
  HeunDiscreteScheduler: { clip_sample: true },
  DDPMScheduler: { variance_type: "fixed_small", clip_sample: false },
};

for (const [name, more] of Object.entries(samplers)) {
  Deno.test(`ddim: a config of ${name} means the noise it was trained on`, () => {
    const json = { _class_name: name, ...training, ...more };
    const read = readDdimConfig(json, "x");
    assertEquals(read, config);
    assertEquals(otherSampler(json)?.name, name);
  });
}

Deno.test("ddim: DDIM's own config is DDIM's, with diffusers' defaults", () => {
  const read = readDdimConfig({ _class_name: "DDIMScheduler" }, "x");
  assertEquals(read, {
    trainSteps: 1000,
    betaStart: 0.0001,
    betaEnd: 0.02,
    betaSchedule: "linear",
    prediction: "epsilon",
    zeroTerminalSnr: false,
    setAlphaToOne: true,
    stepsOffset: 0,
    timestepSpacing: "leading",
  });
  assertEquals(otherSampler({ _class_name: "DDIMScheduler" }), undefined);
  assertEquals(otherSampler({}), undefined);
});

Deno.test("ddim: of another sampler, the training noise stays what is computed", () => {
  const cases: [string, unknown][] = [
    ["prediction_type", "flow_prediction"],
    ["rescale_betas_zero_snr", "yes"],
    ["use_flow_sigmas", true],
    ["beta_schedule", "squaredcos_cap_v2"],
    ["trained_betas", [0.1]],
    ["beta_start", NaN],
    ["num_train_timesteps", Infinity],
  ];
  for (const [key, value] of cases) {
    const json = { _class_name: "EulerDiscreteScheduler", ...training };
    assertThrows(
      () => readDdimConfig({ ...json, [key]: value }, "x"),
      MasterWeaverError,
      key,
    );
  }
});

Deno.test("ddim: no message is about a key that is not in the file", () => {
  for (const key of Object.keys(stableDiffusion)) {
    const { [key]: _, ...rest } = stableDiffusion as Record<string, unknown>;
    readDdimConfig(rest, "x");
  }
  for (const name of Object.keys(samplers)) {
    readDdimConfig({ _class_name: name }, "x");
  }
});

Deno.test("ddim: from pure noise, all of it may be new at every step count", () => {
  const config = readDdimConfig({
    ...stableDiffusion,
    prediction_type: "v_prediction",
    rescale_betas_zero_snr: true,
    timestep_spacing: "trailing",
  }, "test");
  const sampler = ddimSampler(config, { eta: 1 });
  for (let steps = 1; steps <= 60; steps++) {
    const { coefficients } = sampler.schedule(steps).steps[0];
    assert(
      coefficients.every(Number.isFinite),
      `${steps} steps: ${coefficients.join(", ")}`,
    );
  }
});
