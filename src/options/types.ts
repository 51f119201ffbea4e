/**
 * Types of options: what a value must be, how it is read from a text, and how
 * it is described to other programs. `String` writes what `parse` reads.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { shown, shownWord } from "../base/shown.ts";
import type { FaceChoice } from "../face/finder.ts";

/** A value's description in JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What an option may be, whoever gives it. */
export interface OptionType<T> {
  /**
   * How it is typed: with a value, with values that come one by one, as
   * `--name` and `--no-name`, or as `--name` alone.
   */
  readonly form: "value" | "values" | "pair" | "switch";
  /** What stands for a value in `--help`; empty where none is typed. */
  readonly placeholder: string;
  /** Its limits in `--help`, where they are worth a word. */
  readonly range?: string;
  /** What a value must be, where this one is not. */
  readonly fault: (value: unknown) => string | undefined;
  /** A wrong value in a message. */
  readonly show: (value: unknown) => string;
  /** The value of a text; nothing where it is none. */
  readonly parse: (text: string) => T | undefined;
  /** What a text must be that `parse` does not take, with its verb. */
  readonly takes: (text: string) => string;
  /** Describes a value in JSON; nothing where none is sent. */
  readonly schema?: JsonSchema;
}

/**
 * Checks a value.
 *
 * @param name the option's, for the message
 * @throws {MasterWeaverError} `bad-option` that names the option, what it must be and what was given
 */
export function checkValue(
  name: string,
  { fault, show }: Pick<OptionType<unknown>, "fault" | "show">,
  value: unknown,
): void {
  const expected = fault(value);
  if (expected === undefined) return;
  throw new MasterWeaverError(
    "bad-option",
    `Option ${name} must be ${expected}, got ${show(value)}`,
  );
}

/** What most types have in common. */
const plain = {
  form: "value",
  show: shown,
  takes: () => "takes a number",
} as const;

/** Numbers as people write them: in decimal, with no blanks around them. */
const WHOLE = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function decimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}

/** Any text. */
export const text: OptionType<string> = {
  ...plain,
  placeholder: "TEXT",
  fault: (value) => typeof value === "string" ? undefined : "a text",
  parse: (text) => text,
  schema: { type: "string" },
};

/** A file or folder. */
export function path(placeholder: "FILE" | "DIR"): OptionType<string> {
  return {
    ...plain,
    placeholder,
    fault: (value) =>
      typeof value === "string" && value !== "" ? undefined : "a file's path",
    parse: (text) => text === "" ? undefined : text,
    takes: () => "needs a path",
  };
}

/** Several files, each with the option's name before it. */
export const paths: OptionType<readonly string[]> = {
  ...path("FILE"),
  form: "values",
  fault: (value) =>
    Array.isArray(value) &&
      value.every((path) => path && typeof path === "string")
      ? undefined
      : "a list of files' paths",
  parse: (text) => text === "" ? undefined : [text],
};

/** A whole number within limits. */
export function integer(
  least: number,
  most: number,
  multiple = 1,
): OptionType<number> {
  return {
    ...plain,
    placeholder: "N",
    range: `${least}..${most}`,
    fault: (value) => {
      const isWithin = Number.isInteger(value) && Number(value) >= least &&
        Number(value) <= most;
      if (!isWithin) return `a whole number in ${least}..${most}`;
      return Number(value) % multiple === 0
        ? undefined
        : `a multiple of ${multiple}`;
    },
    parse: (text) => WHOLE.test(text) ? Number(text) : undefined,
    takes: (text) => `takes a ${DECIMAL.test(text) ? "whole " : ""}number`,
    schema: {
      type: "integer",
      minimum: least,
      maximum: most,
      ...multiple !== 1 && { multipleOf: multiple },
    },
  };
}

/** A number within limits. */
export function number(
  least: number,
  most: number,
  placeholder = "X",
): OptionType<number> {
  return {
    ...plain,
    placeholder,
    range: `${least}..${most}`,
    fault: (value) =>
      typeof value === "number" && value >= least && value <= most
        ? undefined
        : `a number in ${least}..${most}`,
    parse: decimal,
    schema: { type: "number", minimum: least, maximum: most },
  };
}

/** A side of an image, in pixels: only a model knows its limits. */
export function side(most: number): OptionType<number> {
  return {
    ...integer(1, most),
    range: undefined,
    fault: (value) => typeof value === "number" ? undefined : "a whole number",
  };
}

/** One of some words. */
export function choice<const W extends string>(...words: W[]): OptionType<W> {
  const expected = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return {
    ...plain,
    placeholder: words.join("|"),
    fault: (value) =>
      words.some((word) => word === value) ? undefined : expected,
    show: shownWord,
    // Of a wrong word `fault` says which there are.
    parse: (text) => text as W,
    schema: { enum: words },
  };
}

/** Yes or no; `--no-name` is no. */
export const yesOrNo: OptionType<boolean> = {
  ...plain,
  form: "pair",
  placeholder: "",
  fault: (value) => typeof value === "boolean" ? undefined : "true or false",
  parse: (text) =>
    text === "true" ? true : text === "false" ? false : undefined,
  takes: () => "takes true or false",
  schema: { type: "boolean" },
};

/** Yes where it is typed. */
export const switched: OptionType<boolean> = { ...yesOrNo, form: "switch" };

const LEAST_SEED = -(2n ** 63n), MOST_SEED = 2n ** 64n - 1n;

/** A seed of PyTorch's generators. */
export const seed: OptionType<number | bigint> = {
  ...plain,
  placeholder: "N",
  fault: (value) => {
    const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
    if (isWhole) {
      const bits = BigInt(value as number | bigint);
      if (bits >= LEAST_SEED && bits <= MOST_SEED) return undefined;
    }
    const expected = "a whole number from -2^63 to 2^64 - 1";
    // Between the integers that a number holds there are others.
    return Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 64
      ? `${expected}; beyond ±(2^53 - 1) a bigint, such as ${2n ** 60n}n`
      : expected;
  },
  parse: (text) =>
    /^-?\d+$/.test(text) ? BigInt(text.slice(0, 100)) : undefined,
  takes: () => "takes a whole number",
  // JSON's readers round what a number does not hold: such a seed is a text.
  schema: {
    anyOf: [
      {
        type: "integer",
        minimum: Number.MIN_SAFE_INTEGER,
        maximum: Number.MAX_SAFE_INTEGER,
      },
      { type: "string", pattern: "^-?[0-9]{1,20}$" },
    ],
  },
};

/** One of several faces: by its number, or by how it stands out. */
export const face: OptionType<FaceChoice> = {
  ...plain,
  placeholder: "N|best|largest",
  fault: (value) =>
    value === "best" || value === "largest" ||
      (Number.isInteger(value) && Number(value) >= 0)
      ? undefined
      : "best, largest or a whole number from 0",
  show: shownWord,
  parse: (text) => {
    if (text === "best" || text === "largest") return text;
    return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  },
  takes: () => "takes a number from 0, best or largest",
  schema: {
    anyOf: [{ enum: ["best", "largest"] }, { type: "integer", minimum: 0 }],
  },
};

/** From one fraction of the steps to another. */
export const fractions: OptionType<readonly [from: number, to: number]> = {
  ...plain,
  placeholder: "FROM,TO",
  fault: (value) => {
    const ends: unknown[] = Array.isArray(value) ? value : [];
    const [from, to] = ends;
    const isRange = ends.length === 2 && typeof from === "number" &&
      typeof to === "number" && 0 <= from && from < to && to <= 1;
    return isRange
      ? undefined
      : "two rising fractions of the steps in 0..1, such as 0,0.5";
  },
  parse: (text) => {
    const [from, to, ...more] = text.split(",").map((part) =>
      decimal(part.trim())
    );
    return from === undefined || to === undefined || more.length > 0
      ? undefined
      : [from, to];
  },
  takes: () => "takes two numbers, such as 0,0.5",
  schema: {
    type: "array",
    items: { type: "number", minimum: 0, maximum: 1 },
    minItems: 2,
    maxItems: 2,
  },
};
