/**
 * The model that is trained, opened with the adapter that training starts from.
 *
 * @module
 */
import {
  checkWeights,
  type Components,
  openComponents,
  readTokenizer,
} from "../../src/components/networks.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { openModelFolder } from "../../src/host/files.ts";
import type { ClipTokenizer } from "../../src/text/tokenizer.ts";
import { modelHash } from "../../src/weights/components.ts";
import { filesWithAdapter } from "../convert/adapter_files.ts";
import { adapterFile } from "./run/adapter_file.ts";

/** A model's components, opened. */
export interface OpenedModel extends AsyncDisposable {
  /** Configs and weights. */
  readonly components: Components;
  /** Turns prompts into ids. */
  readonly tokenizer: ClipTokenizer;
  /** Hash of all its files, the adapter's included. */
  readonly hash: string;
  /** The file of another adapter than its own, where one is given. */
  readonly adapter: string | undefined;
}

/**
 * Opens a model with another adapter, if one is given.
 *
 * @param given `*.weave`, the reference's `*.pt`, or the folder of a run
 * @throws {MasterWeaverError} `bad-model`, `bad-checkpoint`, `cannot-read`, `bad-option`
 */
export async function openModel(
  model: string,
  given: string | undefined,
  storage: StorageType,
): Promise<OpenedModel> {
  const adapter = given === undefined ? undefined : await adapterFile(given);
  await using stack = new AsyncDisposableStack();
  const isTorch = adapter !== undefined && !adapter.endsWith(".weave");
  // What is not of this project takes its sizes from the folder's own adapter.
  const folder = await openModelFolder(model, isTorch ? undefined : adapter);
  stack.use(folder);
  const files = isTorch
    ? await filesWithAdapter(folder, adapter, stack)
    : folder.files;
  const components = await openComponents(files);
  const tokenizer = readTokenizer(components);
  checkWeights(storage, components);
  const hash = await modelHash(
    Object.values(components).map(({ file }) => file),
  );
  const owned = stack.move();
  return {
    components,
    tokenizer,
    hash,
    adapter,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
