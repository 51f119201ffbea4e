/**
 * Makes each family of samplers from settings by diffusers' names.
 *
 * @module
 */
import { alignedTimesteps } from "./align_your_steps.ts";
import { ddimSampler } from "./ddim.ts";
import { deisSampler } from "./deis.ts";
import { lcmSampler, tcdSampler } from "./distilled.ts";
import { dpmMultistepSampler } from "./dpm_multistep.ts";
import { dpmppSdeSampler } from "./dpm_sde.ts";
import { dpmSinglestepSampler } from "./dpm_singlestep.ts";
import { eulerAncestralSampler, eulerSampler } from "./euler.ts";
import type { TimestepSpacing } from "./noise_levels.ts";
import type { OwnSettings, SchedulerConfig } from "./own_settings.ts";
import { plmsSampler } from "./plms.ts";
import type { Sampler } from "./sampler.ts";
import type { FamilyName } from "./sampler_names.ts";
import type { ScheduleName } from "./schedule_names.ts";
import type { SigmaRule, SigmaSamplerOptions } from "./sigmas.ts";
import { TrainingSigmas } from "./training_sigmas.ts";
import {
  dpm2AncestralSampler,
  dpm2Sampler,
  dpmpp2sAncestralSampler,
  heunSampler,
} from "./two_call.ts";
import { unipcSampler } from "./unipc.ts";

/** What a family is made from. */
export interface FamilyOptions {
  /** As AUTOMATIC1111 calls the sampler. */
  readonly name: string;
  /** What the model was trained with. */
  readonly config: SchedulerConfig;
  /** Settings of the steps. */
  readonly own: OwnSettings;
  /** The schedule that was asked for; the settings' own where not given. */
  readonly schedule?: ScheduleName;
  /** Whether the settings may ask for Karras' levels or exponential ones. */
  readonly isFromConfig: boolean;
  /** Share of the noise that is added. */
  readonly eta: number;
}

/** Makes a sampler of a kind. */
export type Maker = (options: FamilyOptions) => Sampler;

/** The rule of a sampler that takes any schedule. */
function ruleOf(
  { own, schedule, isFromConfig }: FamilyOptions,
): SigmaRule {
  const stepsOffset = own.stepsOffset();
  const rule = (
    curve: SigmaRule["curve"],
    timestepSpacing: TimestepSpacing = own.spacing("linspace"),
  ) => ({ curve, timestepSpacing, stepsOffset });
  switch (schedule) {
    case "leading":
    case "trailing":
    case "linspace":
      return rule("timesteps", schedule);
    case "SGM Uniform":
      return rule("timesteps", "trailing");
    case "Karras":
      return rule("karras");
    case "Exponential":
      return rule("exponential");
    case "Align Your Steps":
      return rule("align_your_steps");
  }
  if (!isFromConfig) return rule("timesteps");
  return rule(
    own.flag("use_karras_sigmas", false)
      ? "karras"
      : own.flag("use_exponential_sigmas", false)
      ? "exponential"
      : "timesteps",
  );
}

/** The spacing of a sampler that knows no σ. */
function spacingOf(
  schedule: ScheduleName | undefined,
  own: TimestepSpacing,
): TimestepSpacing {
  switch (schedule) {
    case "leading":
    case "trailing":
    case "linspace":
      return schedule;
    case "SGM Uniform":
      return "trailing";
    default:
      return own;
  }
}

/** Timesteps that are chosen by themselves; undefined for other schedules. */
function alignedOf({ config, schedule }: FamilyOptions) {
  if (schedule !== "Align Your Steps") return undefined;
  const training = new TrainingSigmas(config, true);
  return (steps: number) => alignedTimesteps(training, steps);
}

/** A maker of a sampler in σ, which differs from others only in what makes it. */
function free(
  make: (
    options: SigmaSamplerOptions & { readonly eta: number },
    own: OwnSettings,
  ) => Sampler,
): Maker {
  return (options) => {
    const { name, config: noise, own, eta } = options;
    return make({ name, noise, rule: ruleOf(options), eta }, own);
  };
}

const end = (own: OwnSettings) =>
  own.word("final_sigmas_type", ["zero", "sigma_min"]);
const addsNoise = (own: OwnSettings) =>
  own.word("algorithm_type", ["dpmsolver++", "sde-dpmsolver++"], ["deis"]) ===
    "sde-dpmsolver++";
const OTHER_TYPES = ["midpoint", "heun", "logrho", "bh1", "bh2"];

/** Makes a sampler of each kind. */
export const makers: Readonly<Record<FamilyName, Maker>> = {
  ddim(options) {
    const { config, schedule, eta } = options;
    const timestepSpacing = spacingOf(schedule, config.timestepSpacing);
    const timesteps = alignedOf(options);
    return ddimSampler({ ...config, timestepSpacing }, { eta, timesteps });
  },

  plms: ({ name, config, own, schedule }) =>
    plmsSampler(name, {
      ...config,
      timestepSpacing: spacingOf(schedule, own.spacing("leading")),
      stepsOffset: own.stepsOffset(),
      setAlphaToOne: own.flag("set_alpha_to_one", false),
    }),

  euler: free((options, own) => eulerSampler({ ...options, end: end(own) })),
  eulerAncestral: free(eulerAncestralSampler),
  heun: free(heunSampler),
  dpm2: free(dpm2Sampler),
  dpm2Ancestral: free(dpm2AncestralSampler),
  dpmpp2sAncestral: free(dpmpp2sAncestralSampler),

  dpmppSde: free((options, own) => {
    const seed = own.integer("noise_sampler_seed", -1, -1, 2 ** 53 - 1);
    const noiseSeed = seed < 0 ? undefined : seed;
    return dpmppSdeSampler({ ...options, noiseSeed });
  }),

  dpmMultistep: free((options, own) =>
    dpmMultistepSampler({
      ...options,
      solverOrder: own.order(),
      addsNoise: addsNoise(own),
      solverType: own.word("solver_type", ["midpoint", "heun"], OTHER_TYPES),
      lowerOrderFinal: own.flag("lower_order_final", true),
      eulerAtFinal: own.flag("euler_at_final", false),
      end: end(own),
    })
  ),

  dpmSinglestep: free((options, own) =>
    dpmSinglestepSampler({
      ...options,
      // It knows no other spacing.
      rule: { ...options.rule, timestepSpacing: "linspace" },
      solverOrder: own.order(),
      addsNoise: addsNoise(own),
      solverType: own.word("solver_type", ["midpoint", "heun"], OTHER_TYPES),
      lowerOrderFinal: own.flag("lower_order_final", false),
      end: end(own),
    })
  ),

  deis: free((options, own) =>
    deisSampler({
      ...options,
      solverOrder: own.order(),
      lowerOrderFinal: own.flag("lower_order_final", true),
    })
  ),

  unipc: free((options, own) =>
    unipcSampler({
      ...options,
      solverOrder: own.order(),
      predictX0: own.flag("predict_x0", true),
      solverType: own.word("solver_type", ["bh2", "bh1"], OTHER_TYPES),
      lowerOrderFinal: own.flag("lower_order_final", true),
      disableCorrector: own.integers("disable_corrector"),
      end: end(own),
    })
  ),

  lcm: (options) =>
    lcmSampler({
      name: options.name,
      noise: options.config,
      originalSteps: originalSteps(options),
      timestepScaling: options.own.positive("timestep_scaling", 10),
      timesteps: alignedOf(options),
    }),

  tcd: (options) =>
    tcdSampler({
      name: options.eta > 0 ? options.name : `${options.name} without noise`,
      noise: options.config,
      originalSteps: originalSteps(options),
      eta: options.eta,
      timesteps: alignedOf(options),
    }),
};

function originalSteps({ own, config }: FamilyOptions): number {
  return own.integer("original_inference_steps", 50, 1, config.trainSteps);
}
