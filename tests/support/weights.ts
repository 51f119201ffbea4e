/**
 * Makes small model files, right and wrong ones, and damages them.
 *
 * @module
 */
import { assert } from "@std/assert";
import { MemorySource } from "../../src/base/bytes.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { crc32 } from "../../src/weights/crc32.ts";
import type { TensorToWrite } from "../../src/weights/weave_writer.ts";
import {
  type WeaveContent,
  writeWeave,
} from "../../src/weights/weave_writer.ts";

/** Concatenates byte arrays. */
export function join(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, c) => sum + c.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Values as the bytes of f32. */
export function floatBytes(values: readonly number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Float32Array(values).buffer);
}

/** An f32 tensor to write. */
export function floatTensor(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): TensorToWrite {
  const bytes = floatBytes(values);
  return {
    name,
    dtype: "f32",
    shape,
    data: async function* () {
      yield await Promise.resolve(bytes);
    },
  };
}

/** The bytes of a `*.weave` file. */
export async function weaveBytes(
  content: Partial<WeaveContent>,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  await writeWeave((bytes) => {
    chunks.push(bytes);
    return Promise.resolve();
  }, {
    component: "unet",
    config: {},
    provenance: {},
    tensors: [],
    ...content,
  });
  return join(chunks);
}

/** A `*.weave` file of any header, with a right header checksum. */
export function rawWeave(
  header: unknown,
  data: Uint8Array = new Uint8Array(1024),
  version = 1,
): MemorySource {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  const start = new Uint8Array(24);
  start.set(new TextEncoder().encode("WEAVE\r\n\x1a"));
  const view = new DataView(start.buffer);
  view.setUint32(8, version, true);
  view.setUint32(12, crc32(bytes), true);
  view.setBigUint64(16, BigInt(bytes.length), true);
  const padding = new Uint8Array(-(24 + bytes.length) & 255);
  return new MemorySource(join([start, bytes, padding, data]), "test.weave");
}

/** A safetensors file of any header. */
export function rawSafetensors(
  header: unknown,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const bytes = new TextEncoder().encode(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
  return join([length, bytes, data]);
}

/** A safetensors file of f32 tensors. */
export function safetensorsBytes(
  tensors: Readonly<Record<string, { shape: number[]; data: number[] }>>,
): Uint8Array<ArrayBuffer> {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const start = end;
    end += data.length * 4;
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const data = Object.values(tensors).map(({ data }) => floatBytes(data));
  return rawSafetensors(header, join(data));
}

/** A seeded generator of whole numbers, 0..limit − 1 (mulberry32). */
export function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * limit);
  };
}

/**
 * Opens a file damaged in many ways; each time it must open or be refused
 * with a `MasterWeaverError`.
 *
 * @param whole an undamaged file
 * @param rounds how many ways
 * @param open opens a file and reads some of it
 * @returns how many were refused
 */
export async function fuzz(
  whole: Uint8Array,
  rounds: number,
  open: (source: MemorySource) => Promise<unknown>,
): Promise<number> {
  const next = random(20240229);
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = damage(whole, next);
    try {
      await open(new MemorySource(bytes, "fuzzed"));
    } catch (error) {
      assert(
        error instanceof MasterWeaverError,
        `Round ${round} threw ${error instanceof Error ? error.stack : error}`,
      );
      refused++;
    }
  }
  return refused;
}

/** Flips bits, overwrites, truncates, removes or repeats bytes. */
function damage(
  whole: Uint8Array,
  next: (limit: number) => number,
): Uint8Array<ArrayBuffer> {
  const at = next(whole.length);
  const length = 1 + next(16);
  switch (next(5)) {
    case 0:
      return new Uint8Array(whole.subarray(0, at));
    case 1:
      return join([whole.subarray(0, at), whole.subarray(at + length)]);
    case 2:
      return join([
        whole.subarray(0, at),
        whole.subarray(at, at + length),
        whole.subarray(at),
      ]);
  }
  const bytes = new Uint8Array(whole);
  for (let i = 0; i <= next(4); i++) {
    const position = next(3) > 0 ? next(whole.length) : (at + i) % whole.length;
    bytes[position] = next(2) ? next(256) : bytes[position] ^ 1 << next(8);
  }
  return bytes;
}
