/**
 * A network's weights on the GPU: streamed there once and shared by all its plans.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import { alignBinding, type BufferSlice } from "../gpu/buffers.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { readBuffers } from "../gpu/readback.ts";
import {
  type TexelShape,
  type TexelSlice,
  writeTexels,
} from "../gpu/texels.ts";
import {
  elementCount,
  isQuantised,
  type TensorSpec,
  type WeightLayout,
} from "../ops/op.ts";
import {
  isTexels,
  layoutBytes,
  layoutShape,
  layoutWriter,
} from "../ops/weights/layouts.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { WeightRef } from "../weights/scope.ts";
import { weightChunks, type WeightDtype } from "../weights/source.ts";
import type { WeaveTensor } from "../weights/weave.ts";
import { fromBytes } from "./elements.ts";

/** Weights share buffers of at most this many bytes. */
const BLOCK_BYTES = 256 * 2 ** 20;
/** Queued writes stay in host memory until they are flushed, which is after this many bytes. */
const QUEUED_BYTES = 32 * 2 ** 20;

/** Most bytes of one write to the GPU. */
const GATHERED_BYTES = 4 * 2 ** 20;

/** A parameter as a graph wants it. */
export interface StoredParameter {
  /** The tensor in the file. */
  readonly ref: WeightRef;
  /** Element type on the GPU. */
  readonly dtype: WeightDtype;
  /** Layout on the GPU. */
  readonly layout: WeightLayout;
  /** Whether ops may overwrite it; it then has a buffer of its own. */
  readonly trainable: boolean;
}

/** What is held in the place of a file's tensor. */
export interface WeightContent {
  /** Tells it from other contents of the same tensor; never empty. */
  readonly key: string;
  /** What is streamed: of the same shape, and the same type on the GPU. */
  readonly tensor: WeaveTensor;
}

/** Contents by the tensors of a file that they replace. */
export type WeightContents = ReadonlyMap<WeaveTensor, WeightContent>;

/** The file's own values. */
const UNCHANGED: WeightContents = new Map();
/** The key of a weight that was being written when that was stopped. */
const INCOMPLETE = "incomplete";

/** A parameter and where it lies. */
interface Held {
  readonly parameter: StoredParameter;
  readonly place: BufferSlice | TexelSlice;
}

/** Parameters that share a buffer, or a single one in a texture. */
interface Block {
  readonly parameters: StoredParameter[];
  readonly offsets: number[];
  readonly shape?: TexelShape;
  bytes: number;
}

/** Parameters of one network. */
export class WeightStore implements Disposable {
  readonly #gpu: Gpu;
  /** By tensor, then by {@linkcode formOf}. */
  readonly #held = new Map<WeightRef, Map<string, Held>>();
  /** Keys of the contents that are held; of none where they are the file's own. */
  readonly #keys = new Map<WeightRef, string>();
  #contents = UNCHANGED;
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];

  /** An empty store. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The place of a parameter, if this store holds it in the wanted form. */
  find(wanted: StoredParameter): BufferSlice | TexelSlice | undefined {
    const forms = this.#held.get(wanted.ref);
    // One that is trained serves those who only read it.
    const held = forms?.get(formOf(wanted)) ??
      forms?.get(formOf({ ...wanted, trainable: true }));
    return held?.place;
  }

  /**
   * Makes contents those that are held, now and after every later
   * {@linkcode load}. Only weights whose contents are others are streamed again,
   * into the places where they lie, so plans stay valid. What is held then
   * equals what loading it afresh gives, to the bit.
   *
   * If it fails or is stopped, the next call streams what was not finished.
   *
   * @param contents in the place of the file's tensors; none for the file as it is
   * @param onLoad as of {@linkcode load}
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, and what `onLoad` throws
   */
  async hold(
    contents: WeightContents = UNCHANGED,
    onLoad: (done: number, total: number) => void = () => {},
    pauser?: Pauser,
  ): Promise<void> {
    this.#contents = contents;
    const stale = [...this.#held].filter(([ref]) =>
      this.#keys.get(ref) !== contents.get(ref.tensor)?.key
    );
    const total = stale.reduce(
      (sum, [ref, forms]) => sum + forms.size * this.#source(ref).bytes,
      0,
    );
    if (total === 0) return;
    let done = 0;
    const stream = new WeightStream(
      this.#gpu,
      (bytes) => onLoad(done += bytes, total),
      pauser,
    );
    onLoad(done, total);
    try {
      for (const [ref, forms] of stale) {
        this.#keys.set(ref, INCOMPLETE);
        for (const { parameter, place } of forms.values()) {
          const [memory, offset] = "texture" in place
            ? [place.texture, 0] as const
            : [place.buffer, place.offset] as const;
          await this.#write(parameter, memory, offset, stream);
        }
        this.#recordKey(ref);
      }
    } finally {
      // Weights whose keys are recorded are held, whatever stops those after them.
      stream.flush();
    }
    await stream.finish();
    this.#gpu.check();
  }

  /** What is streamed for a tensor. */
  #source(ref: WeightRef): WeaveTensor {
    return this.#contents.get(ref.tensor)?.tensor ?? ref.tensor;
  }

  /** Records which contents of a tensor are held. */
  #recordKey(ref: WeightRef): void {
    const key = this.#contents.get(ref.tensor)?.key;
    if (key === undefined) this.#keys.delete(ref);
    else this.#keys.set(ref, key);
  }

  /**
   * Streams those parameters to the GPU that are not there yet in the wanted form.
   * If it fails or is stopped, incomplete buffers are freed.
   *
   * @param wanted the parameters, in any order
   * @param onLoad receives the bytes read from the file so far, and the total
   * @param pauser pauses on the way; its signal stops the loading
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `out-of-memory`, `cannot-read`, and what `onLoad` throws
   */
  async load(
    wanted: readonly StoredParameter[],
    onLoad: (done: number, total: number) => void = () => {},
    pauser?: Pauser,
  ): Promise<void> {
    for (const parameter of wanted) this.#checkTraining(parameter);
    const missing = wanted.filter((parameter) => !this.find(parameter));
    const total = missing.reduce(
      (sum, { ref }) => sum + this.#source(ref).bytes,
      0,
    );
    let done = 0;
    const stream = new WeightStream(this.#gpu, (bytes) => {
      done += bytes;
      onLoad(done, total);
    }, pauser);
    if (total > 0) onLoad(done, total);
    for (const block of this.#layOut(missing)) {
      await this.#loadBlock(block, stream);
    }
    await stream.finish();
    this.#gpu.check();
  }

  /** Requires that no other form is held that would not see what is trained. */
  #checkTraining(wanted: StoredParameter): void {
    const { ref, trainable } = wanted;
    const forms = [...this.#held.get(ref)?.keys() ?? []];
    const other = forms.some((form) => form.endsWith(` ${!trainable}`));
    if (!other || this.find(wanted)) return;
    throw new MasterWeaverError(
      "gpu",
      `Weight ${ref.name} is held ${
        trainable ? "for reading alone" : "to be trained"
      }: ask for it in rows and in one type wherever it is trained, before other plans are made`,
    );
  }

  /**
   * Reads the current values of a parameter that is stored in rows back from the GPU.
   *
   * @returns its elements, row by row
   * @throws {MasterWeaverError} `gpu` if it is not held in this form, not in rows, or quantised
   */
  async read(parameter: StoredParameter): Promise<Float32Array> {
    const held = this.find(parameter);
    const { ref, dtype, layout } = parameter;
    if (!held || "texture" in held || isQuantised(dtype)) {
      throw new MasterWeaverError(
        "gpu",
        `Cannot read ${ref.name} back as ${dtype} in ${layout}: expected a parameter that is stored in rows of f16 or f32`,
      );
    }
    const [bytes] = await readBuffers(this.#gpu, [held]);
    const elements = fromBytes(bytes, dtype) as Float32Array;
    return elements.subarray(0, elementCount(ref.shape));
  }

  /** Makes a block and streams its parameters; they are found only once all are there. */
  async #loadBlock(block: Block, stream: WeightStream): Promise<void> {
    const memory = await this.#makeBlock(block);
    try {
      for (const [i, parameter] of block.parameters.entries()) {
        await this.#write(parameter, memory, block.offsets[i], stream);
      }
      // Whoever stops the call while the next block is read leaves this one whole.
      stream.flush();
    } catch (error) {
      this.#gpu.buffers.free(memory);
      throw error;
    }
    this.#owned.push(memory);
    for (const [i, parameter] of block.parameters.entries()) {
      const place = memory instanceof GPUTexture
        ? { texture: memory, view: memory.createView() }
        : {
          buffer: memory,
          offset: block.offsets[i],
          size: layoutBytes(specOf(parameter), parameter.layout),
        };
      let forms = this.#held.get(parameter.ref);
      if (!forms) this.#held.set(parameter.ref, forms = new Map());
      forms.set(formOf(parameter), { parameter, place });
      this.#recordKey(parameter.ref);
    }
  }

  /** Streams a parameter to a place. */
  async #write(
    parameter: StoredParameter,
    memory: GPUBuffer | GPUTexture,
    offset: number,
    stream: WeightStream,
  ): Promise<void> {
    const { ref, dtype, layout } = parameter;
    const writer = layoutWriter(
      specOf(parameter),
      layout,
      (at, bytes) => stream.write(memory, offset + at, bytes),
    );
    const chunks = weightChunks(this.#source(ref), dtype);
    for await (const { bytes, read } of stream.stoppable(chunks)) {
      writer.push(bytes);
      await stream.countRead(read);
    }
    writer.finish();
  }

  async #makeBlock(
    { parameters, bytes, shape }: Block,
  ): Promise<GPUBuffer | GPUTexture> {
    const { name } = parameters[0].ref;
    const { buffers } = this.#gpu;
    const label = `weights from ${name}`;
    return await this.#gpu.scoped(
      `${parameters.length} weights from ${name} on (${bytes} bytes)`,
      () =>
        shape ? buffers.makeTexture(shape, label) : buffers.make(
          bytes,
          GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
            GPUBufferUsage.COPY_SRC,
          label,
        ),
    );
  }

  /**
   * Assigns parameters to blocks, each at a valid binding offset. A parameter in a
   * texture has a block of its own, and so has a trainable one: a dispatch cannot
   * both read and write one buffer.
   */
  #layOut(wanted: readonly StoredParameter[]): Block[] {
    const { maxBufferSize } = this.#gpu.limits;
    const blocks: Block[] = [];
    let shared: Block | null = null;
    for (const parameter of wanted) {
      const { ref, dtype, layout, trainable } = parameter;
      const spec = specOf(parameter);
      const size = layoutBytes(spec, layout);
      if (size > maxBufferSize) {
        throw new MasterWeaverError(
          "out-of-memory",
          `Weight ${ref.name} takes ${size} bytes as ${dtype}, but this adapter's buffers hold at most ` +
            `${maxBufferSize}; use dtype: "f16" or a quantised model`,
        );
      }
      if (isTexels(layout) || trainable) {
        const shape = isTexels(layout) ? layoutShape(spec, layout) : undefined;
        const bytes = shape ? size : alignBinding(size);
        blocks.push({ parameters: [parameter], offsets: [0], shape, bytes });
        continue;
      }
      const room = Math.min(BLOCK_BYTES, maxBufferSize);
      if (!shared || shared.bytes + size > room) {
        shared = { parameters: [], offsets: [], bytes: 0 };
        blocks.push(shared);
      }
      shared.parameters.push(parameter);
      shared.offsets.push(shared.bytes);
      shared.bytes = alignBinding(shared.bytes + size);
    }
    return blocks;
  }

  /** Frees the parameters. */
  [Symbol.dispose](): void {
    this.#held.clear();
    this.#keys.clear();
    for (const memory of this.#owned.splice(0)) this.#gpu.buffers.free(memory);
  }
}

/** Identifies one of the forms in which a tensor of a file may be held. */
function formOf({ dtype, layout, trainable }: StoredParameter): string {
  return `${dtype} ${layout} ${trainable}`;
}

function specOf({ ref: { shape }, dtype }: StoredParameter): TensorSpec {
  return { shape, dtype };
}

/** Writes weights to the GPU, waiting whenever much is queued. */
class WeightStream {
  readonly #gpu: Gpu;
  readonly #onRead: (bytes: number) => void;
  readonly #pauser: Pauser | undefined;
  readonly #gathered: GatheredWrites;
  #queued = 0;

  constructor(gpu: Gpu, onRead: (bytes: number) => void, pauser?: Pauser) {
    this.#gpu = gpu;
    this.#onRead = onRead;
    this.#pauser = pauser;
    this.#gathered = new GatheredWrites(gpu.device.queue);
  }

  /** Writes bytes at an offset of a buffer or texture. */
  write(
    memory: GPUBuffer | GPUTexture,
    offset: number,
    bytes: Uint8Array,
  ): void {
    this.#gathered.write(memory, offset, bytes);
  }

  /** Chunks as they come, as long as the call is not stopped. */
  stoppable<T>(chunks: AsyncIterable<T>): AsyncIterable<T> {
    return this.#pauser?.stoppable(chunks) ?? chunks;
  }

  /** Counts bytes read from the file; waits if too many of them are queued. */
  async countRead(bytes: number): Promise<void> {
    this.#onRead(bytes);
    this.#queued += bytes;
    if (this.#queued >= QUEUED_BYTES) await this.finish();
    if (this.#pauser?.isDue) await this.#pauser.pause();
  }

  /** Writes what is still gathered. */
  flush(): void {
    this.#gathered.flush();
  }

  /** Writes what is still gathered and waits until the GPU has done all writes. */
  async finish(): Promise<void> {
    this.flush();
    await this.#gpu.flush();
    this.#queued = 0;
  }
}

/** Joins adjacent writes into one, as each write to the GPU costs a mapping. */
class GatheredWrites {
  readonly #queue: GPUQueue;
  readonly #bytes = new Uint8Array(GATHERED_BYTES);
  #memory: GPUBuffer | GPUTexture | null = null;
  #start = 0;
  #length = 0;

  constructor(queue: GPUQueue) {
    this.#queue = queue;
  }

  /** Writes bytes at an offset of a buffer or texture; the caller may reuse them at once. */
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

  /** Writes what is gathered, padded with zeros to a whole word. */
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
