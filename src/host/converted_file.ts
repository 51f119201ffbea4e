/**
 * Opens extra files that have to be converted, and says so of those that are not.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { type ExtraPlaces, openFound } from "./extras.ts";
import type { FileSource } from "./files.ts";
import { toolName } from "./place.ts";
import { hostFileSystem } from "./system.ts";

/** How files begin that are checkpoints: zip archives, pickles and GGUF. */
const STARTS: readonly (readonly number[])[] = [
  [0x50, 0x4b, 3, 4],
  [0x80, 2],
  [0x47, 0x47, 0x55, 0x46],
];

/**
 * Opens a ControlNet's or an upscaler's file.
 *
 * @param path where it was found
 * @throws {MasterWeaverError} `cannot-read`; `bad-model` where it is a checkpoint
 */
export async function openConverted(
  path: string,
  places: ExtraPlaces,
): Promise<FileSource> {
  const info = await hostFileSystem.stat(path).catch(() => null);
  if (info?.isDirectory) throw unconverted(path, "a folder");
  await using stack = new AsyncDisposableStack();
  const source = stack.use(await openFound(path, places));
  if (await isCheckpoint(source)) {
    throw unconverted(source.name, "a checkpoint");
  }
  stack.move();
  return source;
}

function unconverted(name: string, what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    `Cannot use ${name}: it is ${what}, expected a .weave file; convert it first with ${
      toolName("tools/convert.ts")
    }`,
  );
}

async function isCheckpoint(source: FileSource): Promise<boolean> {
  const bytes = await source.read(0, Math.min(16, source.size));
  const isStart = (start: readonly number[]) =>
    start.every((byte, i) => bytes[i] === byte);
  // safetensors: the length of its header in 8 bytes, then the header, which is JSON.
  return STARTS.some(isStart) || bytes[8] === 0x7b;
}
