/**
 * Counts what is asked of WebGPU while something runs: dispatches, and what a
 * denoising step must not do.
 *
 * @module
 */

/** What was asked for. */
export interface Calls {
  readonly dispatches: number;
  /** Buffers, bind groups, pipelines and shader modules made. */
  readonly allocations: number;
  /** Buffers mapped to be read. */
  readonly readbacks: number;
}

/** What makes something. */
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
export class CallCounter implements Disposable {
  readonly #counts = { dispatches: 0, allocations: 0, readbacks: 0 };
  readonly #stack = new DisposableStack();

  constructor() {
    for (const name of MAKERS) {
      this.#watch(GPUDevice.prototype, name, "allocations");
    }
    this.#watch(GPUBuffer.prototype, "mapAsync", "readbacks");
    const pass = GPUComputePassEncoder.prototype;
    this.#watch(pass, "dispatchWorkgroups", "dispatches");
    this.#watch(pass, "dispatchWorkgroupsIndirect", "dispatches");
  }

  /** Puts a method that counts in the place of another. */
  #watch<T extends object>(prototype: T, name: keyof T, kind: keyof Calls) {
    const original = Object.getOwnPropertyDescriptor(prototype, name);
    const method = original?.value;
    if (!original || typeof method !== "function") return;
    const counts = this.#counts;
    Object.defineProperty(prototype, name, {
      ...original,
      value(this: unknown, ...args: unknown[]) {
        counts[kind]++;
        return Reflect.apply(method, this, args);
      },
    });
    this.#stack.defer(() => Object.defineProperty(prototype, name, original));
  }

  /** What was counted so far. */
  get calls(): Calls {
    return { ...this.#counts };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

/** The calls of a step for a person. */
export function callsLine({ dispatches, allocations, readbacks }: Calls) {
  return `a step: ${dispatches} dispatches, ${allocations} allocations, ${readbacks} readbacks`;
}
