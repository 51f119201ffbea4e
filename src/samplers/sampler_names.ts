/**
 * The names of samplers, as AUTOMATIC1111, ComfyUI and diffusers spell them, and which
 * schedules each may have.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest.ts";
import {
  findSchedule,
  plainName,
  type ScheduleName,
  scheduleSpellings,
} from "./schedule_names.ts";

/** What samplers of one kind have in common. */
export interface Family {
  /** Its class in diffusers; undefined where it has none. */
  readonly className?: string;
  /** Schedules that it may have. */
  readonly schedules: readonly ScheduleName[];
  /** Its share of added noise, where that can be chosen. */
  readonly eta?: number;
}

const SPACINGS: readonly ScheduleName[] = [
  "leading",
  "trailing",
  "linspace",
  "SGM Uniform",
];
const CURVES: readonly ScheduleName[] = [
  "Karras",
  "Exponential",
  "Align Your Steps",
];
const ALL = [...SPACINGS, ...CURVES];

/** A kind of samplers. */
export type FamilyName =
  | "ddim"
  | "plms"
  | "euler"
  | "eulerAncestral"
  | "heun"
  | "dpm2"
  | "dpm2Ancestral"
  | "dpmpp2sAncestral"
  | "dpmppSde"
  | "dpmMultistep"
  | "dpmSinglestep"
  | "deis"
  | "unipc"
  | "lcm"
  | "tcd";

/** All kinds of samplers. */
export const families: Readonly<Record<FamilyName, Family>> = {
  ddim: {
    className: "DDIMScheduler",
    schedules: [...SPACINGS, "Align Your Steps"],
    eta: 0,
  },
  plms: { className: "PNDMScheduler", schedules: SPACINGS },
  euler: { className: "EulerDiscreteScheduler", schedules: ALL },
  eulerAncestral: {
    className: "EulerAncestralDiscreteScheduler",
    schedules: ALL,
    eta: 1,
  },
  heun: { className: "HeunDiscreteScheduler", schedules: ALL },
  dpm2: { className: "KDPM2DiscreteScheduler", schedules: ALL },
  dpm2Ancestral: {
    className: "KDPM2AncestralDiscreteScheduler",
    schedules: ALL,
    eta: 1,
  },
  dpmpp2sAncestral: { schedules: ALL, eta: 1 },
  dpmppSde: { className: "DPMSolverSDEScheduler", schedules: ALL, eta: 1 },
  dpmMultistep: { className: "DPMSolverMultistepScheduler", schedules: ALL },
  dpmSinglestep: {
    className: "DPMSolverSinglestepScheduler",
    schedules: ["linspace", ...CURVES],
  },
  deis: { className: "DEISMultistepScheduler", schedules: ALL },
  unipc: { className: "UniPCMultistepScheduler", schedules: ALL },
  lcm: { className: "LCMScheduler", schedules: ["Align Your Steps"] },
  tcd: { className: "TCDScheduler", schedules: ["Align Your Steps"], eta: 0.3 },
};

/** A sampler by name. */
export interface NamedSampler {
  /** As AUTOMATIC1111 spells it, or diffusers' class without `Scheduler`. */
  readonly name: string;
  /** Its kind. */
  readonly family: FamilyName;
  /** Settings that the name implies, by diffusers' names. */
  readonly fixed?: Readonly<Record<string, unknown>>;
  /** ComfyUI's and k-diffusion's names, where they differ in more than case and signs. */
  readonly others?: readonly string[];
}

const PLUS = { algorithm_type: "dpmsolver++" };
const SDE = { algorithm_type: "sde-dpmsolver++" };

/** The samplers, in the order in which people are shown them. */
export const namedSamplers: readonly NamedSampler[] = [
  { name: "DDIM", family: "ddim" },
  { name: "PLMS", family: "plms", others: ["PNDM"] },
  { name: "Euler", family: "euler" },
  {
    name: "Euler a",
    family: "eulerAncestral",
    others: ["euler_ancestral"],
  },
  { name: "Heun", family: "heun" },
  { name: "DPM2", family: "dpm2" },
  {
    name: "DPM2 a",
    family: "dpm2Ancestral",
    others: ["dpm_2_ancestral"],
  },
  {
    name: "DPM++ 2M",
    family: "dpmMultistep",
    fixed: { ...PLUS, solver_order: 2, solver_type: "midpoint" },
  },
  {
    name: "DPM++ 2M SDE",
    family: "dpmMultistep",
    fixed: { ...SDE, solver_order: 2, solver_type: "midpoint" },
    others: ["dpmpp_2m_sde_gpu"],
  },
  {
    name: "DPM++ 2M SDE Heun",
    family: "dpmMultistep",
    fixed: { ...SDE, solver_order: 2, solver_type: "heun" },
  },
  {
    name: "DPM++ 2S a",
    family: "dpmpp2sAncestral",
    others: ["dpmpp_2s_ancestral"],
  },
  { name: "DPM++ SDE", family: "dpmppSde", others: ["dpmpp_sde_gpu"] },
  {
    name: "DPM++ 3M SDE",
    family: "dpmMultistep",
    fixed: { ...SDE, solver_order: 3, solver_type: "midpoint" },
    others: ["dpmpp_3m_sde_gpu"],
  },
  { name: "UniPC", family: "unipc", others: ["uni_pc"] },
  { name: "DEIS", family: "deis" },
  { name: "LCM", family: "lcm" },
  { name: "TCD", family: "tcd" },
];

/** Names of diffusers' classes, in {@linkcode plainName}'s form. */
const byClass = new Map(
  Object.entries(families).flatMap(([family, { className }]) => {
    if (className === undefined) return [];
    const name = className.replace("Scheduler", "");
    const entry: NamedSampler = { name, family: family as FamilyName };
    return [className, `${name}ParallelScheduler`, name].map((spelling) =>
      [plainName(spelling), entry] as const
    );
  }),
);

const byName = new Map(
  namedSamplers.flatMap((entry) =>
    [entry.name, ...entry.others ?? []].map((name) =>
      [plainName(name), entry] as const
    )
  ),
);

/** Names of samplers, as AUTOMATIC1111 spells them. */
export const samplerNames: readonly string[] = namedSamplers.map(({ name }) =>
  name
);

/** Stands for the sampler that the model's scheduler config names. */
export const MODEL_SAMPLER = "model";

/**
 * Every name of {@linkcode samplerNames}, also with a schedule, those of diffusers'
 * classes, and {@linkcode MODEL_SAMPLER}.
 */
export const samplerSpellings: readonly string[] = [
  ...namedSamplers.flatMap(({ name, family }) => [
    name,
    ...families[family].schedules.map((schedule) => `${name} ${schedule}`),
  ]),
  ...Object.values(families).flatMap(({ className }) => className ?? []),
  MODEL_SAMPLER,
];

/** What AUTOMATIC1111's `Schedule type: Automatic` means for samplers with one that is not plain. */
const AUTOMATIC: Readonly<Record<string, ScheduleName>> = {
  "DPM2": "Karras",
  "DPM2 a": "Karras",
  "DPM++ 2M": "Karras",
  "DPM++ 2S a": "Karras",
  "DPM++ SDE": "Karras",
  "DPM++ 2M SDE": "Exponential",
  "DPM++ 2M SDE Heun": "Exponential",
  "DPM++ 3M SDE": "Exponential",
};

/**
 * The schedule that AUTOMATIC1111 gives a sampler by itself.
 *
 * @param name as AUTOMATIC1111 spells it
 */
export function automaticSchedule(name: string): ScheduleName | undefined {
  return AUTOMATIC[name];
}

/** What a name stands for. */
export interface FoundSampler {
  /** The sampler. */
  readonly entry: NamedSampler;
  /** The schedule that ends the name. */
  readonly schedule?: ScheduleName;
  /** Whether it is a class of diffusers, whose settings are the model's config's. */
  readonly isClass: boolean;
}

/** Whether a name stands for the sampler that the model's config names. */
export function isModelSampler(name: string): boolean {
  return plainName(name) === MODEL_SAMPLER;
}

/** What is chosen beside a sampler, where its kind has that. */
export interface BesideSampler {
  /** Name of a schedule. */
  readonly schedule?: string;
  /** Share of the noise that is added. */
  readonly eta?: number;
}

/**
 * What was chosen beside another sampler and can stay with this one.
 *
 * @param name of this one; {@linkcode MODEL_SAMPLER} takes all from the model
 */
export function keptBeside(
  name: string,
  { schedule, eta }: BesideSampler,
): BesideSampler {
  const found = search(name);
  if (!found) return {};
  const { schedules, eta: ownEta } = families[found.entry.family];
  const wanted = schedule === undefined ? undefined : findSchedule(schedule);
  const fits = wanted !== undefined && found.schedule === undefined &&
    schedules.includes(wanted);
  return {
    ...fits && { schedule },
    ...eta !== undefined && ownEta !== undefined && { eta },
  };
}

/** The class of diffusers with a name; undefined where there is none here. */
export function findClass(name: string): NamedSampler | undefined {
  return byClass.get(plainName(name));
}

/** What a name that {@linkcode findSampler} refuses should have been. */
export function samplerFault(name: string): string | undefined {
  return isModelSampler(name) || search(name)
    ? undefined
    : `a sampler's name, ${suggestion(name)}`;
}

/** The names that one is like, or all where it is like none. */
function suggestion(name: string): string {
  const near = nearestNames(name.slice(0, 60), samplerNames, 3);
  return near.length > 0
    ? `such as ${near.join(", ")}`
    : `one of ${samplerNames.join(", ")}`;
}

/**
 * Finds a sampler by a name that may end with a schedule.
 *
 * @param name anything but {@linkcode MODEL_SAMPLER}
 * @throws {MasterWeaverError} `bad-option` naming those that are most alike
 *
 * @example
 * ```ts
 * import { findSampler } from "./sampler_names.ts";
 *
 * const { entry, schedule } = findSampler("dpmpp_2m karras");
 * console.log(entry.name, schedule); // DPM++ 2M Karras
 * ```
 */
export function findSampler(name: string): FoundSampler {
  const found = search(name);
  if (found) return found;
  throw new MasterWeaverError(
    "bad-option",
    `Option sampler must be ${samplerFault(name)}, got ${
      JSON.stringify(name.slice(0, 60))
    }`,
  );
}

function search(name: string): FoundSampler | undefined {
  const plain = plainName(name);
  // k-diffusion's functions, and AUTOMATIC1111's older names: `k_euler_a`.
  return find(plain) ?? find(plain.replace(/^(sample|k)/, ""));
}

function find(plain: string): FoundSampler | undefined {
  const whole = ofPlainName(plain);
  if (whole) return whole;
  for (const [spelling, schedule] of scheduleSpellings) {
    if (!plain.endsWith(spelling)) continue;
    const found = ofPlainName(plain.slice(0, -spelling.length));
    if (found) return { ...found, schedule };
  }
}

function ofPlainName(plain: string): FoundSampler | undefined {
  const entry = byName.get(plain);
  if (entry) return { entry, isClass: false };
  const ofClass = byClass.get(plain);
  return ofClass && { entry: ofClass, isClass: true };
}
