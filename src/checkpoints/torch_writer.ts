/**
 * Writes values and tensors as `torch.save` does, in its zip container: what
 * `torch.load(…, weights_only=True)` opens.
 *
 * @module
 */
import { pickle } from "./pickle_writer.ts";
import {
  PythonOrderedDict,
  PythonTensor,
  type PythonValue,
} from "./python_values.ts";
import { writeZip, type ZipContent } from "./zip_writer.ts";

/** A tensor to write, as f32. */
export interface TorchTensor {
  /** Its name in its dictionary. */
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Its values in row-major order; called twice. */
  readonly floats: () => AsyncIterable<Float32Array<ArrayBuffer>>;
}

/** A state dict, and its name in the outermost dictionary. */
export interface TorchDict {
  /** Its name. */
  readonly name: string;
  /** Its tensors, in order. */
  readonly tensors: readonly TorchTensor[];
}

/** The folder that `torch.save` puts everything in, whatever the file's name. */
const FOLDER = "archive";

/**
 * Writes a dictionary of state dicts.
 *
 * @param append takes the file's bytes in order
 * @param dicts the state dicts, in order
 * @param onBytes called with the bytes of every chunk; the data passes twice
 * @throws {MasterWeaverError} `bad-option` where it would be over 4 GB
 */
export async function writeTorchZip(
  append: (bytes: Uint8Array) => Promise<void>,
  dicts: readonly TorchDict[],
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const value = new Map(
    dicts.map(({ name, tensors }) => [name, stateDict(tensors)]),
  );
  await writeTorchValue(append, value, onBytes);
}

function stateDict(tensors: readonly TorchTensor[]): PythonOrderedDict {
  return new PythonOrderedDict(
    tensors.map(({ name, shape, floats }) =>
      [name, new PythonTensor(shape, floats)] as const
    ),
  );
}

/**
 * Writes any value.
 *
 * @param append takes the file's bytes in order
 * @param value what `torch.load` gives
 * @param onBytes called with the bytes of every chunk; the data passes twice
 * @throws {MasterWeaverError} `bad-option` where it would be over 4 GB, or a number cannot be written
 */
export async function writeTorchValue(
  append: (bytes: Uint8Array) => Promise<void>,
  value: PythonValue,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const { bytes, tensors } = pickle(value);
  await writeZip(append, [
    entry("data.pkl", bytes),
    entry("byteorder", new TextEncoder().encode("little")),
    ...tensors.map(({ shape, floats }, i): ZipContent => ({
      name: `${FOLDER}/data/${i}`,
      size: 4 * shape.reduce((a, b) => a * b, 1),
      data: () => asBytes(floats()),
    })),
    entry("version", new TextEncoder().encode("3\n")),
  ], onBytes);
}

function entry(name: string, bytes: Uint8Array): ZipContent {
  return {
    name: `${FOLDER}/${name}`,
    size: bytes.length,
    data: () => [bytes],
  };
}

async function* asBytes(chunks: AsyncIterable<Float32Array<ArrayBuffer>>) {
  for await (const { buffer, byteOffset, byteLength } of chunks) {
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
}
