/**
 * Writes a converted identity adapter back as the reference's checkpoint, so
 * that an adapter trained here runs there.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FileSource, writeFileAtomic } from "../../src/host/files.ts";
import { brief } from "../../src/weights/brief.ts";
import { adapterDicts } from "../../src/checkpoints/adapter_dicts.ts";
import { writeTorchZip } from "../../src/checkpoints/torch_writer.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { weaveFloats } from "../../src/weights/floats.ts";
import { ProgressLine } from "./progress.ts";

/** What was written. */
export interface WrittenCheckpoint {
  /** The file. */
  readonly file: string;
  /** Number of tensors. */
  readonly tensors: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/**
 * Writes an identity adapter as a `.pt` file of `torch.save`, f32, with the
 * reference's keys: `id_encoder` and `adapter_modules`.
 *
 * @param input the `.weave` file
 * @param output the `.pt` file, written whole or not at all
 * @param progress whether to draw a progress bar
 * @throws {MasterWeaverError} `bad-model` where it is not an identity adapter; `cannot-read`, `cannot-write`
 */
export async function toPyTorch(
  input: string,
  output: string,
  progress: boolean,
): Promise<WrittenCheckpoint> {
  await using source = await FileSource.open(input);
  const file = await openWeave(source);
  if (file.component !== "identity_adapter") {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot write ${input} for PyTorch: it holds the component ` +
        `${brief(file.component)}, expected identity_adapter`,
    );
  }
  const dicts = adapterDicts(
    input,
    Array.from(file.tensors, ([name, tensor]) => ({
      name,
      shape: tensor.shape,
      floats: () => weaveFloats(tensor),
    })),
  );
  const values = [...file.tensors.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
  using bar = new ProgressLine(output, 2 * 4 * values, progress);
  await writeFileAtomic(
    output,
    (append) => writeTorchZip(append, dicts, (bytes) => bar.advance(bytes)),
  );
  await using written = await FileSource.open(output);
  return { file: output, tensors: file.tensors.size, bytes: written.size };
}
