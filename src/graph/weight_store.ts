/**
 * A component's weights on the GPU: streamed there once, shared by every plan
 * that uses them.
 *
 * @module
 */
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu, Real } from "../gpu/gpu.ts";
import { UNIFORM_WINDOW } from "../gpu/pipelines.ts";
import { BlockPacker, blockSizes } from "../ops/blocks.ts";
import {
  isQuantised,
  tensorBytes,
  type TensorSpec,
  type WeightLayout,
} from "../ops/op.ts";
import { MasterWeaverError } from "../errors.ts";
import type { WeightRef } from "../weights/scope.ts";

/** Weights are gathered in buffers of at most this many bytes. */
const BLOCK_BYTES = 256 * 2 ** 20;
/** What is written stays in host memory until it is flushed: after so many bytes. */
const QUEUED_BYTES = 32 * 2 ** 20;

/** Weights that share a buffer. */
interface Block {
  readonly refs: WeightRef[];
  readonly offsets: number[];
  bytes: number;
}

/** Takes bytes in order. */
interface ByteWriter {
  push(bytes: Uint8Array<ArrayBuffer>): void;
  finish(): void;
}

/** Weights of one network. */
export class WeightStore implements Disposable {
  readonly #gpu: Gpu;
  readonly #real: Real;
  readonly #slices = new Map<WeightRef, BufferSlice>();
  readonly #layouts = new Map<WeightRef, WeightLayout>();
  readonly #blocks: GPUBuffer[] = [];

  /** An empty store; `real` is the type weights that are not quantised are stored as. */
  constructor(gpu: Gpu, real: Real) {
    this.#gpu = gpu;
    this.#real = real;
  }

  /** Where a weight lies, if this store holds it. */
  slice(ref: WeightRef): BufferSlice | undefined {
    return this.#slices.get(ref);
  }

  /**
   * Streams weights to the GPU that are not there yet, or lie otherwise.
   *
   * @param refs the weights, in any order
   * @param onLoad told of bytes read from the file so far, and of how many
   * @param layoutOf how each weight must lie; row-major where not given
   * @throws {MasterWeaverError} `bad-model`, `out-of-memory`, `cannot-read`, and what `onLoad` throws
   */
  async load(
    refs: readonly WeightRef[],
    onLoad: (done: number, total: number) => void = () => {},
    layoutOf: (ref: WeightRef) => WeightLayout = () => "rows",
  ): Promise<void> {
    const missing = refs.filter((ref) =>
      this.#layouts.get(ref) !== layoutOf(ref)
    );
    const total = missing.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
    let done = 0;
    let queued = 0;
    if (total > 0) onLoad(done, total);
    for (const block of this.#layOut(missing, layoutOf)) {
      const buffer = await this.#makeBlock(block);
      for (const [i, ref] of block.refs.entries()) {
        const offset = block.offsets[i];
        const layout = layoutOf(ref);
        const writer = this.#writer(buffer, offset, ref, layout);
        for await (const chunk of ref.tensor.chunks()) {
          writer.push(
            convert(chunk, ref.tensor.dtype, this.#real, ref.name),
          );
          done += chunk.byteLength;
          queued += chunk.byteLength;
          onLoad(done, total);
          if (queued >= QUEUED_BYTES) {
            await this.#gpu.flush();
            queued = 0;
          }
        }
        writer.finish();
        const size = this.#bytes(ref, layout);
        this.#slices.set(ref, { buffer, offset, size });
        this.#layouts.set(ref, layout);
      }
    }
    await this.#gpu.flush();
    this.#gpu.check();
  }

  async #makeBlock({ refs, bytes }: Block): Promise<GPUBuffer> {
    const { name } = refs[0];
    const buffer = await this.#gpu.scoped(
      `${refs.length} weights from ${name} on (${bytes} bytes)`,
      () =>
        this.#gpu.buffers.make(
          // A window that begins with the last weight must fit.
          bytes + UNIFORM_WINDOW,
          GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM |
            GPUBufferUsage.COPY_DST,
          `weights from ${name}`,
        ),
    );
    this.#blocks.push(buffer);
    return buffer;
  }

  /** Takes a weight's bytes in the order of the file. */
  #writer(
    buffer: GPUBuffer,
    start: number,
    ref: WeightRef,
    layout: WeightLayout,
  ): ByteWriter {
    const { queue } = this.#gpu.device;
    if (layout === "blocks") {
      return new BlockPacker(
        this.#spec(ref),
        (offset, bytes) =>
          queue.writeBuffer(buffer, start + offset, padded(bytes)),
      );
    }
    let at = start;
    return {
      push(bytes) {
        queue.writeBuffer(buffer, at, padded(bytes));
        at += bytes.byteLength;
      },
      finish() {},
    };
  }

  #spec({ shape, tensor: { dtype } }: WeightRef): TensorSpec {
    return { shape, dtype: isQuantised(dtype) ? dtype : this.#real };
  }

  #bytes(ref: WeightRef, layout: WeightLayout): number {
    const spec = this.#spec(ref);
    if (layout === "blocks") return blockSizes(spec).total;
    return Math.ceil(tensorBytes(spec) / 4) * 4;
  }

  /** Packs weights into blocks, each starting where a binding may start. */
  #layOut(
    refs: readonly WeightRef[],
    layoutOf: (ref: WeightRef) => WeightLayout,
  ): Block[] {
    const maxBufferSize = this.#gpu.limits.maxBufferSize - UNIFORM_WINDOW;
    const blocks: Block[] = [];
    for (const ref of refs) {
      const size = this.#bytes(ref, layoutOf(ref));
      if (size > maxBufferSize) {
        throw new MasterWeaverError(
          "out-of-memory",
          `Weight ${ref.name} takes ${size} bytes as ${this.#real}, a buffer of this adapter holds ` +
            `${maxBufferSize}; use --dtype f16 or a quantised model`,
        );
      }
      let block = blocks.at(-1);
      const room = Math.min(BLOCK_BYTES, maxBufferSize);
      if (!block || block.bytes + size > room) {
        block = { refs: [], offsets: [], bytes: 0 };
        blocks.push(block);
      }
      block.refs.push(ref);
      block.offsets.push(block.bytes);
      block.bytes = alignBinding(block.bytes + size);
    }
    return blocks;
  }

  /** Frees the weights. */
  [Symbol.dispose](): void {
    this.#slices.clear();
    this.#layouts.clear();
    for (const block of this.#blocks.splice(0)) this.#gpu.buffers.free(block);
  }
}

/** A chunk of a file's tensor in the type the GPU stores. */
function convert(
  chunk: Uint8Array<ArrayBuffer>,
  from: string,
  to: Real,
  name: string,
): Uint8Array<ArrayBuffer> {
  if (from === to || isQuantised(from)) return chunk;
  const { buffer, byteOffset, byteLength } = chunk;
  if (from === "f16") {
    const half = new Float16Array(buffer, byteOffset, byteLength / 2);
    return new Uint8Array(new Float32Array(half).buffer);
  }
  if (from === "f32") {
    const single = new Float32Array(buffer, byteOffset, byteLength / 4);
    return new Uint8Array(new Float16Array(single).buffer);
  }
  throw new MasterWeaverError(
    "bad-model",
    `Weight ${name} is stored as ${from}, expected f32, f16, q8 or q4`,
  );
}

/** Writes must be a multiple of 4 bytes long. */
function padded(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (bytes.byteLength % 4 === 0) return bytes;
  const whole = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
  whole.set(bytes);
  return whole;
}
