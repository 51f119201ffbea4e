/**
 * A component's weights on the GPU: streamed there once, shared by every plan
 * that uses them.
 *
 * @module
 */
import type { Breath } from "../base/breathe.ts";
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import {
  type TexelShape,
  type TexelSlice,
  writeTexels,
} from "../gpu/texels.ts";
import { isQuantised, type WeightLayout } from "../ops/op.ts";
import {
  isTexels,
  layoutBytes,
  layoutShape,
  layoutWriter,
} from "../ops/weight_layouts.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { WeightRef } from "../weights/scope.ts";
import { weightChunks } from "../weights/source.ts";

/** Weights are gathered in buffers of at most this many bytes. */
const BLOCK_BYTES = 256 * 2 ** 20;
/** What is written stays in host memory until it is flushed: after so many bytes. */
const QUEUED_BYTES = 32 * 2 ** 20;

/** Bytes handed to the GPU at once. */
const GATHERED_BYTES = 4 * 2 ** 20;

/** Weights that share a buffer, or one in a texture. */
interface Block {
  readonly refs: WeightRef[];
  readonly offsets: number[];
  readonly shape?: TexelShape;
  bytes: number;
}

/** Weights of one network. */
export class WeightStore implements Disposable {
  readonly #gpu: Gpu;
  readonly #storage: StorageType;
  readonly #slices = new Map<WeightRef, BufferSlice>();
  readonly #textures = new Map<WeightRef, TexelSlice>();
  readonly #layouts = new Map<WeightRef, WeightLayout>();
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];

  /** An empty store; `storage` is the type weights that are not quantised are stored as. */
  constructor(gpu: Gpu, storage: StorageType) {
    this.#gpu = gpu;
    this.#storage = storage;
  }

  /** Where a weight lies, if this store holds it in a buffer. */
  slice(ref: WeightRef): BufferSlice | undefined {
    return this.#slices.get(ref);
  }

  /** Where a weight lies, if this store holds it in a texture. */
  texels(ref: WeightRef): TexelSlice | undefined {
    return this.#textures.get(ref);
  }

  /**
   * Streams weights to the GPU that are not there yet, or lie otherwise. Where
   * it fails or is stopped, what was not complete is freed.
   *
   * @param refs the weights, in any order
   * @param onLoad told of bytes read from the file so far, and of how many
   * @param layoutOf how each weight must lie; row-major where not given
   * @param breath pauses on the way; stops where its signal says so
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `out-of-memory`, `cannot-read`, and what `onLoad` throws
   */
  async load(
    refs: readonly WeightRef[],
    onLoad: (done: number, total: number) => void = () => {},
    layoutOf: (ref: WeightRef) => WeightLayout = () => "rows",
    breath?: Breath,
  ): Promise<void> {
    const missing = refs.filter((ref) =>
      this.#layouts.get(ref) !== layoutOf(ref)
    );
    const total = missing.reduce((sum, { tensor }) => sum + tensor.bytes, 0);
    let done = 0;
    const stream = new WeightStream(this.#gpu, (bytes) => {
      done += bytes;
      onLoad(done, total);
    }, breath);
    if (total > 0) onLoad(done, total);
    for (const block of this.#layOut(missing, layoutOf)) {
      await this.#loadBlock(block, layoutOf, stream);
    }
    await stream.finish();
    this.#gpu.check();
  }

  /** Makes a block and streams its weights, which are there when all of it is. */
  async #loadBlock(
    block: Block,
    layoutOf: (ref: WeightRef) => WeightLayout,
    stream: WeightStream,
  ): Promise<void> {
    const memory = await this.#makeBlock(block);
    try {
      for (const [i, ref] of block.refs.entries()) {
        const spec = this.#spec(ref);
        const writer = layoutWriter(
          spec,
          layoutOf(ref),
          (at, bytes) => stream.write(memory, block.offsets[i] + at, bytes),
        );
        for await (
          const { bytes, read } of weightChunks(ref.tensor, spec.dtype)
        ) {
          writer.push(bytes);
          await stream.pass(read);
        }
        writer.finish();
      }
    } catch (error) {
      this.#gpu.buffers.free(memory);
      throw error;
    }
    this.#owned.push(memory);
    for (const [i, ref] of block.refs.entries()) {
      const layout = layoutOf(ref);
      if (memory instanceof GPUTexture) {
        const view = memory.createView();
        this.#textures.set(ref, { texture: memory, view });
      } else {
        const size = layoutBytes(this.#spec(ref), layout);
        const offset = block.offsets[i];
        this.#slices.set(ref, { buffer: memory, offset, size });
      }
      this.#layouts.set(ref, layout);
    }
  }

  async #makeBlock(
    { refs, bytes, shape }: Block,
  ): Promise<GPUBuffer | GPUTexture> {
    const { name } = refs[0];
    const { buffers } = this.#gpu;
    const label = `weights from ${name}`;
    return await this.#gpu.scoped(
      `${refs.length} weights from ${name} on (${bytes} bytes)`,
      () =>
        shape ? buffers.makeTexture(shape, label) : buffers.make(
          bytes,
          GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
          label,
        ),
    );
  }

  #spec({ shape, tensor: { dtype } }: WeightRef) {
    return { shape, dtype: isQuantised(dtype) ? dtype : this.#storage };
  }

  /** Packs weights into buffers, each starting where a binding may start; one in a texture has its own. */
  #layOut(
    refs: readonly WeightRef[],
    layoutOf: (ref: WeightRef) => WeightLayout,
  ): Block[] {
    const { maxBufferSize } = this.#gpu.limits;
    const blocks: Block[] = [];
    let shared: Block | null = null;
    for (const ref of refs) {
      const spec = this.#spec(ref);
      const layout = layoutOf(ref);
      const size = layoutBytes(spec, layout);
      if (size > maxBufferSize) {
        throw new MasterWeaverError(
          "out-of-memory",
          `Weight ${ref.name} takes ${size} bytes as ${this.#storage}, a buffer of this adapter holds ` +
            `${maxBufferSize}; use --dtype f16 or a quantised model`,
        );
      }
      if (isTexels(layout)) {
        const shape = layoutShape(spec, layout);
        blocks.push({ refs: [ref], offsets: [0], shape, bytes: size });
        continue;
      }
      const room = Math.min(BLOCK_BYTES, maxBufferSize);
      if (!shared || shared.bytes + size > room) {
        shared = { refs: [], offsets: [], bytes: 0 };
        blocks.push(shared);
      }
      shared.refs.push(ref);
      shared.offsets.push(shared.bytes);
      shared.bytes = alignBinding(shared.bytes + size);
    }
    return blocks;
  }

  /** Frees the weights. */
  [Symbol.dispose](): void {
    this.#slices.clear();
    this.#textures.clear();
    this.#layouts.clear();
    for (const memory of this.#owned.splice(0)) this.#gpu.buffers.free(memory);
  }
}

/** Weights on their way to the GPU: written together, with a wait where much is queued. */
class WeightStream {
  readonly #gpu: Gpu;
  readonly #onPass: (bytes: number) => void;
  readonly #breath: Breath | undefined;
  readonly #gathered: GatheredWrites;
  #queued = 0;

  constructor(gpu: Gpu, onPass: (bytes: number) => void, breath?: Breath) {
    this.#gpu = gpu;
    this.#onPass = onPass;
    this.#breath = breath;
    this.#gathered = new GatheredWrites(gpu.device.queue);
  }

  /** Takes bytes for a place of a buffer or texture. */
  write(
    memory: GPUBuffer | GPUTexture,
    offset: number,
    bytes: Uint8Array,
  ): void {
    this.#gathered.write(memory, offset, bytes);
  }

  /** So many bytes of the file were taken; waits where the GPU has not kept up. */
  async pass(bytes: number): Promise<void> {
    this.#onPass(bytes);
    this.#queued += bytes;
    if (this.#queued >= QUEUED_BYTES) await this.finish();
    if (this.#breath?.due) await this.#breath.take();
  }

  /** Hands over what is held and waits until the GPU has it. */
  async finish(): Promise<void> {
    this.#gathered.flush();
    await this.#gpu.flush();
    this.#queued = 0;
  }
}

/** Writes that follow each other, handed to the GPU as one: each costs a mapping. */
class GatheredWrites {
  readonly #queue: GPUQueue;
  readonly #bytes = new Uint8Array(GATHERED_BYTES);
  #memory: GPUBuffer | GPUTexture | null = null;
  #start = 0;
  #length = 0;

  constructor(queue: GPUQueue) {
    this.#queue = queue;
  }

  /** Takes bytes for a place of a buffer or texture; they may be used again at once. */
  write(
    memory: GPUBuffer | GPUTexture,
    offset: number,
    bytes: Uint8Array,
  ): void {
    const follows = memory === this.#memory &&
      offset === this.#start + this.#length;
    if (!follows) this.flush();
    while (bytes.length > 0) {
      if (this.#length === 0) {
        this.#memory = memory;
        this.#start = offset;
      }
      const part = bytes.subarray(0, this.#bytes.length - this.#length);
      this.#bytes.set(part, this.#length);
      this.#length += part.length;
      offset += part.length;
      bytes = bytes.subarray(part.length);
      if (this.#length === this.#bytes.length) this.flush();
    }
  }

  /** Hands over what is held; a last word that is not full is filled with zeros. */
  flush(): void {
    if (!this.#memory || this.#length === 0) return;
    const length = Math.ceil(this.#length / 4) * 4;
    this.#bytes.fill(0, this.#length, length);
    const bytes = this.#bytes.subarray(0, length);
    if (this.#memory instanceof GPUTexture) {
      writeTexels(this.#queue, this.#memory, this.#start, bytes);
    } else {
      this.#queue.writeBuffer(this.#memory, this.#start, bytes);
    }
    this.#memory = null;
    this.#length = 0;
  }
}
