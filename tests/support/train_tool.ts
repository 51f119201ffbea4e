/**
 * `tools/train.ts` in tests: in this process or in one of its own.
 *
 * @module
 */
import { readOptions } from "../../tools/tool.ts";
import { OPTIONS, type TrainValues } from "../../tools/train/options.ts";
import { repositoryPath } from "./paths.ts";

/** The mini model. */
export const MODEL = repositoryPath("weights/mini");

/** Options of the tool: a value, or `true` for one without. */
export type Given = Readonly<Record<string, string | number | true>>;

/** Options as they are typed. */
export function typedOptions(given: Given): string[] {
  return Object.entries(given).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)]
  );
}

/** Options as the tool reads them. */
export function trainValues(given: Given): TrainValues {
  const read = readOptions(typedOptions(given), OPTIONS);
  if (read === "help") throw new Error("Help was asked for");
  return read.values;
}
