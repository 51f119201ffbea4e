/**
 * The names of samplers and schedules: every spelling finds its sampler, and what
 * nobody knows is refused with what is most alike.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { chooseSampler } from "../src/samplers/choose_sampler.ts";
import type { SamplerChoice } from "../src/samplers/choose_sampler.ts";
import { checkSchedule } from "../src/samplers/check_schedule.ts";
import { readSchedulerConfig } from "../src/samplers/own_settings.ts";
import {
  findSampler,
  keptBeside,
  samplerFault,
  samplerNames,
  samplerSpellings,
} from "../src/samplers/sampler_names.ts";
import { scheduleFault } from "../src/samplers/schedule_names.ts";

const sd15 = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
};

function choose(choice: SamplerChoice, config: object = {}) {
  return chooseSampler(
    readSchedulerConfig({ ...sd15, ...config }, "test"),
    choice,
  );
}

Deno.test("sampler names: programs' spellings mean the same", () => {
  const cases: [string, string, string?][] = [
    ["DPM++ 2M Karras", "DPM++ 2M", "Karras"],
    ["dpmpp_2m karras", "DPM++ 2M", "Karras"],
    ["DPM++ 2M SDE Heun Exponential", "DPM++ 2M SDE Heun", "Exponential"],
    ["euler_ancestral", "Euler a"],
    ["k_euler_a", "Euler a"],
    ["k_dpm_2", "DPM2"],
    ["sample_dpmpp_2m karras", "DPM++ 2M", "Karras"],
    ["EULER A", "Euler a"],
    ["dpm_2_ancestral", "DPM2 a"],
    ["dpmpp_2s_ancestral", "DPM++ 2S a"],
    ["uni_pc", "UniPC"],
    ["DPM++ SDE SGM Uniform", "DPM++ SDE", "SGM Uniform"],
    ["Euler ays", "Euler", "Align Your Steps"],
    ["DPMSolverMultistepScheduler", "DPMSolverMultistep"],
    ["eulerdiscretescheduler", "EulerDiscrete"],
    ["DDIMParallelScheduler", "DDIM"],
  ];
  for (const [given, name, schedule] of cases) {
    const found = findSampler(given);
    assertEquals([found.entry.name, found.schedule], [name, schedule], given);
  }
});

Deno.test("sampler names: every spelling makes a sampler that can be run", () => {
  for (const sampler of samplerSpellings) {
    if (sampler === "model") continue;
    const made = choose({ sampler });
    const steps = made.schedule(10);
    checkSchedule(made, steps, 0);
  }
  assertEquals(samplerNames.length, 17);
});

Deno.test("sampler names: unknown ones are refused with the nearest", () => {
  const cases: [SamplerChoice, string][] = [
    [
      { sampler: "DPM++ 2N" },
      "Option sampler must be a sampler's name, such as DPM++ 2M, ",
    ],
    [{ sampler: "" }, "Option sampler must be a sampler's name"],
    [{ sampler: "x".repeat(5000) }, "Option sampler must be"],
    [
      { sampler: "Euler", schedule: "Karas" },
      "Option schedule must be a schedule's name, such as Karras",
    ],
    [
      { sampler: "Euler Karras", schedule: "Exponential" },
      "Option schedule is Exponential, but the sampler's name says Karras",
    ],
    [
      { sampler: "PLMS", schedule: "Karras" },
      "Option schedule must be one that PLMS has, leading, trailing, linspace, SGM Uniform, got Karras",
    ],
    [{ schedule: "Karras" }, "Option schedule must be one that DDIM has"],
    [
      { sampler: "Euler", eta: 0.5 },
      "Option eta does nothing with Euler: give it with DDIM, Euler a, ",
    ],
  ];
  for (const [choice, message] of cases) {
    const error = assertThrows(
      () => choose(choice),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-option");
    assert(error.message.length < 300);
  }
  assertEquals(samplerFault("model"), undefined);
  assertEquals(scheduleFault("Automatic"), undefined);
  assert(samplerFault("DPM fast")?.includes("DPM"));
});

Deno.test("sampler names: the default is DDIM but for distilled models", () => {
  assertEquals(choose({}).name, "ddim");
  const lcm = { _class_name: "LCMScheduler" };
  assertEquals(choose({}, lcm).name, "LCM");
  assertEquals(choose({ sampler: "Euler" }, lcm).name, "Euler");
  const euler = { _class_name: "EulerDiscreteScheduler" };
  assertEquals(choose({}, euler).name, "ddim");
  assertEquals(choose({ sampler: "model" }, euler).name, "EulerDiscrete");
});

Deno.test("sampler names: what a config asks for in vain is named", () => {
  const cases: [object, string, string][] = [
    [
      { _class_name: "LMSDiscreteScheduler" },
      "names LMSDiscreteScheduler: give one of DDIM, PLMS",
      "bad-option",
    ],
    [
      { _class_name: "EulerDiscreteScheduler", use_beta_sigmas: true },
      "use_beta_sigmas true, expected false",
      "bad-model",
    ],
    [
      { _class_name: "UniPCMultistepScheduler", solver_order: 5 },
      "solver_order 5, expected a whole number in 1..3",
      "bad-model",
    ],
    [
      { _class_name: "DPMSolverMultistepScheduler", algorithm_type: "dpm" },
      'algorithm_type "dpm", expected dpmsolver++ or sde-dpmsolver++',
      "bad-model",
    ],
    [
      { _class_name: "DPMSolverMultistepScheduler", thresholding: true },
      "thresholding true, expected false",
      "bad-model",
    ],
    [
      { _class_name: "LCMScheduler", timestep_scaling: -1 },
      "timestep_scaling -1, expected a number above 0",
      "bad-model",
    ],
  ];
  for (const [config, message, code] of cases) {
    const error = assertThrows(
      () => choose({ sampler: "model" }, config),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, code);
  }
});

Deno.test("sampler names: so many steps that a schedule cannot have are refused", () => {
  const cases: [SamplerChoice, number, string][] = [
    [{ sampler: "LCM" }, 51, "Steps of LCM must be at most the 50"],
    [{ sampler: "Euler" }, 1001, "Steps must be a whole number in 1..1000"],
    [
      { sampler: "DPM++ 2M", schedule: "ays" },
      300,
      "Steps of the schedule Align Your Steps must be so few",
    ],
  ];
  for (const [choice, steps, message] of cases) {
    const error = assertThrows(
      () => choose(choice).schedule(steps),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-option");
  }
  // A model whose last level has no image at all cannot predict noise there.
  const config = { rescale_betas_zero_snr: true };
  const ddim = choose({ schedule: "trailing" }, config);
  assertThrows(
    () => checkSchedule(ddim, ddim.schedule(4), 0),
    MasterWeaverError,
    "not finite",
  );
});

Deno.test("samplers: more steps than a schedule has levels are refused", () => {
  const sampler = choose({ sampler: "DPM++ 2M" });
  const error = assertThrows(
    () => checkSchedule(sampler, sampler.schedule(1000), 0),
    MasterWeaverError,
    "Cannot run sampler DPM++ 2M: step 500 of 1000 has factors that are not finite (Infinity, ",
  );
  assertMatch(error.message, /; give fewer steps or another schedule$/);
  checkSchedule(sampler, sampler.schedule(999), 0);
});

Deno.test("samplers: another one keeps the schedule and eta that it has, too", () => {
  const before = { schedule: "karras", eta: 0.4 };
  const kept: [string, object][] = [
    ["DPM2 a", before],
    ["UniPC", { schedule: "karras" }],
    ["DDIM", { eta: 0.4 }],
    ["DPM++ 2M Exponential", {}],
    ["PLMS", {}],
    ["model", {}],
  ];
  for (const [name, expected] of kept) {
    assertEquals(keptBeside(name, before), expected, name);
  }
  assertEquals(keptBeside("Euler", {}), {});
});
