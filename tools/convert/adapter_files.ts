/**
 * A model's files with another adapter: a file of this project, or the
 * reference's, which is converted in memory and leaves nothing behind.
 *
 * @module
 */
import { MemorySource } from "../../src/base/bytes.ts";
import { refuseLora } from "../../src/host/adapter_file.ts";
import { joinBytes } from "../../src/host/codecs/bytes.ts";
import { FileSource, type ModelFolder } from "../../src/host/files.ts";
import {
  type ModelFiles,
  openComponentFile,
} from "../../src/weights/components.ts";
import { isWeave } from "../../src/weights/weave.ts";
import { writeWeave } from "../../src/weights/weave_writer.ts";
import { adapterComponent } from "./networks.ts";

/**
 * A model's files with another adapter.
 *
 * @param model the model's own files
 * @param path the adapter's file; a `.pt` is converted in memory
 * @param stack closes the file
 * @throws {MasterWeaverError} `cannot-read`, `bad-checkpoint`, `bad-model`
 */
export async function filesWithAdapter(
  { files }: ModelFolder,
  path: string,
  stack: AsyncDisposableStack,
): Promise<ModelFiles> {
  const source = stack.use(await FileSource.open(path));
  await refuseLora(source);
  const start = await source.read(0, Math.min(8, source.size));
  return {
    ...files,
    identity_adapter: isWeave(start) ? source : await converted(files, source),
    elsewhere: ["identity_adapter"],
  };
}

/** A PyTorch file as a component, in f32: nothing is lost. */
async function converted(
  files: ModelFiles,
  source: FileSource,
): Promise<MemorySource> {
  const own = await openComponentFile(files, "identity_adapter");
  const unet = await openComponentFile(files, "unet");
  const component = adapterComponent(
    "identity_adapter",
    source.name,
    own.config,
    () => unet.config,
  );
  const { content } = await component.plan([source], {
    dtype: "f32",
    allowUnused: false,
  });
  const written: Uint8Array<ArrayBuffer>[] = [];
  await writeWeave((bytes) => {
    written.push(Uint8Array.from(bytes));
    return Promise.resolve();
  }, content);
  return new MemorySource(joinBytes(written), source.name);
}
