/**
 * Chooses a sampler by name, and makes it for a model.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { ddimSampler } from "./ddim.ts";
import { DISTILLED } from "./ddim_config.ts";
import { makers } from "./families.ts";
import { OwnSettings, type SchedulerConfig } from "./own_settings.ts";
import type { Sampler } from "./sampler.ts";
import {
  families,
  findClass,
  findSampler,
  type FoundSampler,
  isModelSampler,
  MODEL_SAMPLER,
  type NamedSampler,
  namedSamplers,
  samplerNames,
} from "./sampler_names.ts";
import { findSchedule, type ScheduleName } from "./schedule_names.ts";

/** What is asked of a sampler. */
export interface SamplerChoice {
  /** Its name; the model's default where not given. */
  readonly sampler?: string;
  /** Its schedule; the sampler's own where not given. */
  readonly schedule?: string;
  /** Share of the noise that it adds; the sampler's own where not given. */
  readonly eta?: number;
}

/** The sampler that a model's scheduler config names. */
function ofModel({ file }: SchedulerConfig): FoundSampler {
  const name = file._class_name ?? "DDIMScheduler";
  const entry = typeof name === "string" ? findClass(name) : undefined;
  if (entry) return { entry, isClass: true };
  throw new MasterWeaverError(
    "bad-option",
    `Option sampler is ${MODEL_SAMPLER}, but the model's scheduler config names ${
      String(name).slice(0, 60)
    }: give one of ${samplerNames.join(", ")}`,
  );
}

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
  const { entry, isClass, ...found } = isModelSampler(name)
    ? ofModel(config)
    : findSampler(name);
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
  if (isClass && entry.family !== "ddim") own.check();
  return makers[entry.family]({
    name: entry.name,
    config,
    own,
    schedule: chosen,
    isFromConfig: isClass,
    eta: eta ?? families[entry.family].eta ?? 0,
  });
}

function checkFits(
  { name, family }: NamedSampler,
  schedule: ScheduleName | undefined,
  eta: number | undefined,
): void {
  const { schedules, eta: ownEta } = families[family];
  if (schedule !== undefined && !schedules.includes(schedule)) {
    throw new MasterWeaverError(
      "bad-option",
      `Option schedule must be one that ${name} has, ${
        schedules.join(", ")
      }, got ${schedule}`,
    );
  }
  if (eta !== undefined && ownEta === undefined) {
    const having = namedSamplers.filter(({ family }) =>
      families[family].eta !== undefined
    );
    throw new MasterWeaverError(
      "bad-option",
      `Option eta does nothing with ${name}: give it with ${
        having.map(({ name }) => name).join(", ")
      }`,
    );
  }
}
