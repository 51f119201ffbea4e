/**
 * Finds and reads CLIP's tokenizer.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { ClipTokenizer } from "../../src/text/tokenizer.ts";
import { brief } from "../../src/weights/brief.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import { exists, optionalJson, readJson, readText } from "./folder.ts";

/** The tokenizer, as a text encoder's config holds it. */
export interface TokenizerFiles {
  /** Tokens in the order of their ids. */
  readonly vocab: readonly string[];
  /** Pairs that are merged, in order of rank. */
  readonly merges: readonly string[];
  /** Ids of tokens that were added, where there are any. */
  readonly added?: Readonly<Record<string, number>>;
}

const START = "<|startoftext|>";
const END = "<|endoftext|>";

/** The tokens that a prompt starts, ends and is padded with, as they must be. */
const MARKS: readonly (readonly [key: string, token: string])[] = [
  ["bos_token", START],
  ["eos_token", END],
  ["pad_token", END],
  ["unk_token", END],
];

/** Values that the model in `tokenizer.json` may have, CLIP's own first. */
const BPE: readonly (readonly [key: string, ...values: unknown[]])[] = [
  ["type", "BPE", undefined],
  ["end_of_word_suffix", "</w>"],
  ["continuing_subword_prefix", "", null, undefined],
  ["dropout", null, undefined, 0],
  ["byte_fallback", false, null, undefined],
  ["ignore_merges", false, null, undefined],
];

/**
 * The tokenizer's folder: the first of those given that has it, itself or in a
 * folder `tokenizer`. CLIP ViT-L/14's tokenizer is also Stable Diffusion's.
 *
 * @param folders where to look
 * @param file the text encoder, for the message
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function findTokenizer(
  folders: readonly string[],
  file: string,
): Promise<string> {
  const places = folders.flatMap((folder) => [`${folder}/tokenizer`, folder]);
  for (const place of places) {
    for (const name of ["vocab.json", "tokenizer.json"]) {
      if (await exists(`${place}/${name}`)) return place;
    }
  }
  throw badCheckpoint(
    file,
    "its tokenizer (vocab.json and merges.txt) is in none of the folders " +
      "given; give the folder of openai/clip-vit-large-patch14, too, or one " +
      "with these two files",
  );
}

/**
 * Reads CLIP's byte-level BPE: `vocab.json` and `merges.txt`, or the one file
 * `tokenizer.json`, and the tokens that were added to it.
 *
 * @param folder where its files are
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readTokenizer(folder: string): Promise<TokenizerFiles> {
  const read = await exists(`${folder}/vocab.json`)
    ? await readTwoFiles(folder)
    : await readOneFile(`${folder}/tokenizer.json`);
  const added = new Map(read.added);
  const add = (token: string, id: unknown, path: string) => {
    if (added.has(token) && added.get(token) !== id) {
      throw badCheckpoint(
        path,
        `its token ${brief(token)} has the number ${brief(id)}, and ${
          brief(added.get(token))
        } in another file beside it`,
      );
    }
    added.set(token, id);
  };
  const listPath = `${folder}/added_tokens.json`;
  for (
    const [token, id] of Object.entries(await optionalJson(listPath) ?? {})
  ) {
    add(token, id, listPath);
  }
  for (const name of ["tokenizer_config.json", "special_tokens_map.json"]) {
    const path = `${folder}/${name}`;
    const json = await optionalJson(path) ?? {};
    for (const [token, id] of addedTokens(json.added_tokens_decoder, path)) {
      add(token, id, path);
    }
    checkMarks(
      json,
      path,
      (token) => added.has(token) || read.vocab.includes(token),
    );
  }
  for (const mark of [START, END]) {
    if (added.get(mark) === read.vocab.indexOf(mark)) added.delete(mark);
  }
  const files = {
    vocab: read.vocab,
    merges: read.merges,
    ...added.size > 0
      ? { added: Object.fromEntries(added) as Record<string, number> }
      : {},
  };
  checkTokenizer(files, folder);
  return files;
}

/** How many rows an embedding needs for all tokens. */
export function tokenCount({ vocab, added = {} }: TokenizerFiles): number {
  return Math.max(vocab.length, ...Object.values(added).map((id) => id + 1));
}

interface Read {
  readonly vocab: readonly string[];
  readonly merges: readonly string[];
  readonly added: readonly (readonly [string, unknown])[];
}

async function readTwoFiles(folder: string): Promise<Read> {
  const path = `${folder}/vocab.json`;
  const vocab = inOrder(await readJson(path), path);
  const lines = new TextDecoder().decode(await readText(`${folder}/merges.txt`))
    .split("\n").map((line) => line.trim());
  // The first line states the format's version; elsewhere "#" may start a merge.
  const merges = lines.filter((line, i) =>
    line !== "" && !(i === 0 && line.startsWith("#version"))
  );
  checkMerges(merges, `${folder}/merges.txt`);
  return { vocab, merges, added: [] };
}

/** The file of the `tokenizers` library. */
async function readOneFile(path: string): Promise<Read> {
  const { model, added_tokens: added = [] } = await readJson(path);
  if (
    !isObject(model) || !isObject(model.vocab) || !Array.isArray(model.merges)
  ) {
    throw badCheckpoint(
      path,
      "it has no vocab and merges, expected CLIP's BPE",
    );
  }
  for (const [key, ...expected] of BPE) {
    if (expected.includes(model[key])) continue;
    throw badCheckpoint(
      path,
      `its model's ${key} is ${brief(model[key])}, expected ${
        brief(expected[0])
      }, CLIP's`,
    );
  }
  const merges = model.merges.map((pair: unknown) => {
    const isPair = Array.isArray(pair) && pair.length === 2 &&
      pair.every((symbol) => typeof symbol === "string");
    return isPair ? pair.join(" ") : pair;
  });
  checkMerges(merges, path);
  if (!Array.isArray(added)) {
    throw badCheckpoint(path, "its added_tokens are not a list");
  }
  const tokens = added.map((entry: unknown) =>
    addedToken(entry, isObject(entry) ? entry.id : undefined, path)
  );
  return { vocab: inOrder(model.vocab, path), merges, added: tokens };
}

/**
 * Checks that merges are pairs of symbols with white space between them; without
 * any, a prompt would fall apart into letters.
 */
function checkMerges(
  merges: readonly unknown[],
  path: string,
): asserts merges is readonly string[] {
  if (merges.length === 0) {
    throw badCheckpoint(path, "it has no merges, expected pairs of symbols");
  }
  const wrong = merges.findIndex((merge) =>
    typeof merge !== "string" || merge.trim().split(/\s+/).length !== 2
  );
  if (wrong < 0) return;
  throw badCheckpoint(
    path,
    `its merge ${wrong} is ${brief(merges[wrong])}, expected two symbols`,
  );
}

/** Tokens in the order of their ids, which must be 0, 1, 2, … */
function inOrder(numbers: JsonObject, path: string): string[] {
  const ids = Object.entries(numbers);
  const vocab = new Array<string>(ids.length);
  for (const [token, id] of ids) {
    const isFree = typeof id === "number" && Number.isInteger(id) && id >= 0 &&
      id < ids.length && vocab[id] === undefined;
    if (!isFree) {
      throw badCheckpoint(
        path,
        `its token ${brief(token)} has the number ${
          brief(id)
        }, expected each of 0 to ${ids.length - 1} once`,
      );
    }
    vocab[id] = token;
  }
  return vocab;
}

/** `added_tokens_decoder`: tokens by id. */
function addedTokens(value: unknown, path: string) {
  if (value === undefined || value === null) return [];
  if (!isObject(value)) {
    throw badCheckpoint(path, "its added_tokens_decoder is not an object");
  }
  return Object.entries(value).map(([id, entry]) =>
    addedToken(entry, Number(id), path)
  );
}

function addedToken(
  entry: unknown,
  id: unknown,
  path: string,
): readonly [string, unknown] {
  const content = isObject(entry) ? entry.content : entry;
  if (typeof content !== "string") {
    throw badCheckpoint(path, `its added token ${brief(id)} has no content`);
  }
  if (isObject(entry) && entry.single_word === true) {
    throw badCheckpoint(
      path,
      `its added token ${
        brief(content)
      } only counts as a whole word (single_word), which is not supported`,
    );
  }
  return [content, id];
}

/** Refuses start, end and padding tokens that are not CLIP's. */
function checkMarks(
  json: JsonObject,
  path: string,
  isKnown: (token: string) => boolean,
): void {
  const text = (value: unknown) => isObject(value) ? value.content : value;
  for (const [key, expected] of MARKS) {
    const found = text(json[key]) ?? expected;
    if (found !== expected) {
      throw badCheckpoint(
        path,
        `its ${key} is ${
          brief(found)
        }, expected ${expected}, as Stable Diffusion 1 has it`,
      );
    }
  }
  const { additional_special_tokens: more } = json;
  for (const value of Array.isArray(more) ? more : []) {
    const token = text(value);
    if (typeof token === "string" && isKnown(token)) continue;
    throw badCheckpoint(
      path,
      `its additional special token ${
        brief(token)
      } has no number in vocab.json or added_tokens.json`,
    );
  }
}

/** Checks that loading will be able to use the tokenizer. */
function checkTokenizer(files: TokenizerFiles, folder: string): void {
  try {
    new ClipTokenizer(files);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw badCheckpoint(folder, error.message.replace("The tokenizer", "it"), {
      cause: error,
    });
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
