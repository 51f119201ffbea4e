/**
 * Samplers and schedules by the names that AUTOMATIC1111's web UI has for them.
 *
 * @module
 */
import { nearestNames } from "../../base/nearest.ts";
import type { Settings } from "../../options/settings.ts";
import {
  automaticSchedule,
  families,
  type FamilyName,
  findSampler,
  isModelSampler,
  type NamedSampler,
  namedSamplers,
  samplerFault,
} from "../../samplers/sampler_names.ts";
import {
  findSchedule,
  plainName,
  scheduleFault,
  type ScheduleName,
} from "../../samplers/schedule_names.ts";
import { badField } from "../errors.ts";

/** The sampler of requests that name none, as there. */
const DEFAULT = "Euler";

/** The fields that choose a sampler. */
export interface SamplerFields {
  /** Its name, perhaps with a schedule at the end. */
  readonly sampler_name?: string | null;
  /** The same; counts where there is no `sampler_name`. */
  readonly sampler_index?: string | null;
  /** The schedule of noise levels. */
  readonly scheduler?: string | null;
  /** Share of the noise that the sampler adds. */
  readonly eta?: number | null;
}

/** Eta where a request has none, from its options. */
export interface EtaOptions {
  /** Of DDIM. */
  readonly eta_ddim?: number;
  /** Of samplers that add noise. */
  readonly eta_ancestral?: number;
}

/** What a request's fields choose. */
export type SamplerSettings =
  & Pick<Settings, "schedule" | "eta">
  & Required<Pick<Settings, "sampler">>;

/** Samplers that take no schedule there. */
const WITHOUT_SCHEDULE: readonly FamilyName[] = ["ddim", "plms", "unipc"];
/** Names of what such samplers have by themselves. */
const THEIR_OWN = ["uniform", "ddim"];
/** Names that leave the choice to the sampler. */
const NO_CHOICE = ["", "automatic", "usesamescheduler"];

/** Samplers that run the UNet twice in a step. */
const TWO_CALLS: readonly FamilyName[] = [
  "heun",
  "dpm2",
  "dpm2Ancestral",
  "dpmpp2sAncestral",
  "dpmppSde",
];

/** Other names of samplers there, where they are not ours in small letters. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  "Euler": ["k_euler"],
  "Euler a": ["k_euler_a", "k_euler_ancestral"],
  "Heun": ["k_heun"],
  "DPM2": ["k_dpm_2"],
  "DPM2 a": ["k_dpm_2_a"],
  "DPM++ 2M": ["k_dpmpp_2m"],
  "DPM++ 2M SDE": ["k_dpmpp_2m_sde"],
  "DPM++ 2M SDE Heun": ["k_dpmpp_2m_sde_heun"],
  "DPM++ 2S a": ["k_dpmpp_2s_a"],
  "DPM++ SDE": ["k_dpmpp_sde"],
  "DPM++ 3M SDE": ["k_dpmpp_3m_sde"],
  "LCM": ["k_lcm"],
};
const byAlias = new Map(
  Object.entries(ALIASES).flatMap(([name, aliases]) =>
    aliases.map((alias) => [alias, name] as const)
  ),
);
/** Ends of the aliases of names with a schedule, as they were before webui 1.9. */
const ALIAS_ENDS: Readonly<Record<string, string>> = {
  _ka: " Karras",
  _exp: " Exponential",
};

/** A schedule as it is listed there. */
export interface ListedSchedule {
  /** What requests call it. */
  readonly name: string;
  /** What people call it, and requests may, too. */
  readonly label: string;
  /** Other names. */
  readonly aliases: readonly string[] | null;
  /** The exponent of its curve; −1 where it has none. */
  readonly default_rho: number;
  /** Whether it depends on the model's timesteps. */
  readonly need_inner_model: boolean;
}

function listed(
  label: string,
  aliases: string[] | null = null,
): ListedSchedule {
  return {
    name: label.toLowerCase().replaceAll(" ", "_"),
    label,
    aliases,
    default_rho: label === "Karras" ? 7 : -1,
    need_inner_model: /Uniform|Normal/.test(label),
  };
}

/** The schedules, by that program's names where it has one. */
export const listedSchedules: readonly ListedSchedule[] = [
  listed("Automatic"),
  listed("Uniform", ["linspace"]),
  listed("Karras"),
  listed("Exponential"),
  listed("SGM Uniform", ["SGMUniform"]),
  listed("Align Your Steps"),
  listed("Normal"),
  listed("Leading"),
  listed("Trailing"),
];

/** The samplers, by that program's names and with its aliases. */
export const listedSamplers: readonly Readonly<Record<string, unknown>>[] =
  namedSamplers.map(({ name, family }) => {
    const schedule = automaticSchedule(name);
    return {
      name,
      aliases: ALIASES[name] ?? [name.toLowerCase()],
      options: {
        ...schedule && { scheduler: schedule.toLowerCase() },
        ...TWO_CALLS.includes(family) && { second_order: true },
      },
    };
  });

/**
 * Reads the fields that choose a sampler.
 *
 * @throws {ApiError} 400 `bad-request` naming the nearest names, or what does not go together
 */
export function readSampler(
  fields: SamplerFields,
  options: EtaOptions,
): SamplerSettings {
  const { sampler_name, sampler_index, scheduler } = fields;
  const field = sampler_name || !sampler_index
    ? "sampler_name"
    : "sampler_index";
  const given = sampler_name || sampler_index || DEFAULT;
  const name = withoutAlias(given);
  if (isModelSampler(name)) return { sampler: name };
  const fault = samplerFault(name);
  if (fault !== undefined) {
    throw badField(field, `must be ${fault}, got ${given.slice(0, 40)}`);
  }
  const { entry, isClass, schedule: ending } = findSampler(name);
  const asked = readSchedule(scheduler ?? "", entry);
  if (asked && ending && asked !== ending) {
    throw badField(
      "scheduler",
      `is ${asked}, but the sampler's name says ${ending}: give one of them`,
    );
  }
  const schedule = ending ?? asked ??
    (isClass ? undefined : automaticSchedule(entry.name));
  checkFits(entry, schedule, ending ? field : "scheduler");
  const eta = readEta(fields.eta, entry, options);
  return {
    sampler: isClass ? name : entry.name,
    ...schedule !== undefined && { schedule },
    ...eta !== undefined && { eta },
  };
}

function withoutAlias(name: string): string {
  const small = name.slice(0, 60).toLowerCase();
  const own = byAlias.get(small);
  if (own !== undefined) return own;
  for (const [end, schedule] of Object.entries(ALIAS_ENDS)) {
    if (!small.endsWith(end)) continue;
    const own = byAlias.get(small.slice(0, -end.length));
    if (own !== undefined) return own + schedule;
  }
  return name;
}

/** The schedule that a request asks for; undefined for the sampler's own. */
function readSchedule(
  name: string,
  { family }: NamedSampler,
): ScheduleName | undefined {
  const plain = plainName(name);
  const isOwn = WITHOUT_SCHEDULE.includes(family) && THEIR_OWN.includes(plain);
  if (isOwn || NO_CHOICE.includes(plain)) return undefined;
  if (scheduleFault(name) === undefined) return findSchedule(name);
  const labels = listedSchedules.map(({ label }) => label);
  throw badField(
    "scheduler",
    `must be a schedule's name, such as ${
      nearestNames(name.slice(0, 60), labels, 3, Infinity).join(", ")
    }, got ${name.slice(0, 40)}`,
  );
}

function checkFits(
  { name, family }: NamedSampler,
  schedule: ScheduleName | undefined,
  field: string,
): void {
  const { schedules } = families[family];
  if (schedule === undefined || schedules.includes(schedule)) return;
  throw badField(
    field,
    `must be a schedule that ${name} has, ${
      schedules.join(", ")
    }, got ${schedule}`,
  );
}

/** Eta, where it is not what the sampler has by itself. */
function readEta(
  given: number | null | undefined,
  { name, family, fixed }: NamedSampler,
  options: EtaOptions,
): number | undefined {
  const isStochastic = String(fixed?.algorithm_type).startsWith("sde");
  const own = families[family].eta ?? (isStochastic ? 1 : undefined);
  const option = family === "ddim" ? "eta_ddim" : "eta_ancestral";
  // As there, an option for other samplers does nothing to this one.
  const eta = given ?? (own === undefined ? undefined : options[option]);
  if (eta === undefined || eta === own) return undefined;
  if (families[family].eta !== undefined) return eta;
  // Clients that fill in every field send 1, whatever the sampler.
  if (!isStochastic && (eta === 0 || eta === 1)) return undefined;
  throw badField(
    given == null ? `override_settings.${option}` : "eta",
    isStochastic
      ? `must be 1 with ${name}, got ${eta}`
      : `does nothing with ${name}: give 0 or 1, got ${eta}`,
  );
}
