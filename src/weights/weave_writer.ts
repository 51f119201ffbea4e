/**
 * Writes `*.weave`, the format of a converted model's components
 * (`weights/FORMAT.md`).
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { Crc32, crc32 } from "./crc32.ts";
import { byteLength, formatShape, type WeaveDtype } from "./dtype.ts";
import {
  ALIGNMENT,
  type JsonObject,
  MAGIC,
  MAX_HEADER_BYTES,
  PREAMBLE_BYTES,
  VERSION,
} from "./weave.ts";

/** One tensor to write. */
export interface TensorToWrite {
  /** Full path; unique in the file. */
  readonly name: string;
  /** How the values are stored. */
  readonly dtype: WeaveDtype;
  /** Dimensions, outermost first, none of them 0. */
  readonly shape: readonly number[];
  /**
   * The stored bytes, little endian, chunk by chunk. Called twice, because the
   * checksum comes before the data, and must give the same both times.
   */
  readonly data: () => AsyncIterable<Uint8Array>;
}

/** The content of a `*.weave` file to write. */
export interface WeaveContent {
  /** Which component it is: `unet`, `vae`, … */
  readonly component: string;
  /** The component's configuration, as JSON. */
  readonly config: JsonObject;
  /** Where the weights came from, as JSON. */
  readonly provenance: JsonObject;
  /** The tensors, in the order they are stored. */
  readonly tensors: readonly TensorToWrite[];
}

/**
 * Writes a component, holding one chunk of one tensor at a time.
 *
 * @param append takes the file's bytes in order
 * @param content what to write
 * @param onBytes called with the bytes of every chunk; the data passes twice
 * @throws {MasterWeaverError} `bad-option` where a tensor's data does not fit its shape, or names repeat
 */
export async function writeWeave(
  append: (bytes: Uint8Array) => Promise<void>,
  content: WeaveContent,
  onBytes: (bytes: number) => void = () => {},
): Promise<void> {
  const sizes = content.tensors.map(checkedSize);
  const sums: number[] = [];
  for (const [i, tensor] of content.tensors.entries()) {
    sums.push(await checksum(tensor, sizes[i], () => {}, onBytes));
  }
  const header = encodeHeader(content, sizes, sums);
  await append(preamble(header));
  await append(header);
  let position = PREAMBLE_BYTES + header.length;
  for (const [i, tensor] of content.tensors.entries()) {
    await append(new Uint8Array(aligned(position) - position));
    if (await checksum(tensor, sizes[i], append, onBytes) !== sums[i]) {
      throw wrong(tensor, "its data changed between two readings");
    }
    position = aligned(position) + sizes[i];
  }
}

function aligned(position: number): number {
  return Math.ceil(position / ALIGNMENT) * ALIGNMENT;
}

function wrong({ name }: TensorToWrite, what: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Cannot write tensor ${name}: ${what}`,
  );
}

function checkedSize(tensor: TensorToWrite): number {
  const bytes = byteLength(tensor.dtype, tensor.shape);
  if (typeof bytes === "string") throw wrong(tensor, bytes);
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw wrong(tensor, `its shape ${formatShape(tensor.shape)} is not valid`);
  }
  return bytes;
}

/** Passes a tensor's data on and returns its CRC-32. */
async function checksum(
  tensor: TensorToWrite,
  size: number,
  append: (bytes: Uint8Array) => Promise<void> | void,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const crc = new Crc32();
  let total = 0;
  for await (const chunk of tensor.data()) {
    crc.update(chunk);
    total += chunk.byteLength;
    await append(chunk);
    onBytes(chunk.byteLength);
  }
  if (total !== size) {
    throw wrong(
      tensor,
      `it gave ${total} bytes, ${tensor.dtype} ${
        formatShape(tensor.shape)
      } needs ${size}`,
    );
  }
  return crc.value;
}

/**
 * The header at its final length. Offsets are in the header and change its
 * length, so the layout is repeated until it no longer changes. That ends, since
 * a longer header only ever moves the data further back.
 */
function encodeHeader(
  content: WeaveContent,
  sizes: readonly number[],
  sums: readonly number[],
): Uint8Array<ArrayBuffer> {
  if (new Set(content.tensors.map(({ name }) => name)).size !== sizes.length) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot write ${content.component}: two of its tensors have one name`,
    );
  }
  let dataStart = 0;
  while (true) {
    let offset = dataStart;
    const tensors = content.tensors.map(({ name, dtype, shape }, i) => {
      const entry = { dtype, shape, offset, bytes: sizes[i], crc32: sums[i] };
      offset = aligned(offset + sizes[i]);
      return [name, entry] as const;
    });
    const { component, config, provenance } = content;
    const bytes = new TextEncoder().encode(
      JSON.stringify({
        component,
        config,
        provenance,
        tensors: Object.fromEntries(tensors),
      }),
    );
    const needed = aligned(PREAMBLE_BYTES + bytes.length);
    if (bytes.length > MAX_HEADER_BYTES) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${component}: its header takes ${bytes.length} bytes, ` +
          `at most ${MAX_HEADER_BYTES} are allowed`,
      );
    }
    if (needed <= dataStart) return padded(bytes, dataStart);
    dataStart = needed;
  }
}

/** Pads the JSON with spaces, so that the data starts where it was planned. */
function padded(
  header: Uint8Array<ArrayBuffer>,
  dataStart: number,
): Uint8Array<ArrayBuffer> {
  const slack = dataStart - aligned(PREAMBLE_BYTES + header.length);
  if (slack === 0) return header;
  const whole = new Uint8Array(header.length + slack).fill(0x20);
  whole.set(header);
  return whole;
}

function preamble(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREAMBLE_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, crc32(header), true);
  view.setBigUint64(16, BigInt(header.length), true);
  return bytes;
}
