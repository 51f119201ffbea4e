/**
 * An image's settings as the one text that AUTOMATIC1111 and its kin write into
 * a file, for formats without text chunks; and back.
 *
 *     a man in the snow
 *     Negative prompt: a hat
 *     Steps: 30, Sampler: DDIM, CFG scale: 5, Seed: 42, Size: 512x512, …
 *
 * @module
 */

/** Keys of text chunks by what others call them; in that order. */
const NAMES: readonly (readonly [name: string, key: string])[] = [
  ["Steps", "steps"],
  ["CFG scale", "guidance_scale"],
  ["Seed", "seed"],
  ["Model hash", "model_hash"],
  ["Model", "model"],
  ["RNG", "rng"],
  ["Version", "software"],
];
/** The only sampler there is; others look for it. */
const SAMPLER = "DDIM";
/** What holds prompts that the first lines cannot. */
const EXACT = "Exact prompts";

const keyOf = new Map(NAMES);
const nameOf = new Map(NAMES.map(([name, key]) => [key, name]));

/**
 * Writes text chunks as one text.
 *
 * @param text chunks by key, as `toText` makes them
 */
export function toParameters(text: Readonly<Record<string, string>>): string {
  const { prompt = "", negative_prompt: negative = "", width, height } = text;
  const first = NAMES.map(([, key]) => key).filter((key) => key in text);
  const rest = Object.keys(text).filter((key) =>
    !first.includes(key) &&
    !["prompt", "negative_prompt", "width", "height"].includes(key)
  );
  const pairs = [...first, ...rest].map((key) => [
    nameOf.get(key) ?? key.replaceAll("_", " "),
    text[key],
  ]);
  pairs.splice(1, 0, ["Sampler", SAMPLER]);
  pairs.push(["Size", `${width}x${height}`]);
  const write = () => {
    const last = pairs.map(([name, value]) => `${name}: ${quoted(value)}`);
    const negativeLine = negative === ""
      ? ""
      : `\nNegative prompt: ${negative}`;
    return `${prompt}${negativeLine}\n${last.join(", ")}`;
  };
  const written = write();
  const read = fromParameters(written);
  if (read.prompt === prompt && read.negative_prompt === negative) {
    return written;
  }
  // Lines of theirs look like the text's own.
  pairs.push([EXACT, JSON.stringify([prompt, negative])]);
  return write();
}

/**
 * Reads what {@linkcode toParameters} wrote.
 *
 * @returns chunks by key; of another text what looks like one
 */
export function fromParameters(text: string): Record<string, string> {
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  const pairs = new Map<string, string>();
  const pair = /\s*([\w][\w \-/]*): ("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)/g;
  for (const [, name, value] of last.matchAll(pair)) {
    pairs.set(name, unquoted(value));
  }
  const at = lines.findIndex((line) => line.startsWith("Negative prompt: "));
  const [own, other] = at < 0
    ? [lines, []]
    : [lines.slice(0, at), lines.slice(at)];
  let prompt = own.join("\n");
  let negative = other.join("\n").replace("Negative prompt: ", "");
  const chunks: Record<string, string> = {};
  for (const [name, value] of pairs) {
    const size = /^(\d+)x(\d+)$/.exec(value);
    if (name === "Size" && size) [, chunks.width, chunks.height] = size;
    else if (name === EXACT) {
      [prompt, negative] = texts(value) ?? [prompt, negative];
    } else if (name !== "Sampler") {
      chunks[keyOf.get(name) ?? name.replaceAll(" ", "_")] = value;
    }
  }
  return { ...chunks, prompt, negative_prompt: negative };
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

function texts(json: string): [string, string] | undefined {
  try {
    const [prompt, negative] = JSON.parse(json);
    return [String(prompt), String(negative)];
  } catch {
    return undefined;
  }
}
