/**
 * Cuts a stream of bytes into runs of any length.
 *
 * @module
 */

/** Reads a stream front to back. */
export class StreamReader implements AsyncDisposable {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * Starts at the first byte.
   *
   * @param chunks of any lengths
   */
  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /**
   * The next bytes, which start their buffer.
   *
   * @throws {RangeError} where there are fewer
   */
  async bytes(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#chunks.next();
        if (done) {
          throw new RangeError(
            `Cannot read ${count} bytes: the stream ended after ${at}`,
          );
        }
        this.#rest = value;
      }
      const taken = this.#rest.subarray(0, count - at);
      bytes.set(taken, at);
      this.#rest = this.#rest.subarray(taken.length);
      at += taken.length;
    }
    return bytes;
  }

  /** The next values, f32 and little endian. */
  async floats(count: number): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array((await this.bytes(4 * count)).buffer);
  }

  /** Ends the stream, read whole or not. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return?.();
  }
}

/** Things read at a time: 1 MiB of f32. */
const RUN = 2 ** 18;

/** Lengths that add up to a count, each a multiple of `unit` but for the last. */
export function* runs(count: number, unit: number): Generator<number> {
  const most = Math.max(unit, Math.floor(RUN / unit) * unit);
  for (let done = 0; done < count; done += most) {
    yield Math.min(most, count - done);
  }
}
