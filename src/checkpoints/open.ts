/**
 * Opens a checkpoint of any container, which is recognised by its first bytes
 * and never by its name.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { badCheckpoint, type Checkpoint } from "./checkpoint.ts";
import { openGguf } from "./gguf.ts";
import { openSafetensors } from "./safetensors.ts";
import { openTorchLegacy, openTorchZip } from "./torch_file.ts";
import { isWeave } from "../weights/weave.ts";

/** Containers that are recognised by their first bytes. */
export type FileKind = "weave" | Checkpoint["kind"] | "unknown";

/** How the older container's first number starts in decimal. */
const LEGACY_DECIMAL = new TextEncoder().encode("L119547037146038");

/**
 * Recognises what a file is.
 *
 * @param source at least its first bytes
 */
export async function fileKind(source: ByteSource): Promise<FileKind> {
  const start = await source.read(0, Math.min(16, source.size));
  const starts = (...bytes: number[]) => bytes.every((b, i) => start[i] === b);
  if (isWeave(start)) return "weave";
  if (starts(0x47, 0x47, 0x55, 0x46)) return "gguf";
  if (starts(0x50, 0x4b, 0x03, 0x04)) return "torch-zip";
  // A pickle that starts with a number of ten bytes, perhaps inside a frame;
  // protocols 0 and 1 write it in decimal.
  const number = start[2] === 0x95 ? 11 : 2;
  const isPickle = start[0] === 0x80 && start[number] === 0x8a &&
    start[number + 1] === 0x0a;
  if (isPickle || starts(...LEGACY_DECIMAL)) return "torch-legacy";
  // A header length, then the header's brace; under 2^40 even if it is wrong.
  if (start[8] === 0x7b && start[5] + start[6] + start[7] === 0) {
    return "safetensors";
  }
  return "unknown";
}

/**
 * Opens a safetensors, PyTorch or GGUF file.
 *
 * @param source the file's bytes; must stay readable while tensors are used
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export async function openCheckpoint(source: ByteSource): Promise<Checkpoint> {
  switch (await fileKind(source)) {
    case "safetensors":
      return await openSafetensors(source);
    case "gguf":
      return await openGguf(source);
    case "torch-zip":
      return await openTorchZip(source);
    case "torch-legacy":
      return await openTorchLegacy(source);
    case "weave":
      throw badCheckpoint(
        source.name,
        "it is a converted .weave file, expected a safetensors, PyTorch or GGUF file",
      );
  }
  throw badCheckpoint(source.name, await describe(source));
}

/** What an unknown file seems to be. */
async function describe(source: ByteSource): Promise<string> {
  const expected = "expected a .weave, safetensors, PyTorch or GGUF file";
  if (source.size === 0) return `it is empty, ${expected}`;
  const bytes = await source.read(0, Math.min(64, source.size));
  const start = new TextDecoder().decode(bytes).trimStart().toLowerCase();
  if (start.startsWith("<")) {
    return `it is a web page (a failed download?), ${expected}`;
  }
  if (start.startsWith("version https://git-lfs")) {
    return `it is a Git LFS pointer, ${expected}: fetch the file itself`;
  }
  if (start.startsWith("{") || start.startsWith("[")) {
    return `it is JSON text (an error message, or an index?), ${expected}`;
  }
  return `its first bytes are ${bytes.subarray(0, 8).toHex()}, ${expected}`;
}
