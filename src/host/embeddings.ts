/**
 * Finds the embeddings of textual inversion that prompts may name, among those in
 * the folders of a model's extra files.
 *
 * @module
 */
import { mayName } from "../text/text_embeddings.ts";
import { extraNames, type ExtraPlaces, findNamedExtra } from "./extras.ts";
import { FileSource } from "./files.ts";

/** Open files of embeddings by name; `await using` closes them. */
export interface OpenEmbeddings extends AsyncDisposable {
  /** The files. */
  readonly files: Readonly<Record<string, FileSource>>;
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
  for (const name of await extraNames("embeddings", places)) {
    if (!prompts.some((prompt) => mayName(prompt, name))) continue;
    const path = await findNamedExtra("embeddings", name, places);
    files[name] = stack.use(await FileSource.open(path));
  }
  const opened = stack.move();
  return { files, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
