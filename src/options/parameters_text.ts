/**
 * Converts an image's settings to the text that AUTOMATIC1111's web UI and
 * similar programs write into files and show, and back.
 *
 *     a man in the snow
 *     Negative prompt: a hat
 *     Steps: 30, Sampler: DDIM, CFG scale: 5, Seed: 42, Size: 512x512, …
 *
 * A value with a comma, a colon or a line break is a JSON string.
 *
 * @module
 */

import { options } from "./table.ts";

/** Other programs' names for keys of our text chunks, in those programs' order. */
const NAMES: readonly (readonly [name: string, key: string])[] = [
  ["Steps", "steps"],
  ["Sampler", "sampler"],
  ["Schedule type", "schedule"],
  ["CFG scale", "guidance_scale"],
  ["Seed", "seed"],
  ["Size", "size"],
  ["Model hash", "model_hash"],
  ["Model", "model"],
  ["RNG", "rng"],
  ["Clip skip", "clip_skip"],
  ["Lora hashes", "lora_hashes"],
  ["TI hashes", "ti_hashes"],
];
/** The pair that comes last. */
const VERSION = ["Version", "software"] as const;
const keyOf = new Map([...NAMES, VERSION]);
const nameOf = new Map([...NAMES, VERSION].map(([name, key]) => [key, name]));
/** Keys that no pair of their own name may give: they have a place of their own. */
const PLACED = ["prompt", "negative_prompt", "width", "height"];
/** The pair of both strengths: an image is made from another, or in two passes. */
const STRENGTH = "Denoising strength";
/**
 * Other programs' names of a start from an image, of a second pass and of upscaling. No
 * text holds an image or an upscaler, and others count a second pass's steps
 * otherwise: they are read only from our own.
 */
const THEIR_NAMES: Readonly<Record<string, string>> = {
  strength: STRENGTH,
  hires_scale: "Hires upscale",
  hires_steps: "Hires steps",
  hires_upscaler: "Hires upscaler",
  upscale: "Postprocess upscaler",
  upscale_by: "Postprocess upscale by",
  mask_blur: "Mask blur",
  only_masked: "Inpaint area",
  mask_padding: "Masked area padding",
  mask_fill: "Masked content",
};
/** What each second pass has one of. */
const HIRES_SIZES = ["hires_scale", "hires_width", "hires_height"];
/** Our own pairs, which mean something only in a text that we wrote. */
const ownKeyOf = new Map(
  [
    ...options.flatMap(({ key }) => key === undefined ? [] : [key]),
    ...["adapter_hash", "reference_hashes", "image_index"],
    ...["init_image_hash", "mask_hash"],
    ...["controlnet_hashes", "control_image_hashes"],
  ].filter((key) => !nameOf.has(key) && !PLACED.includes(key))
    .map((key) => [pairName(key), key]),
);

/** Values of our own pairs that AUTOMATIC1111 writes otherwise. */
const VALUES: Readonly<Record<string, readonly (readonly [string, string])[]>> =
  {
    only_masked: [["Only masked", "true"], ["Whole picture", "false"]],
    mask_fill: [
      ["fill", "blur"],
      ["latent noise", "noise"],
      ["latent nothing", "nothing"],
    ],
    hires_upscaler: [["Latent", "latent"], ["Lanczos", "lanczos"]],
    upscale: [["Lanczos", "lanczos"]],
  };

/** What AUTOMATIC1111 calls the sampler of images that name none; other programs expect one. */
export const SAMPLER = "DDIM";
/** Name of the pair that holds prompts which the first lines cannot. */
const EXACT = "Exact prompts";
const NEGATIVE = "Negative prompt: ";
/**
 * Other programs' names of noise generators: `NV` is a GPU's noise, wherever
 * computed, and `GPU` the noise of the GPU that was there.
 */
const GENERATORS: readonly (readonly [theirs: string, ours: string])[] = [
  ["CPU", "torch-cpu"],
  ["NV", "torch-cuda"],
  ["GPU", "torch-cuda"],
];
/** Longer lines are not settings: the longest known have a few thousand characters. */
const MAX_LINE = 2 ** 16;

/**
 * Writes text chunks as one text.
 *
 * @param text chunks by key, as `toText` makes them
 */
export function toParameters(text: Readonly<Record<string, string>>): string {
  const { prompt = "", negative_prompt: negative = "", ...chunks } = text;
  const { width, height, rng, ...others } = chunks;
  const values: Record<string, string | undefined> = {
    sampler: SAMPLER,
    ...others,
    size: width && height && `${width}x${height}`,
    rng: GENERATORS.find(([, ours]) => ours === rng)?.[0] ?? rng,
  };
  const hasPasses = HIRES_SIZES.some((key) => values[key] !== undefined);
  const first = NAMES.map(([, key]) => key);
  const rest = Object.keys(values).filter((key) =>
    !first.includes(key) && key !== VERSION[1]
  );
  const pairs = [...first, ...rest, VERSION[1]].flatMap((key) => {
    const value = values[key];
    const name = key === "hires_strength" && hasPasses
      ? STRENGTH
      : nameOf.get(key) ?? pairName(key);
    if (value === undefined) return [];
    const theirs = VALUES[key]?.find(([, ours]) => ours === value)?.[0];
    return [[name, theirs ?? value]];
  });
  const write = () => {
    const settings = pairs.map(([name, value]) => `${name}: ${quoted(value)}`);
    const lines = [
      prompt,
      negative && `${NEGATIVE}${negative}`,
      settings.join(", "),
    ];
    return lines.filter((line) => line !== "").join("\n");
  };
  const written = write();
  const back = fromParameters(written);
  if (back.prompt === prompt && back.negative_prompt === negative) {
    return written;
  }
  // Lines of a prompt would be read as the text's own.
  pairs.push([EXACT, JSON.stringify([prompt, negative])]);
  return write();
}

/** What a text says. */
export interface Parameters {
  /** Our chunks by key. */
  readonly text: Record<string, string>;
  /** Pairs that mean nothing here, in order. */
  readonly others: readonly (readonly [name: string, value: string])[];
  /** All pairs as they are written. */
  readonly pairs: readonly (readonly [name: string, value: string])[];
}

/** Whether text chunks are from an image that this program made. */
export function isOwnText(text: Readonly<Record<string, string>>): boolean {
  return text.software?.startsWith("masterweaver ") ?? false;
}

/**
 * Reads what {@linkcode toParameters} or another program wrote.
 *
 * @param text any text at all
 * @returns chunks by key; from any other text, whatever looks like them
 */
export function fromParameters(text: string): Record<string, string> {
  return readParameters(text).text;
}

/**
 * Reads a text as AUTOMATIC1111's web UI does, and says what is left over.
 *
 * Names are exactly that program's. Our own are read only from a text whose
 * `Version` is ours: elsewhere they could stand for anything.
 *
 * @param text any text at all
 */
export function readParameters(text: string): Parameters {
  const lines = text.trim().split("\n");
  let pairs = settingsOf(lines.at(-1) ?? "");
  // As other programs do: a last line of fewer pairs belongs to the prompt.
  if (pairs.length >= 3) lines.pop();
  else pairs = [];
  const [prompt, negative] = promptsOf(lines);
  const chunks = new Map([["prompt", prompt], ["negative_prompt", negative]]);
  const version = pairs.findLast(([name]) => name === VERSION[0])?.[1] ?? "";
  const isOwn = isOwnText({ software: version });
  const others: (readonly [string, string])[] = [];
  for (const [name, value] of pairs) {
    const key = keyOf.get(name) ?? (isOwn ? ownKeyOf.get(name) : undefined);
    const size = key === "size" && /^(\d+)x(\d+)$/.exec(value);
    const exact = isOwn && name === EXACT ? twoTexts(value) : undefined;
    if (size) {
      chunks.set("width", size[1]).set("height", size[2]);
    } else if (exact) {
      chunks.set("prompt", exact[0]).set("negative_prompt", exact[1]);
    } else if (key === "rng") {
      const own = GENERATORS.find(([theirs]) => theirs === value)?.[1];
      chunks.set(key, own ?? value);
    } else if (key === undefined) others.push([name, value]);
    else if (key !== "sampler" || value !== SAMPLER) {
      const own = VALUES[key]?.find(([theirs]) => theirs === value)?.[1];
      chunks.set(key, own ?? value);
    }
  }
  const strength = chunks.get("strength");
  const hasPasses = HIRES_SIZES.some((key) => chunks.has(key));
  if (strength !== undefined && hasPasses) {
    chunks.delete("strength");
    chunks.set("hires_strength", strength);
  }
  return { text: Object.fromEntries(chunks), others, pairs };
}

/** The prompts that lines hold; blanks around each line do not count. */
function promptsOf(lines: readonly string[]): [string, string] {
  const prompts: [string[], string[]] = [[], []];
  let which = 0;
  for (const line of lines) {
    let words = line.trim();
    if (words.startsWith(NEGATIVE.trimEnd())) {
      which = 1;
      words = words.slice(NEGATIVE.trimEnd().length).trim();
    }
    const own = prompts[which];
    // Empty lines before the first words do not count, either.
    if (own.length > 0 || words !== "") own.push(words);
  }
  return [prompts[0].join("\n"), prompts[1].join("\n")];
}

/**
 * The names and values of a line, in linear time. Anything else is skipped up
 * to the next comma.
 */
function settingsOf(line: string): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  if (line.length > MAX_LINE) return pairs;
  const start = /\s*([\p{L}\p{N}_][\p{L}\p{N}_ \-/]*):\s*/uy;
  const string = /"(?:[^\\"]|\\.)*"(?=,|$)/uy;
  for (let at = 0; at < line.length;) {
    start.lastIndex = at;
    const name = start.exec(line)?.[1];
    if (name !== undefined) at = start.lastIndex;
    string.lastIndex = at;
    const comma = line.indexOf(",", string.test(line) ? string.lastIndex : at);
    const end = comma < 0 ? line.length : comma;
    if (name !== undefined) {
      pairs.push([name, unquoted(line.slice(at, end).trim())]);
    }
    at = end + 1;
  }
  return pairs;
}

/** The name of our own pair for a key. */
function pairName(key: string): string {
  return THEIR_NAMES[key] ?? key.replaceAll("_", " ");
}

/** Quotes a value that would end early, or that has quotes itself. */
function quoted(value: string): string {
  return /[,:\n\r"]|^\s|\s$/.test(value) ? JSON.stringify(value) : value;
}

function unquoted(value: string): string {
  if (!/^".*"$/s.test(value)) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

/** Two texts in a JSON list; undefined where it is anything else. */
function twoTexts(json: string): [string, string] | undefined {
  try {
    const texts: unknown = JSON.parse(json);
    if (!Array.isArray(texts) || texts.length !== 2) return undefined;
    return [String(texts[0]), String(texts[1])];
  } catch {
    return undefined;
  }
}
