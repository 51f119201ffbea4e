/**
 * Finds the embeddings of textual inversion that prompts may name, among those in
 * the folders of a model's extra files.
 *
 * @module
 */
import { isNamed, mayName } from "../text/text_embeddings.ts";
import {
  extraNames,
  type ExtraPlaces,
  findNamedExtra,
  openFound,
} from "./extras.ts";
import type { FileSource } from "./files.ts";
import {
  hashPairs,
  hashWarnings,
  recordedName,
  shortHash,
} from "./recorded_hashes.ts";

/** Open files of embeddings by name; `await using` closes them. */
export interface OpenEmbeddings extends AsyncDisposable {
  /** The files. */
  readonly files: Readonly<Record<string, FileSource>>;
  /** `name: hash, name: hash` of those that are named, as AUTOMATIC1111 writes them; empty without any. */
  readonly hashes: string;
}

/**
 * Opens the embeddings whose names the prompts contain.
 *
 * @throws {MasterWeaverError} `bad-option` where several files have a name; `cannot-read`
 */
export async function openNamedEmbeddings(
  prompts: readonly string[],
  places: ExtraPlaces,
): Promise<OpenEmbeddings> {
  await using stack = new AsyncDisposableStack();
  const files: Record<string, FileSource> = {};
  const hashes: string[] = [];
  for (const name of await extraNames("embeddings", places)) {
    if (!prompts.some((prompt) => mayName(prompt, name))) continue;
    const path = await findNamedExtra("embeddings", name, places);
    const source = files[name] = stack.use(await openFound(path, places));
    if (prompts.some((prompt) => isNamed(prompt, name))) {
      // AUTOMATIC1111 knows an embedding by its whole file.
      hashes.push(`${recordedName(name)}: ${await shortHash(source)}`);
    }
  }
  const opened = stack.move();
  return {
    files,
    hashes: hashes.join(", "),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/**
 * Warns of embeddings that are not those of the image to repeat.
 *
 * @param recorded what the image says
 * @param used what is used instead
 * @param prompts of the image that is made now
 */
export function embeddingWarnings(
  recorded: string | undefined,
  used: string,
  prompts: readonly string[],
): string[] {
  const now = new Map(hashPairs(used));
  const missing = hashPairs(recorded ?? "").flatMap(([name]) =>
    now.has(name) || !prompts.some((prompt) => isNamed(prompt, name))
      ? []
      : [`The image will differ: its embedding ${name} is not here`]
  );
  return [...missing, ...hashWarnings("embedding", recorded, used)];
}
