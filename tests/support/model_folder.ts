/**
 * Model folders with something wrong in them.
 *
 * @module
 */
import { crc32 } from "../../src/weights/crc32.ts";
import { repositoryPath } from "./paths.ts";

/**
 * The mini model in a folder of its own, with one file changed.
 *
 * @param parent where the folder is made
 * @param file such as `unet.weave`
 * @param change changes the file's bytes; null leaves the file out
 * @returns the folder
 */
export async function changedModel(
  parent: string,
  file: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | null,
): Promise<string> {
  const folder = await Deno.makeTempDir({ dir: parent });
  const mini = repositoryPath("weights/mini");
  for await (const { name } of Deno.readDir(mini)) {
    if (!name.endsWith(".weave")) continue;
    if (name !== file) {
      await Deno.symlink(`${mini}/${name}`, `${folder}/${name}`);
      continue;
    }
    const bytes = change(await Deno.readFile(`${mini}/${name}`));
    if (bytes !== null) await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  return folder;
}

/** A header of `*.weave`, as JSON. */
export interface WeaveHeader {
  component: string;
  config: Record<string, unknown>;
  provenance: Record<string, unknown>;
  tensors: Record<string, {
    dtype: string;
    shape: number[];
    offset: number;
    bytes: number;
    crc32: number;
  }>;
}

/** Bytes before the header: magic, version, checksum, length. */
const PREAMBLE = 24;

/**
 * A `*.weave` file with another header of at most the same length and a right
 * checksum, as a hostile writer would make it.
 */
export function withHeader(
  bytes: Uint8Array<ArrayBuffer>,
  change: (header: WeaveHeader) => void,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer);
  const length = Number(view.getBigUint64(16, true));
  const old = bytes.subarray(PREAMBLE, PREAMBLE + length);
  const header: WeaveHeader = JSON.parse(new TextDecoder().decode(old));
  // Makes room for longer numbers.
  header.provenance = {};
  change(header);
  // The data after it must stay where it is.
  const text = JSON.stringify(header).padEnd(length);
  const encoded = new TextEncoder().encode(text);
  if (encoded.length !== length) {
    throw new Error(`Header grew from ${length} to ${encoded.length} bytes`);
  }
  const changed = new Uint8Array(bytes);
  changed.set(encoded, PREAMBLE);
  new DataView(changed.buffer).setUint32(12, crc32(encoded), true);
  return changed;
}

/** The same file with all values of one tensor NaN and right checksums. */
export function withNaN(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
): Uint8Array<ArrayBuffer> {
  const broken = new Uint8Array(bytes);
  return withHeader(broken, ({ tensors }) => {
    const tensor = tensors[name];
    const data = broken.subarray(tensor.offset, tensor.offset + tensor.bytes);
    const values = tensor.dtype === "f16"
      ? new Float16Array(tensor.bytes / 2).fill(NaN)
      : new Float32Array(tensor.bytes / 4).fill(NaN);
    data.set(new Uint8Array(values.buffer));
    tensor.crc32 = crc32(data);
  });
}
