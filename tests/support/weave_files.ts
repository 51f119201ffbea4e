/**
 * Reads `*.weave` files whole, so that nothing has to be closed.
 *
 * @module
 */
import { MemorySource } from "../../src/base/bytes.ts";
import { readFile } from "../../src/host/files.ts";
import { weaveFloats } from "../../src/weights/floats.ts";
import { openWeave, type WeaveFile } from "../../src/weights/weave.ts";

/** A file, read into memory. */
export async function readWeave(path: string): Promise<WeaveFile> {
  return await openWeave(new MemorySource(await readFile(path), path));
}

/** All values of a tensor. */
export async function weaveValues(
  file: WeaveFile,
  name: string,
): Promise<Float32Array<ArrayBuffer>> {
  const chunks = await Array.fromAsync(weaveFloats(file.tensors.get(name)!));
  return Float32Array.from(chunks.flatMap((chunk) => [...chunk]));
}
