/**
 * Counts what is asked of WebGPU while something runs: dispatches, and what a
 * denoising step must not do.
 *
 * @module
 */

/** What was asked for. */
export interface Calls {
  /** Dispatches. */
  readonly dispatches: number;
  /** Buffers, bind groups, pipelines and shader modules made. */
  readonly allocations: number;
  /** Buffers mapped to be read. */
  readonly readbacks: number;
}

/** Methods that make something. */
const MAKERS = [
  "createBuffer",
  "createTexture",
  "createBindGroup",
  "createComputePipeline",
  "createComputePipelineAsync",
  "createRenderPipeline",
  "createShaderModule",
  "createQuerySet",
] as const;

/** Counts the calls of every device of this process, from its making on. */
export class Census implements Disposable, Calls {
  #dispatches = 0;
  #allocations = 0;
  #readbacks = 0;
  readonly #restore: (() => void)[] = [];

  /** Starts to count. */
  constructor() {
    for (const name of MAKERS) {
      this.#watch(GPUDevice.prototype, name, () => this.#allocations++);
    }
    this.#watch(GPUBuffer.prototype, "mapAsync", () => this.#readbacks++);
    const pass = GPUComputePassEncoder.prototype;
    this.#watch(pass, "dispatchWorkgroups", () => this.#dispatches++);
    this.#watch(pass, "dispatchWorkgroupsIndirect", () => this.#dispatches++);
  }

  /** Puts a method that counts in the place of another. */
  #watch<T extends object>(prototype: T, name: keyof T, count: () => void) {
    const original = Object.getOwnPropertyDescriptor(prototype, name);
    const method = original?.value;
    if (!original || typeof method !== "function") return;
    Object.defineProperty(prototype, name, {
      ...original,
      value(this: unknown, ...args: unknown[]) {
        count();
        return Reflect.apply(method, this, args);
      },
    });
    this.#restore.push(() => Object.defineProperty(prototype, name, original));
  }

  /** Dispatches so far. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Things made so far. */
  get allocations(): number {
    return this.#allocations;
  }

  /** Readbacks so far. */
  get readbacks(): number {
    return this.#readbacks;
  }

  /** What was counted so far. */
  get calls(): Calls {
    const { dispatches, allocations, readbacks } = this;
    return { dispatches, allocations, readbacks };
  }

  /** Stops to count. */
  [Symbol.dispose](): void {
    for (const restore of this.#restore.splice(0).reverse()) restore();
  }
}

/** The calls of a step for a person. */
export function callsLine({ dispatches, allocations, readbacks }: Calls) {
  return `${dispatches} dispatches, ${allocations} allocations, ${readbacks} readbacks`;
}
