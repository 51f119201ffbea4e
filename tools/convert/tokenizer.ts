/**
 * Finds and reads CLIP's tokenizer.
 *
 * @module
 */
import { readFile } from "../../src/files.ts";
import { badCheckpoint } from "../../src/weights/checkpoint.ts";
import { exists, readJson } from "./folder.ts";

/** What a text encoder's config holds of its tokenizer. */
export interface TokenizerFiles {
  /** Tokens, in the order of their numbers. */
  readonly vocab: readonly string[];
  /** Pairs that are merged, in order of rank. */
  readonly merges: readonly string[];
}

/**
 * The tokenizer's folder: the first of those given that has it, or in which a
 * folder `tokenizer` does. CLIP ViT-L/14's own is that of Stable Diffusion.
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
    if (await exists(`${place}/vocab.json`)) return place;
  }
  throw badCheckpoint(
    file,
    "its tokenizer (vocab.json and merges.txt) is in none of the folders " +
      "given; give the folder of openai/clip-vit-large-patch14, too, or one " +
      "with these two files",
  );
}

/**
 * Reads CLIP's byte-level BPE.
 *
 * @param folder where its two files are
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readTokenizer(folder: string): Promise<TokenizerFiles> {
  const path = `${folder}/vocab.json`;
  const ids = Object.entries(await readJson(path));
  const vocab = new Array<string>(ids.length);
  for (const [token, id] of ids) {
    const isFree = typeof id === "number" && Number.isInteger(id) && id >= 0 &&
      id < ids.length && vocab[id] === undefined;
    if (!isFree) {
      throw badCheckpoint(
        path,
        `its token ${token} has the number ${id}, expected each of 0 to ${
          ids.length - 1
        } once`,
      );
    }
    vocab[id] = token;
  }
  const lines = new TextDecoder().decode(await readFile(`${folder}/merges.txt`))
    .split("\n").map((line) => line.trim());
  // The first line states the format's version; "#" alone can be a token.
  const merges = lines.filter((line, i) =>
    line !== "" && !(i === 0 && line.startsWith("#version"))
  );
  return { vocab, merges };
}
