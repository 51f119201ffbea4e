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
import { refuseLora } from "../../src/host/adapter_file.ts";
import {
  FileSource,
  openModelFolder,
  writeFileAtomic,
} from "../../src/host/files.ts";
import type { ClipTokenizer } from "../../src/text/tokenizer.ts";
import { modelHash, openComponentFile } from "../../src/weights/components.ts";
import { writeWeave } from "../../src/weights/weave_writer.ts";
import { adapterComponent } from "../convert/networks.ts";

/** A model's components, opened. */
export interface OpenedModel extends AsyncDisposable {
  /** Configs and weights. */
  readonly components: Components;
  /** Turns prompts into ids. */
  readonly tokenizer: ClipTokenizer;
  /** Hash of all its files, the adapter's included. */
  readonly hash: string;
}

/**
 * Opens a model with another adapter, if one is given.
 *
 * @param adapter `*.weave`, or the reference's `*.pt`
 * @throws {MasterWeaverError} `bad-model`, `bad-checkpoint`, `cannot-read`, `bad-option`
 */
export async function openModel(
  model: string,
  adapter: string | undefined,
  storage: StorageType,
): Promise<OpenedModel> {
  await using stack = new AsyncDisposableStack();
  const isTorch = adapter !== undefined && !adapter.endsWith(".weave");
  const path = isTorch ? await convertAdapter(model, adapter, stack) : adapter;
  const { files } = stack.use(await openModelFolder(model, path));
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
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Converts the reference's adapter, of the sizes of the model's own, into a file
 * that is removed in the end.
 */
async function convertAdapter(
  model: string,
  adapter: string,
  stack: AsyncDisposableStack,
): Promise<string> {
  await using folder = await openModelFolder(model);
  const own = await openComponentFile(folder.files, "identity_adapter");
  const unet = await openComponentFile(folder.files, "unet");
  await using source = await FileSource.open(adapter);
  await refuseLora(source);
  const component = adapterComponent(
    "identity_adapter",
    adapter,
    own.config,
    () => unet.config,
  );
  const planned = await component.plan([source], {
    dtype: "f32",
    allowUnused: false,
  });
  const made = await Deno.makeTempDir({ prefix: "masterweaver-adapter-" });
  stack.defer(() => Deno.remove(made, { recursive: true }).catch(() => {}));
  const path = `${made}/identity_adapter.weave`;
  await writeFileAtomic(path, (append) => writeWeave(append, planned.content));
  return path;
}
