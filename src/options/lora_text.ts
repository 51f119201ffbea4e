/**
 * LoRAs as text: `watercolour=0.8; film=-0.3:1,0,0,…`, and as A1111's prompts have
 * them, `<lora:watercolour:0.8>`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatValue } from "../base/format_value.ts";
import type { OptionType } from "./types.ts";

/** A LoRA by name, and how strongly it acts. */
export interface LoraChoice {
  /** Its file's name without ending, or its path. */
  readonly name: string;
  /** What its changes of the UNet are multiplied by; may be negative. */
  readonly scale: number;
  /** The same of the text encoder, where it is another number. */
  readonly textScale?: number;
  /** What each block is multiplied by besides, `BASE`, `IN00`…: 17 or 26 numbers for Stable Diffusion 1.5. */
  readonly blocks?: readonly number[];
}

/** Largest scale, without its sign. */
export const MAX_LORA_SCALE = 100;
/** Most LoRAs at once. */
const MOST = 32;
/** Most blocks of any UNet. */
const MOST_BLOCKS = 100;
/** Longest text. */
const LONGEST = 2 ** 14;

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
const ENTRY = new RegExp(
  `^(.+?)(?:=(${NUMBER})(?:/(${NUMBER}))?)?(?::(${NUMBER}(?:,${NUMBER})+))?$`,
  "i",
);

/**
 * Reads LoRAs from a text; undefined where one is not written as expected.
 *
 * @example
 * ```ts
 * import { parseLoras } from "./lora_text.ts";
 *
 * console.log(parseLoras("a=0.5;b")); // [{ name: "a", scale: 0.5 }, { name: "b", scale: 1 }]
 * ```
 */
export function parseLoras(text: string): LoraChoice[] | undefined {
  if (text.length > LONGEST) return undefined;
  const choices: LoraChoice[] = [];
  for (const entry of text.split(";").map((entry) => entry.trim())) {
    if (entry === "") continue;
    const match = ENTRY.exec(entry);
    if (!match) return undefined;
    const [, name, scale, textScale, blocks] = match;
    const choice: LoraChoice = {
      name: name.trim(),
      scale: Number(scale ?? 1),
      ...textScale !== undefined && { textScale: Number(textScale) },
      ...blocks !== undefined && { blocks: blocks.split(",").map(Number) },
    };
    if (!isUsable(choice)) return undefined;
    choices.push(choice);
  }
  return choices.length <= MOST ? choices : undefined;
}

function isUsable({ name, scale, textScale = 0, blocks = [] }: LoraChoice) {
  return name !== "" && blocks.length <= MOST_BLOCKS &&
    [scale, textScale, ...blocks]
      .every((number) => Math.abs(number) <= MAX_LORA_SCALE);
}

/** LoRAs as a text that {@linkcode parseLoras} reads. */
export function formatLoras(choices: readonly LoraChoice[]): string {
  return choices.map(({ name, scale, textScale, blocks }) => {
    const text = textScale === undefined || textScale === scale
      ? ""
      : `/${textScale}`;
    return `${name}=${scale}${text}${blocks ? `:${blocks.join(",")}` : ""}`;
  }).join(";");
}

const expected =
  `names with scales in -${MAX_LORA_SCALE}..${MAX_LORA_SCALE}, such as style=0.8, at most ${MOST}`;

/** LoRAs as one text; typed several times, one each. */
export const loras: OptionType<string> = {
  form: "value",
  joins: ";",
  placeholder: "NAME[=X]",
  show: formatValue,
  fault: (value) =>
    typeof value === "string" && parseLoras(value) !== undefined
      ? undefined
      : expected,
  parse: (text) => text,
  takes: () => `takes ${expected}`,
  schema: { type: "string", maxLength: LONGEST },
};

/** A network that a prompt of A1111 asks for, such as `<lora:NAME:0.8>`. */
export interface PromptNetwork {
  /** The word before the first colon. */
  readonly kind: string;
  /** What stands after it. */
  readonly name: string;
  /** What stands between the other colons. */
  readonly args: readonly string[];
}

/**
 * The LoRAs that a prompt asks for. As in A1111, the first number is for the text
 * encoder and, where there is no second, for the UNet; `te=`, `unet=` and `lbw=`
 * name them, and a list of numbers is that of the blocks.
 *
 * @param networks those of the kinds `lora` and `lyco`; others are passed over
 * @throws {MasterWeaverError} `bad-option` for what is neither a number nor a list, or for too many
 */
export function promptLoras(networks: readonly PromptNetwork[]): LoraChoice[] {
  const loras = networks.filter(({ kind }) =>
    kind === "lora" || kind === "lyco"
  );
  if (loras.length > MOST) {
    throw new MasterWeaverError(
      "bad-option",
      `The prompt asks for ${loras.length} LoRAs, at most ${MOST} are possible`,
    );
  }
  return loras.map(promptLora);
}

function promptLora({ kind, name, args }: PromptNetwork): LoraChoice {
  const numbers: number[] = [];
  const named: Record<string, number> = {};
  let blocks: number[] | undefined;
  for (const given of args) {
    const [, key = "", value] = /^(?:(te|unet|lbw)=)?(.*)$/s.exec(
      given.trim(),
    )!;
    const list = value.split(",").map((word) => word.trim());
    const isList = list.every((word) =>
      new RegExp(`^${NUMBER}$`, "i").test(word)
    );
    const values = list.map(Number);
    if (!isList) throw wrongTag({ kind, name, args }, given);
    if (key === "lbw" || (key === "" && values.length > 1)) blocks = values;
    else if (key === "") numbers.push(values[0]);
    else named[key] = values[0];
  }
  const textScale = named.te ?? numbers[0] ?? 1;
  const scale = named.unet ?? numbers[1] ?? textScale;
  const choice = {
    name,
    scale,
    ...textScale !== scale && { textScale },
    ...blocks && { blocks },
  };
  if (isUsable(choice)) return choice;
  throw wrongTag({ kind, name, args }, args.join(":"));
}

function wrongTag({ kind, name }: PromptNetwork, given: string): Error {
  return new MasterWeaverError(
    "bad-option",
    `The prompt's <${kind}:${name.slice(0, 60)}:…> has ${
      formatValue(given)
    }, expected a scale in -${MAX_LORA_SCALE}..${MAX_LORA_SCALE}, or block weights such as lbw=1,0,0,…`,
  );
}
