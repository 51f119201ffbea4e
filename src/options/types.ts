/**
 * Types of options: what a value must be, how it is read from text, and how it
 * is described to other programs. `String(value)` writes what `parse` reads.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatValue, formatWord } from "../base/format_value.ts";
import type { FaceChoice } from "../face/finder.ts";
import type { FaceChoices } from "../identity/references.ts";
import { OUTPAINT_PATTERN, outpaintSides } from "./outpaint.ts";
import { samplerFault, samplerSpellings } from "../samplers/sampler_names.ts";
import { scheduleFault, scheduleNames } from "../samplers/schedule_names.ts";

/** A value's description in JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The type of an option, however it is given. */
export interface OptionType<T> {
  /**
   * How it is typed: with one value, several times with one value each, as
   * `--name` or `--no-name`, or as `--name` alone.
   */
  readonly form: "value" | "values" | "pair" | "switch";
  /** What stands between several values in one text, where it may be typed several times. */
  readonly joins?: string;
  /** What stands for a value in `--help`; empty where none is typed. */
  readonly placeholder: string;
  /** Its limits in `--help`, where they are worth showing. */
  readonly range?: string;
  /** What a value must be, where this one is wrong; else undefined. */
  readonly fault: (value: unknown) => string | undefined;
  /** Shows a wrong value in a message. */
  readonly show: (value: unknown) => string;
  /** Reads a value from text; undefined where it cannot. */
  readonly parse: (text: string) => T | undefined;
  /** What a text that `parse` refuses should have been, with a verb. */
  readonly takes: (text: string) => string;
  /** Describes a value in JSON; undefined where it is never sent. */
  readonly schema?: JsonSchema;
}

/**
 * Checks a value.
 *
 * @param name the option's, for the message
 * @throws {MasterWeaverError} `bad-option` naming the option, what it must be and what was given
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
  show: formatValue,
  takes: () => "takes a number",
} as const;

/** Numbers as people write them: in decimal, with no blanks around them. */
const WHOLE = /^[+-]?\d+$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function decimal(text: string): number | undefined {
  return DECIMAL.test(text) ? Number(text) : undefined;
}

/** What {@linkcode outpaint} must be. */
const SIDES =
  "sides with the pixels added there, up to 2048, such as left=64,top=32";

/** Any text. */
export const text: OptionType<string> = {
  ...plain,
  placeholder: "TEXT",
  fault: (value) => typeof value === "string" ? undefined : "a string",
  parse: (text) => text,
  schema: { type: "string" },
};

/** By how much an image is extended at its sides. */
export const outpaint: OptionType<string> = {
  ...plain,
  placeholder: "SIDES",
  fault: (value) =>
    typeof value === "string" && outpaintSides(value) ? undefined : SIDES,
  show: formatWord,
  parse: (text) => text,
  schema: { type: "string", pattern: OUTPAINT_PATTERN },
};

/** A name that a function knows or not. */
function named(
  fault: (name: string) => string | undefined,
  expected: string,
  schema: JsonSchema,
): OptionType<string> {
  return {
    ...plain,
    placeholder: "NAME",
    fault: (value) => typeof value === "string" ? fault(value) : expected,
    show: formatWord,
    parse: (text) => text,
    schema,
  };
}

/** A sampler's name. */
export const samplerName: OptionType<string> = named(
  samplerFault,
  "a sampler's name",
  { enum: samplerSpellings },
);

/** A schedule's name. */
export const scheduleName: OptionType<string> = named(
  scheduleFault,
  "a schedule's name",
  { enum: scheduleNames },
);

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

/** What makes images larger: a word, an upscaler's name, or its file. */
export const upscalerName: OptionType<string> = {
  ...path("FILE"),
  placeholder: "NAME",
  fault: (value) =>
    typeof value === "string" && value !== "" && value.length <= 4096
      ? undefined
      : "lanczos, or an upscaler's name or file",
  takes: () => "needs an upscaler's name, its file, or lanczos",
  schema: { type: "string", pattern: "^[\\s\\S]{1,4096}$" },
};

/** Several files, each after the option's name. */
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
    show: formatWord,
    // For a wrong word, `fault` lists the right ones.
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

/** True where it is typed. */
export const switched: OptionType<boolean> = { ...yesOrNo, form: "switch" };

const MIN_SEED = -(2n ** 63n), MAX_SEED = 2n ** 64n - 1n;

/** A seed of PyTorch's generators. */
export const seed: OptionType<number | bigint> = {
  ...plain,
  placeholder: "N",
  fault: (value) => {
    const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
    if (isWhole) {
      const bits = BigInt(value as number | bigint);
      if (bits >= MIN_SEED && bits <= MAX_SEED) return undefined;
    }
    const expected = "a whole number from -2^63 to 2^64 - 1";
    // A number this large cannot hold every integer.
    return Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 64
      ? `${expected}; beyond ±(2^53 - 1) a bigint, such as ${2n ** 60n}n`
      : expected;
  },
  parse: (text) => WHOLE.test(text) ? BigInt(text.slice(0, 100)) : undefined,
  takes: () => "takes a whole number",
  // JSON readers round integers that a number cannot hold: those are strings.
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

/** More references than any model takes. */
const MOST_FACES = 16;
const faceSchema: JsonSchema = {
  anyOf: [{ enum: ["best", "largest"] }, { type: "integer", minimum: 0 }],
};

/**
 * One of several faces, by its number, or the best or largest; or a list with
 * one choice for each photo.
 */
export const face: OptionType<FaceChoices> = {
  ...plain,
  placeholder: "N|best|largest",
  fault: (value) =>
    isFace(value) || (Array.isArray(value) && isFaces(value))
      ? undefined
      : "best, largest or a whole number from 0, or a list of these with one for each reference",
  show: formatWord,
  parse: (text) => {
    const faces = text.split(",", MOST_FACES + 1).map(parseFace);
    if (!faces.every((face) => face !== undefined)) return undefined;
    return faces.length === 1 ? faces[0] : faces;
  },
  takes: () =>
    "takes a number from 0, best or largest, or a list of these such as 0,best",
  schema: {
    anyOf: [
      ...faceSchema.anyOf as JsonSchema[],
      {
        type: "array",
        items: faceSchema,
        minItems: 1,
        maxItems: MOST_FACES,
      },
    ],
  },
};

function isFace(value: unknown): value is FaceChoice {
  return value === "best" || value === "largest" ||
    (Number.isInteger(value) && Number(value) >= 0);
}

function isFaces(values: readonly unknown[]): boolean {
  return values.length >= 1 && values.length <= MOST_FACES &&
    values.every(isFace);
}

function parseFace(text: string): FaceChoice | undefined {
  if (text === "best" || text === "largest") return text;
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

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
