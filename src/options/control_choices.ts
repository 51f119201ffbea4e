/**
 * ControlNets with what was asked of each, from lists that may hold one value for all.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { ControlPreprocess } from "./control_types.ts";
import type { CommandChoices } from "./settings.ts";

/** A ControlNet by name, and how it is used. */
export interface ControlChoice {
  /** Its file's name without ending, or its path. */
  readonly name: string;
  /** What it says is multiplied by this; 1 where not given. */
  readonly scale?: number;
  /** The fraction of the steps from which it runs; 0 where not given. */
  readonly start?: number;
  /** The fraction of the steps up to which it runs; 1 where not given. */
  readonly end?: number;
  /** What is made of its image first; nothing where not given. */
  readonly preprocess?: ControlPreprocess;
}

/** ControlNets, and lists with one value for all of them or one for each. */
export type ControlLists = Partial<
  Pick<
    CommandChoices,
    "controlnet" | "controlScale" | "controlRange" | "controlPreprocess"
  >
>;

/**
 * Gives each ControlNet its values.
 *
 * @throws {MasterWeaverError} `bad-option` where a list has another length
 *
 * @example
 * ```ts
 * import { controlChoices } from "./control_choices.ts";
 *
 * const choices = controlChoices({
 *   controlnet: ["canny", "face"],
 *   controlScale: [0.8],
 *   controlRange: [[0, 0.5], [0, 1]],
 * });
 * console.log(choices[0]); // { name: "canny", scale: 0.8, start: 0, end: 0.5 }
 * ```
 */
export function controlChoices(given: ControlLists): ControlChoice[] {
  const { controlnet: names = [], ...lists } = given;
  const { controlScale, controlRange, controlPreprocess } = lists;
  checkLengths({ controlScale, controlRange, controlPreprocess }, names.length);
  return names.map((name, i): ControlChoice => {
    const scale = valueOf(controlScale, i);
    const range = valueOf(controlRange, i);
    const preprocess = valueOf(controlPreprocess, i);
    return {
      name,
      ...scale !== undefined && { scale },
      ...range && { start: range[0], end: range[1] },
      ...preprocess !== undefined && { preprocess },
    };
  });
}

/** The value of one of several ControlNets: its own, or the one for all. */
function valueOf<T>(
  values: readonly T[] | undefined,
  index: number,
): T | undefined {
  return values?.length === 1 ? values[0] : values?.[index];
}

function checkLengths(
  lists: Readonly<Record<string, readonly unknown[] | undefined>>,
  nets: number,
): void {
  for (const [name, values] of Object.entries(lists)) {
    if (!values || values.length === 1 || values.length === nets) continue;
    throw new MasterWeaverError(
      "bad-option",
      `Option ${name} takes one value, or one for each ControlNet, got ${values.length} for ${nets}`,
    );
  }
}
