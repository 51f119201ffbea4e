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

/** Other programs' names for keys of our text chunks, in those programs' order. */
const NAMES: readonly (readonly [name: string, key: string])[] = [
  ["Steps", "steps"],
  ["Sampler", "sampler"],
  ["CFG scale", "guidance_scale"],
  ["Seed", "seed"],
  ["Size", "size"],
  ["Model hash", "model_hash"],
  ["Model", "model"],
  ["RNG", "rng"],
];
/** The pair that comes last. */
const VERSION = ["Version", "software"] as const;
const keyOf = new Map([...NAMES, VERSION]);
const nameOf = new Map([...NAMES, VERSION].map(([name, key]) => [key, name]));

/** What AUTOMATIC1111 calls the only sampler here; other programs expect one to be named. */
export const SAMPLER = "DDIM";
/** Name of the pair that holds prompts which the first lines cannot. */
const EXACT = "Exact prompts";
const NEGATIVE = "Negative prompt: ";
/** Other programs' names of noise generators: `NV` is a GPU's noise, wherever computed. */
const GENERATORS: readonly (readonly [theirs: string, ours: string])[] = [
  ["CPU", "torch-cpu"],
  ["NV", "torch-cuda"],
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
    ...others,
    sampler: SAMPLER,
    size: width && height && `${width}x${height}`,
    rng: GENERATORS.find(([, ours]) => ours === rng)?.[0] ?? rng,
  };
  const first = NAMES.map(([, key]) => key);
  const rest = Object.keys(values).filter((key) =>
    !first.includes(key) && key !== VERSION[1]
  );
  const pairs = [...first, ...rest, VERSION[1]].flatMap((key) => {
    const value = values[key];
    const name = nameOf.get(key) ?? key.replaceAll("_", " ");
    return value === undefined ? [] : [[name, value]];
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

/**
 * Reads what {@linkcode toParameters} or another program wrote.
 *
 * @param text any text at all
 * @returns chunks by key; from any other text, whatever looks like them
 */
export function fromParameters(text: string): Record<string, string> {
  const lines = text.trimEnd().split("\n");
  const pairs = settingsOf(lines.at(-1) ?? "");
  // As other programs do: a last line of fewer pairs belongs to the prompt.
  if (pairs.size >= 3) lines.pop();
  else pairs.clear();
  const at = lines.findIndex((line) => line.startsWith(NEGATIVE.trimEnd()));
  const own = at < 0 ? lines : lines.slice(0, at);
  const other = at < 0 ? "" : lines.slice(at).join("\n");
  const chunks = new Map<string, string>([
    ["prompt", own.join("\n")],
    ["negative_prompt", other.replace(/^Negative prompt: ?/, "")],
  ]);
  for (const [name, value] of pairs) {
    const key = keyOf.get(name) ?? name.replaceAll(" ", "_");
    const size = /^(\d+)x(\d+)$/.exec(value);
    const exact = name === EXACT ? twoTexts(value) : undefined;
    if (key === "size" && size) {
      chunks.set("width", size[1]).set("height", size[2]);
    } else if (exact) {
      chunks.set("prompt", exact[0]).set("negative_prompt", exact[1]);
    } else if (key === "rng") {
      const own = GENERATORS.find(([theirs]) => theirs === value)?.[1];
      chunks.set(key, own ?? value);
    } else if (key !== "sampler" || value !== SAMPLER) chunks.set(key, value);
  }
  return Object.fromEntries(chunks);
}

/**
 * The names and values of a line, in linear time. Anything else is skipped up
 * to the next comma.
 */
function settingsOf(line: string): Map<string, string> {
  const pairs = new Map<string, string>();
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
      pairs.set(name, unquoted(line.slice(at, end).trim()));
    }
    at = end + 1;
  }
  return pairs;
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
