/**
 * A network on the GPU for as long as it is needed: its weights and its plans.
 *
 * @module
 */
import { Breath } from "../base/breathe.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Graph } from "./graph.ts";
import { KernelChoice } from "./kernel_choice.ts";
import { type GpuTensor, Plan } from "./plan.ts";
import type { Tuner } from "./tuner.ts";
import { WeightStore } from "./weight_store.ts";

/** What one plan of a network is made from. */
export interface PlanRecipe {
  /** Builds what is computed. */
  readonly graph: () => Graph;
  /** Inputs and outputs that lie in the owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
}

/** What a network is used for, and by whom. */
export interface NetworkUse<Name extends string> {
  /** What the plans belong to; another owner's plans are not used again. */
  readonly owner: object;
  /**
   * The plans by name, all over the same weights; the one that needs most of
   * them first. A name stands for one recipe as long as the owner is the same.
   */
  readonly plans: Readonly<Record<Name, PlanRecipe>>;
  /** Told of bytes of weights streamed to the GPU, of how many in all. */
  readonly onLoad?: (done: number, total: number) => void;
  /** Told of plans made, of how many that were not there. */
  readonly onPrepare?: (done: number, total: number) => void;
  /** Stops loading and making of plans. */
  readonly signal?: AbortSignal;
}

/** The weights and the plans of a network, loaded on first use. */
export class Network implements Disposable {
  readonly #gpu: Gpu;
  readonly #keepLoaded: boolean;
  readonly #tuner: Tuner;
  readonly #plans = new Map<string, Plan>();
  #store: WeightStore | null = null;
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
   * Loads what is not there yet, lets the plans be used, and frees it all
   * unless it is kept. Where something fails, nothing is kept: what a fault of
   * the GPU left behind is not known.
   *
   * @param work runs the plans; may return before the GPU is done
   * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `gpu`, and what `work` throws
   */
  async use<Name extends string, T>(
    use: NetworkUse<Name>,
    work: (plans: Readonly<Record<Name, Plan>>) => Promise<T>,
  ): Promise<T> {
    let isKept = this.#keepLoaded;
    try {
      const result = await work(await this.#ready(use));
      // Memory is free for what comes next only when the GPU has done this.
      if (!this.#keepLoaded) await this.#gpu.idle();
      return result;
    } catch (error) {
      isKept &&= error instanceof MasterWeaverError && error.code === "aborted";
      throw error;
    } finally {
      if (!isKept) this[Symbol.dispose]();
    }
  }

  /** The plans asked for; those that are not there yet are made. */
  async #ready<Name extends string>(
    { owner, plans, onLoad, onPrepare, signal }: NetworkUse<Name>,
  ): Promise<Readonly<Record<Name, Plan>>> {
    if (this.#owner !== owner) this.#freePlans();
    this.#owner = owner;
    const names = Object.keys(plans) as Name[];
    const missing = names.filter((name) => !this.#plans.has(name))
      .map((name) => ({ name, ...plans[name], graph: plans[name].graph() }));
    const breath = new Breath(signal);
    // All before any weight is laid out: a later choice would lay it otherwise.
    for (const { graph } of missing) await this.#tuner.prepare(graph, breath);
    for (const [i, recipe] of missing.entries()) {
      const plan = await this.#make(
        recipe.graph,
        recipe.bindings,
        onLoad,
        () => onPrepare?.(i, missing.length),
        breath,
      );
      this.#plans.set(recipe.name, plan);
      onPrepare?.(i + 1, missing.length);
    }
    return Object.fromEntries(
      names.map((name) => [name, this.#plans.get(name)!]),
    ) as Record<Name, Plan>;
  }

  /** Loads the weights of a graph, then makes its plan; the plans never run at once. */
  async #make(
    graph: Graph,
    bindings: PlanRecipe["bindings"],
    onLoad: NetworkUse<string>["onLoad"],
    onLoaded: () => void,
    breath: Breath,
  ): Promise<Plan> {
    this.#store ??= new WeightStore(this.#gpu);
    const kernels = new KernelChoice(graph, this.#tuner.choose);
    await this.#store.load(kernels.parameters, onLoad, breath);
    onLoaded();
    return await Plan.make(this.#gpu, graph, {
      weights: [this.#store],
      bindings,
      kernels,
      shares: this.#plans.values().next().value,
      breath,
    });
  }

  #freePlans(): void {
    for (const plan of this.#plans.values()) plan[Symbol.dispose]();
    this.#plans.clear();
  }

  /** Frees weights and plans. */
  [Symbol.dispose](): void {
    this.#freePlans();
    this.#store?.[Symbol.dispose]();
    this.#store = this.#owner = null;
  }
}
