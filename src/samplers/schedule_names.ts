/**
 * The names of schedules, as AUTOMATIC1111, ComfyUI and diffusers spell them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest.ts";

/** A schedule, as AUTOMATIC1111 spells it where it has one, else as diffusers does. */
export type ScheduleName =
  | "leading"
  | "trailing"
  | "linspace"
  | "Karras"
  | "Exponential"
  | "SGM Uniform"
  | "Align Your Steps";

/** All schedules. */
export const scheduleNames: readonly ScheduleName[] = [
  "leading",
  "trailing",
  "linspace",
  "Karras",
  "Exponential",
  "SGM Uniform",
  "Align Your Steps",
];

/** Other spellings, in {@linkcode plainName}'s form. */
const OTHERS: Readonly<Record<string, ScheduleName>> = {
  uniform: "linspace",
  normal: "linspace",
  ays: "Align Your Steps",
  usekarrassigmas: "Karras",
  useexponentialsigmas: "Exponential",
};

/** What AUTOMATIC1111 calls the schedule that the sampler has by itself. */
const AUTOMATIC = "automatic";

/** Spellings of schedules that end the names of samplers. */
export const scheduleSpellings: ReadonlyMap<string, ScheduleName> = new Map([
  ...scheduleNames.map((name) => [plainName(name), name] as const),
  ...Object.entries(OTHERS),
]);

/** A name without case, blanks and signs; `+` is `p`, as ComfyUI writes it. */
export function plainName(name: string): string {
  return name.slice(0, 100).toLowerCase().replaceAll("+", "p")
    .replace(/[^a-z0-9]/g, "");
}

/** Whether a name leaves the schedule to the sampler. */
export function isAutomatic(name: string): boolean {
  return plainName(name) === AUTOMATIC;
}

/** What a name that {@linkcode findSchedule} refuses should have been. */
export function scheduleFault(name: string): string | undefined {
  return isAutomatic(name) || scheduleSpellings.has(plainName(name))
    ? undefined
    : `a schedule's name, such as ${
      nearestNames(name.slice(0, 60), scheduleNames, 3, Infinity).join(", ")
    }`;
}

/**
 * Finds a schedule by its name.
 *
 * @returns undefined for the sampler's own
 * @throws {MasterWeaverError} `bad-option` naming those that are most alike
 */
export function findSchedule(name: string): ScheduleName | undefined {
  if (isAutomatic(name)) return undefined;
  const found = scheduleSpellings.get(plainName(name));
  if (found !== undefined) return found;
  throw new MasterWeaverError(
    "bad-option",
    `Option schedule must be ${scheduleFault(name)}, got ${
      JSON.stringify(name.slice(0, 60))
    }`,
  );
}
