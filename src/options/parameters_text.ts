/**
 * An image's settings as the one text that AUTOMATIC1111's web UI and its kin
 * write into a file and show; and back.
 *
 *     a man in the snow
 *     Negative prompt: a hat
 *     Steps: 30, Sampler: DDIM, CFG scale: 5, Seed: 42, Size: 512x512, …
 *
 * A value with a comma, a colon or a line break is a JSON string.
 *
 * @module
 */

/** Keys of our text chunks by what others call them, in their order. */
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
/** What comes last. */
const VERSION = ["Version", "software"] as const;
const keyOf = new Map([...NAMES, VERSION]);
const nameOf = new Map([...NAMES, VERSION].map(([name, key]) => [key, name]));

/** The only sampler there is; others look for it. */
const SAMPLER = "DDIM";
/** What holds prompts that the first lines cannot. */
const EXACT = "Exact prompts";
const NEGATIVE = "Negative prompt: ";
/** What others call the generators of noise: `NV` is a GPU's, wherever it is computed. */
const GENERATORS: readonly (readonly [theirs: string, ours: string])[] = [
  ["CPU", "torch-cpu"],
  ["NV", "torch-cuda"],
];
/** Longer lines are no settings: the longest known have some thousand characters. */
const LONGEST_LINE = 2 ** 16;

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
  // Lines of a prompt look like the text's own.
  pairs.push([EXACT, JSON.stringify([prompt, negative])]);
  return write();
}

/**
 * Reads what {@linkcode toParameters} or another program wrote.
 *
 * @param text any text at all
 * @returns chunks by key; of another text what looks like one
 */
export function fromParameters(text: string): Record<string, string> {
  const lines = text.trimEnd().split("\n");
  const pairs = settingsOf(lines.at(-1) ?? "");
  // As others do it: a line of less is one of the prompt's.
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
 * The names and values of a line, in time that grows with its length. What is
 * none ends at the next comma.
 */
function settingsOf(line: string): Map<string, string> {
  const pairs = new Map<string, string>();
  if (line.length > LONGEST_LINE) return pairs;
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

/** A value that would end early, or is quoted itself, is quoted. */
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

/** Two texts in a JSON list; nothing where it is none. */
function twoTexts(json: string): [string, string] | undefined {
  try {
    const texts: unknown = JSON.parse(json);
    if (!Array.isArray(texts) || texts.length !== 2) return undefined;
    return [String(texts[0]), String(texts[1])];
  } catch {
    return undefined;
  }
}
