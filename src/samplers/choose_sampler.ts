/**
 * Chooses a sampler by the name that AUTOMATIC1111, ComfyUI or diffusers gives it.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest.ts";
import { ddimSampler } from "./ddim.ts";
import * as families from "./families.ts";
import type { Family } from "./families.ts";
import { OwnSettings, type SchedulerConfig } from "./own_settings.ts";
import type { Sampler } from "./sampler.ts";
import {
  findSchedule,
  plainName,
  type ScheduleName,
  scheduleSpellings,
} from "./schedule_names.ts";

/** A sampler by name. */
interface NamedFamily {
  /** As AUTOMATIC1111 spells it. */
  readonly name: string;
  readonly family: Family;
  /** Settings that the name implies, by diffusers' names. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  /** ComfyUI's and k-diffusion's names, where they differ in more than case and signs. */
  readonly others?: readonly string[];
}

const PLUS = { algorithm_type: "dpmsolver++" };
const SDE = { algorithm_type: "sde-dpmsolver++" };

/** The samplers, in the order in which people are shown them. */
const named: readonly NamedFamily[] = [
  { name: "DDIM", family: families.ddim },
  { name: "PLMS", family: families.plms, others: ["PNDM"] },
  { name: "Euler", family: families.euler },
  {
    name: "Euler a",
    family: families.eulerAncestral,
    others: ["euler_ancestral"],
  },
  { name: "Heun", family: families.heun },
  { name: "DPM2", family: families.dpm2 },
  {
    name: "DPM2 a",
    family: families.dpm2Ancestral,
    others: ["dpm_2_ancestral"],
  },
  {
    name: "DPM++ 2M",
    family: families.dpmMultistep,
    fixed: { ...PLUS, solver_order: 2, solver_type: "midpoint" },
  },
  {
    name: "DPM++ 2M SDE",
    family: families.dpmMultistep,
    fixed: { ...SDE, solver_order: 2, solver_type: "midpoint" },
    others: ["dpmpp_2m_sde_gpu"],
  },
  {
    name: "DPM++ 2M SDE Heun",
    family: families.dpmMultistep,
    fixed: { ...SDE, solver_order: 2, solver_type: "heun" },
  },
  {
    name: "DPM++ 2S a",
    family: families.dpmpp2sAncestral,
    others: ["dpmpp_2s_ancestral"],
  },
  { name: "DPM++ SDE", family: families.dpmppSde, others: ["dpmpp_sde_gpu"] },
  {
    name: "DPM++ 3M SDE",
    family: families.dpmMultistep,
    fixed: { ...SDE, solver_order: 3, solver_type: "midpoint" },
    others: ["dpmpp_3m_sde_gpu"],
  },
  { name: "UniPC", family: families.unipc, others: ["uni_pc"] },
  { name: "DEIS", family: families.deis },
  { name: "LCM", family: families.lcm },
  { name: "TCD", family: families.tcd },
];

/** Names of diffusers' classes, in {@linkcode plainName}'s form. */
const classes = new Map<string, NamedFamily>(
  Object.values(families).flatMap((family) => {
    const { className } = family;
    if (className === undefined) return [];
    // Settings come from the config, where a name like DPM++ 2M would imply them.
    const name = className.replace("Scheduler", "");
    const entry = { name, family };
    return [
      [plainName(className), entry] as const,
      [plainName(className.replace("Scheduler", "ParallelScheduler")), entry],
      [plainName(name), entry] as const,
    ];
  }),
);

const byName = new Map<string, NamedFamily>(
  named.flatMap((entry) =>
    [entry.name, ...entry.others ?? []].map((name) =>
      [plainName(name), entry] as const
    )
  ),
);

/** Names of samplers, as AUTOMATIC1111 spells them. */
export const samplerNames: readonly string[] = named.map(({ name }) => name);

/** Stands for the sampler that the model's scheduler config names. */
export const MODEL_SAMPLER = "model";

/** What is asked of a sampler. */
export interface SamplerChoice {
  /** Its name; the model's default where not given. */
  readonly sampler?: string;
  /** Its schedule; the sampler's own where not given. */
  readonly schedule?: string;
  /** Share of the noise that it adds; the sampler's own where not given. */
  readonly eta?: number;
}

interface Found {
  readonly entry: NamedFamily;
  readonly schedule?: ScheduleName;
  readonly isFromConfig: boolean;
}

/**
 * Finds a sampler by a name that may end with a schedule.
 *
 * @returns its name as AUTOMATIC1111 spells it, or diffusers' class without
 * `Scheduler`, and the schedule that ends the name
 * @throws {MasterWeaverError} `bad-option` naming those that are most alike
 *
 * @example
 * ```ts
 * import { findSampler } from "./choose_sampler.ts";
 *
 * console.log(findSampler("dpm++ 2m karras")); // { name: "DPM++ 2M", schedule: "Karras" }
 * ```
 */
export function findSampler(
  name: string,
): { readonly name: string; readonly schedule?: ScheduleName } {
  if (plainName(name) === MODEL_SAMPLER) return { name: MODEL_SAMPLER };
  const { entry, schedule } = find(name);
  return { name: entry.name, ...schedule && { schedule } };
}

function find(name: string): Found {
  const plain = plainName(name);
  const ofClass = classes.get(plain);
  const whole = byName.get(plain);
  if (whole) return { entry: whole, isFromConfig: false };
  if (ofClass) return { entry: ofClass, isFromConfig: true };
  for (const [spelling, schedule] of scheduleSpellings) {
    if (!plain.endsWith(spelling)) continue;
    const rest = plain.slice(0, -spelling.length);
    const entry = byName.get(rest) ?? classes.get(rest);
    if (entry) {
      return { entry, schedule, isFromConfig: !byName.has(rest) };
    }
  }
  throw new MasterWeaverError(
    "bad-option",
    `Option sampler must be a sampler's name, got ${
      JSON.stringify(name.slice(0, 60))
    }; did you mean ${nearestNames(name, samplerNames, 3).join(", ")}?`,
  );
}

/** The sampler that a model's scheduler config names. */
function ofModel({ file }: SchedulerConfig): Found {
  const name = file._class_name ?? "DDIMScheduler";
  const entry = typeof name === "string"
    ? classes.get(plainName(name))
    : undefined;
  if (entry) return { entry, isFromConfig: true };
  throw new MasterWeaverError(
    "bad-option",
    `Option sampler is ${MODEL_SAMPLER}, but the model's scheduler config names ${
      String(name).slice(0, 60)
    }: give one of ${samplerNames.join(", ")}`,
  );
}

/** Models that only their own sampler makes good images with. */
const DISTILLED: readonly unknown[] = ["LCMScheduler", "TCDScheduler"];

/**
 * The sampler for a choice and a model.
 *
 * Without a name it is DDIM, as in the reference, for all but distilled models.
 *
 * @param config the model's scheduler
 * @throws {MasterWeaverError} `bad-option`, `bad-model`
 */
export function chooseSampler(
  config: SchedulerConfig,
  { sampler, schedule, eta }: SamplerChoice,
): Sampler {
  const isDistilled = DISTILLED.includes(config.file._class_name);
  const isPlain = sampler === undefined && schedule === undefined &&
    eta === undefined;
  if (isPlain && !isDistilled) return ddimSampler(config);
  const name = sampler ?? (isDistilled ? MODEL_SAMPLER : "DDIM");
  const { entry, isFromConfig, ...found } = plainName(name) === MODEL_SAMPLER
    ? ofModel(config)
    : find(name);
  const asked = schedule === undefined ? undefined : findSchedule(schedule);
  const chosen = found.schedule ?? asked;
  if (asked && found.schedule && asked !== found.schedule) {
    throw new MasterWeaverError(
      "bad-option",
      `Option schedule is ${asked}, but the sampler's name says ${found.schedule}: give one of them`,
    );
  }
  checkFits(entry, chosen, eta);
  const own = new OwnSettings(config, entry.fixed);
  if (isFromConfig && entry.family !== families.ddim) own.check();
  return entry.family.make({
    name: entry.name,
    config,
    own,
    schedule: chosen,
    isFromConfig,
    eta: eta ?? entry.family.eta ?? 0,
  });
}

function checkFits(
  { name, family }: NamedFamily,
  schedule: ScheduleName | undefined,
  eta: number | undefined,
): void {
  const { schedules } = family;
  if (schedule !== undefined && !schedules.includes(schedule)) {
    throw new MasterWeaverError(
      "bad-option",
      `Option schedule must be one that ${name} has, ${
        schedules.join(", ")
      }, got ${schedule}`,
    );
  }
  if (eta !== undefined && family.eta === undefined) {
    const having = named.filter(({ family }) => family.eta !== undefined);
    throw new MasterWeaverError(
      "bad-option",
      `Option eta does nothing with ${name}: give it with ${
        having.map(({ name }) => name).join(", ")
      }`,
    );
  }
}
