/**
 * Types of the command's options about ControlNets, each of which may be typed once
 * for every ControlNet. `String(value)` writes what `parse` reads.
 *
 * @module
 */
import { formatValue, formatWord } from "../base/format_value.ts";
import { choice, fractions, number, type OptionType } from "./types.ts";

/** What is made of a control image first: nothing, its edges or its faces. */
export type ControlPreprocess = "none" | "canny" | "face";

/** All that may be made of a control image. */
export const CONTROL_PREPROCESSORS: readonly ControlPreprocess[] = [
  "none",
  "canny",
  "face",
];

/** The largest scale of a ControlNet, and the largest negative one. */
export const MAX_CONTROL_SCALE = 10;

/** The fractions of the steps between which a ControlNet runs. */
export type ControlFractions = readonly [from: number, to: number];

/** A list whose items are separated by commas, or typed one by one. */
function list<T>(
  item: OptionType<T>,
  lists: string,
  length = 1,
): OptionType<readonly T[]> {
  return {
    ...item,
    form: "values",
    range: item.range,
    schema: undefined,
    fault: (value) => {
      if (!Array.isArray(value) || value.length === 0) return lists;
      for (const one of value) {
        const fault = item.fault(one);
        if (fault !== undefined) return fault;
      }
    },
    show: formatValue,
    parse: (text) => {
      const parts = text.split(",");
      if (parts.length % length !== 0) return undefined;
      const values = Array.from(
        { length: parts.length / length },
        (_, i) =>
          item.parse(
            parts.slice(i * length, (i + 1) * length)
              .map((part) => part.trim()).join(","),
          ),
      );
      return values.every((value) => value !== undefined) ? values : undefined;
    },
  };
}

/** Names or files of ControlNets. */
export const controlNets: OptionType<readonly string[]> = list({
  form: "value",
  placeholder: "FILE|NAME",
  fault: (value) =>
    typeof value === "string" && value !== "" && !value.includes(",")
      ? undefined
      : "a name or a file's path, without commas",
  show: formatValue,
  parse: (text) => text === "" ? undefined : text,
  takes: () => "needs a name or a path",
}, "a list of names or paths");

/** Scales of ControlNets. */
export const controlScales: OptionType<readonly number[]> = list(
  number(-MAX_CONTROL_SCALE, MAX_CONTROL_SCALE),
  "a list of numbers",
);

/** Fractions of the steps between which ControlNets run. */
export const controlRanges: OptionType<readonly ControlFractions[]> = list(
  fractions,
  "a list of two fractions each",
  2,
);

/** What is made of control images first. */
export const controlPreprocessors: OptionType<readonly ControlPreprocess[]> =
  list(
    {
      ...choice(...CONTROL_PREPROCESSORS),
      show: formatWord,
    },
    "a list of words",
  );
