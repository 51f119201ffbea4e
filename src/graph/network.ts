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
  /** Stands for all that decides the graph: equal keys, equal graphs. */
  readonly key: string;
  /** Builds what is computed. */
  readonly graph: () => Graph;
  /** Inputs and outputs that lie in another owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
}

/** What a network is used for. */
export interface NetworkUse<Name extends string> {
  /**
   * The plans by any name, all over the same weights; the one that needs most
   * of them first.
   */
  readonly plans: Readonly<Record<Name, PlanRecipe>>;
  /** Told of bytes of weights streamed to the GPU, of how many in all. */
  readonly onLoad?: (done: number, total: number) => void;
  /** Told of plans made, of how many that were not there. */
  readonly onPrepare?: (done: number, total: number) => void;
  /** Stops loading and making of plans. */
  readonly signal?: AbortSignal;
}

/** A plan that is kept, and what it was bound to when it was made. */
interface KeptPlan {
  readonly plan: Plan;
  readonly bindings: Readonly<Record<string, GpuTensor>>;
}

/** The weights and the plans of a network, loaded on first use. */
export class Network implements Disposable {
  readonly #gpu: Gpu;
  readonly #keepLoaded: boolean;
  readonly #tuner: Tuner;
  /** By key. The first lends its memory to those after it. */
  readonly #kept = new Map<string, KeptPlan>();
  #store: WeightStore | null = null;

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
    try {
      const result = await work(await this.#ready(use));
      await this.#release();
      return result;
    } catch (error) {
      this.#releaseAfter(error);
      throw error;
    }
  }

  /**
   * As {@linkcode use}, for work that is done step by step. Breaking off between
   * two steps ends the use and frees as usual; a generator that is left unfinished
   * holds the network.
   *
   * @returns yields what `work` yields
   * @throws {MasterWeaverError} as {@linkcode use}
   */
  async *stream<Name extends string, T>(
    use: NetworkUse<Name>,
    work: (
      plans: Readonly<Record<Name, Plan>>,
    ) => AsyncGenerator<T, void, void>,
  ): AsyncGenerator<T, void, void> {
    let failed = false;
    try {
      yield* work(await this.#ready(use));
    } catch (error) {
      failed = true;
      this.#releaseAfter(error);
      throw error;
    } finally {
      if (!failed) await this.#release();
    }
  }

  /** Frees it, unless it is kept, when the GPU is done: memory is free only then. */
  async #release(): Promise<void> {
    if (this.#keepLoaded) return;
    try {
      await this.#gpu.idle();
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Frees it, unless it is kept and all that happened is that a call was stopped. */
  #releaseAfter(error: unknown): void {
    const isStop = error instanceof MasterWeaverError &&
      error.code === "aborted";
    if (!this.#keepLoaded || !isStop) this[Symbol.dispose]();
  }

  /** The plans asked for; those that are not there yet are made. */
  async #ready<Name extends string>(
    { plans, onLoad, onPrepare, signal }: NetworkUse<Name>,
  ): Promise<Readonly<Record<Name, Plan>>> {
    const recipes = Object.entries<PlanRecipe>(plans);
    this.#makeRoom(recipes.map(([, recipe]) => recipe));
    const missing = recipes.filter(([, { key }]) => !this.#kept.has(key))
      .map(([, recipe]) => ({ ...recipe, graph: recipe.graph() }));
    const breath = new Breath(signal);
    // All before any weight is laid out: a later choice would lay it otherwise.
    for (const { graph } of missing) await this.#tuner.prepare(graph, breath);
    for (const [i, { key, graph, bindings = {} }] of missing.entries()) {
      const plan = await this.#make(
        graph,
        bindings,
        onLoad,
        () => onPrepare?.(i, missing.length),
        breath,
      );
      this.#kept.set(key, { plan, bindings });
      onPrepare?.(i + 1, missing.length);
    }
    return Object.fromEntries(
      recipes.map(([name, { key }]) => [name, this.#kept.get(key)!.plan]),
    ) as Record<Name, Plan>;
  }

  /**
   * Frees all plans where one of them is bound to other tensors than is asked
   * for now, or where none of those asked for is among them. They go together,
   * as they share memory.
   */
  #makeRoom(recipes: readonly PlanRecipe[]): void {
    const known = recipes.filter(({ key }) => this.#kept.has(key));
    const isStale = known.some(({ key, bindings = {} }) =>
      !sameBindings(this.#kept.get(key)!.bindings, bindings)
    );
    if (isStale || known.length === 0) this.#freePlans();
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
      shares: this.#kept.values().next().value?.plan,
      breath,
    });
  }

  #freePlans(): void {
    for (const { plan } of this.#kept.values()) plan[Symbol.dispose]();
    this.#kept.clear();
  }

  /** Frees weights and plans. */
  [Symbol.dispose](): void {
    this.#freePlans();
    this.#store?.[Symbol.dispose]();
    this.#store = null;
  }
}

/** Whether a plan that is bound to one set may be used for the other. */
function sameBindings(
  one: Readonly<Record<string, GpuTensor>>,
  other: Readonly<Record<string, GpuTensor>>,
): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length &&
    names.every((name) =>
      Object.hasOwn(other, name) && samePlace(one[name], other[name])
    );
}

function samePlace({ slice: a }: GpuTensor, { slice: b }: GpuTensor): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.size === b.size;
}
