/**
 * A network on the GPU for as long as it is needed: its weights and its plan.
 *
 * @module
 */
import type { Gpu } from "../gpu/gpu.ts";
import type { Graph } from "./graph.ts";
import { type GpuTensor, Plan } from "./plan.ts";
import type { Tuner } from "./tuner.ts";
import { Variants } from "./variants.ts";
import { WeightStore } from "./weight_store.ts";

/** What a network is used for, and by whom. */
export interface NetworkUse {
  /** What the plan belongs to; another owner's plan is not used again. */
  readonly owner: object;
  /** Builds what is computed. */
  readonly graph: () => Graph;
  /** Inputs and outputs that lie in the owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
  /** Told of bytes of weights streamed to the GPU, of how many in all. */
  readonly onLoad?: (done: number, total: number) => void;
  /** Told of plans made: 0, then 1, of 1. */
  readonly onCompile?: (done: number, total: number) => void;
}

/** The weights and the plan of a network, loaded on first use. */
export class Network implements Disposable {
  readonly #gpu: Gpu;
  readonly #keepLoaded: boolean;
  readonly #tuner: Tuner;
  #store: WeightStore | null = null;
  #plan: Plan | null = null;
  #owner: object | null = null;

  /**
   * Nothing is loaded yet.
   *
   * @param gpu where it will run
   * @param keepLoaded whether it stays on the GPU when a use is over
   * @param tuner decides which way its ops are computed
   */
  constructor(gpu: Gpu, keepLoaded: boolean, tuner: Tuner) {
    this.#gpu = gpu;
    this.#keepLoaded = keepLoaded;
    this.#tuner = tuner;
  }

  /**
   * Loads what is not there yet, lets the plan be used, and frees it all
   * unless it is kept.
   *
   * @param work runs the plan; may return before the GPU is done
   * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `out-of-memory`, `gpu`, and what `work` throws
   */
  async use<T>(use: NetworkUse, work: (plan: Plan) => Promise<T>): Promise<T> {
    try {
      const result = await work(await this.#ready(use));
      // Memory is free for what comes next only when the GPU has done this.
      if (!this.#keepLoaded) await this.#gpu.idle();
      return result;
    } finally {
      if (!this.#keepLoaded) this[Symbol.dispose]();
    }
  }

  async #ready(
    { owner, graph, bindings, onLoad, onCompile }: NetworkUse,
  ): Promise<Plan> {
    if (this.#plan && this.#owner === owner) return this.#plan;
    this.#plan?.[Symbol.dispose]();
    this.#plan = null;
    const built = graph();
    this.#store ??= new WeightStore(this.#gpu, built.real);
    await this.#tuner.prepare(built);
    const variants = new Variants(built, this.#tuner.choose);
    await this.#store.load(
      built.weights,
      onLoad,
      (ref) => variants.layout(ref),
    );
    onCompile?.(0, 1);
    this.#plan = await Plan.make(this.#gpu, built, {
      weights: [this.#store],
      bindings,
      variants,
    });
    this.#owner = owner;
    onCompile?.(1, 1);
    return this.#plan;
  }

  /** Frees weights and plan. */
  [Symbol.dispose](): void {
    this.#plan?.[Symbol.dispose]();
    this.#store?.[Symbol.dispose]();
    this.#plan = this.#store = this.#owner = null;
  }
}
