/**
 * A network on the GPU: its weights and plans, loaded on first use and freed or
 * kept afterwards.
 *
 * @module
 */
import { Pauser } from "../base/pauser.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Graph } from "./graph.ts";
import { KernelChoice } from "./kernel_choice.ts";
import { type GpuTensor, Plan } from "./plan.ts";
import type { Tuner } from "./tuner.ts";
import { type WeightContents, WeightStore } from "./weight_store.ts";

/** How to make one plan of a network. */
export interface PlanRecipe {
  /** Identifies the graph: recipes with equal keys build equal graphs. */
  readonly key: string;
  /** Builds the graph. */
  readonly graph: () => Graph;
  /** Inputs and outputs that are stored in another owner's buffers, by name. */
  readonly bindings?: Readonly<Record<string, GpuTensor>>;
}

/** One use of a network. */
export interface NetworkUse<Name extends string> {
  /**
   * The plans, by the caller's names. All share the weights; the plan that needs
   * the most weights comes first.
   */
  readonly plans: Readonly<Record<Name, PlanRecipe>>;
  /**
   * What its weights hold during this use in the place of the file's values, such
   * as their sums with a LoRA: those that hold anything else are written anew.
   */
  readonly contents?: WeightContents;
  /** Receives the bytes of weights read so far, and the total. */
  readonly onLoad?: (done: number, total: number) => void;
  /** Receives the number of plans made so far, and of those to be made. */
  readonly onPrepare?: (done: number, total: number) => void;
  /** Stops the loading of weights and the making of plans. */
  readonly signal?: AbortSignal;
}

/** A plan that is kept, with the bindings it was made with. */
interface KeptPlan {
  readonly plan: Plan;
  readonly bindings: Readonly<Record<string, GpuTensor>>;
}

/** The weights and the plans of a network, loaded on first use. */
export class Network implements Disposable {
  readonly #gpu: Gpu;
  readonly #keepLoaded: boolean;
  readonly #tuner: Tuner;
  /** Plans by key; the first lends its memory to the others. */
  readonly #kept = new Map<string, KeptPlan>();
  #store: WeightStore | null = null;
  /** Weights that are freed with the plans. */
  #transient: WeightStore | null = null;

  /**
   * A network of which nothing is loaded yet.
   *
   * @param gpu the device
   * @param keepLoaded whether it stays on the GPU after a use
   * @param tuner chooses the kernels of its ops
   */
  constructor(gpu: Gpu, keepLoaded: boolean, tuner: Tuner) {
    this.#gpu = gpu;
    this.#keepLoaded = keepLoaded;
    this.#tuner = tuner;
  }

  /**
   * Loads what is missing, runs `work` with the plans, then frees everything unless
   * it is kept. After a failure nothing is kept, as the state of the GPU is unknown.
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
   * Like {@linkcode use}, for work that is a generator. Breaking off between two
   * yields ends the use and frees as usual; a generator that is neither finished nor
   * returned holds the network.
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

  /** Frees it unless it is kept, after the GPU is done: its memory is in use until then. */
  async #release(): Promise<void> {
    if (this.#keepLoaded) return;
    try {
      await this.#gpu.idle();
    } finally {
      this[Symbol.dispose]();
    }
  }

  /** Frees it, unless it is kept and the error is merely that the call was aborted. */
  #releaseAfter(error: unknown): void {
    const isStop = error instanceof MasterWeaverError &&
      error.code === "aborted";
    if (!this.#keepLoaded || !isStop) this[Symbol.dispose]();
  }

  /** The plans of a use; those that are missing are made. */
  async #ready<Name extends string>(
    { plans, contents, onLoad, onPrepare, signal }: NetworkUse<Name>,
  ): Promise<Readonly<Record<Name, Plan>>> {
    const recipes = Object.entries<PlanRecipe>(plans);
    this.#makeRoom(recipes.map(([, recipe]) => recipe));
    const missing = recipes.filter(([, { key }]) => !this.#kept.has(key))
      .map(([, recipe]) => ({ ...recipe, graph: recipe.graph() }));
    const pauser = new Pauser(signal);
    // All graphs before any weight is loaded: a later choice might change its layout.
    for (const { graph } of missing) await this.#tuner.prepare(graph, pauser);
    this.#store ??= new WeightStore(this.#gpu);
    await this.#store.hold(contents, onLoad, pauser);
    for (const [i, { key, graph, bindings = {} }] of missing.entries()) {
      const plan = await this.#make(
        graph,
        bindings,
        onLoad,
        () => onPrepare?.(i, missing.length),
        pauser,
      );
      this.#kept.set(key, { plan, bindings });
      onPrepare?.(i + 1, missing.length);
    }
    return Object.fromEntries(
      recipes.map(([name, { key }]) => [name, this.#kept.get(key)!.plan]),
    ) as Record<Name, Plan>;
  }

  /**
   * Frees all plans if one of those asked for is bound to other tensors now, or if
   * none of those asked for is kept. They are freed together as they share memory.
   */
  #makeRoom(recipes: readonly PlanRecipe[]): void {
    const known = recipes.filter(({ key }) => this.#kept.has(key));
    const isStale = known.some(({ key, bindings = {} }) =>
      !sameBindings(this.#kept.get(key)!.bindings, bindings)
    );
    if (isStale || known.length === 0) this.#freePlans();
  }

  /** Loads a graph's weights, then makes its plan. Plans share memory: only one runs at a time. */
  async #make(
    graph: Graph,
    bindings: PlanRecipe["bindings"],
    onLoad: NetworkUse<string>["onLoad"],
    onLoaded: () => void,
    pauser: Pauser,
  ): Promise<Plan> {
    const kernels = new KernelChoice(graph, this.#tuner.choose);
    const [own, transient] = partition(
      kernels.parameters,
      ({ ref }) => !ref.isTransient,
    );
    const store = this.#store ??= new WeightStore(this.#gpu);
    await store.load(own, onLoad, pauser);
    const weights = [store];
    if (transient.length > 0) {
      const store = this.#transient ??= new WeightStore(this.#gpu);
      await store.load(transient, onLoad, pauser);
      weights.push(store);
    }
    onLoaded();
    return await Plan.make(this.#gpu, graph, {
      weights,
      bindings,
      kernels,
      shares: this.#kept.values().next().value?.plan,
      pauser,
    });
  }

  #freePlans(): void {
    for (const { plan } of this.#kept.values()) plan[Symbol.dispose]();
    this.#kept.clear();
    this.#transient?.[Symbol.dispose]();
    this.#transient = null;
  }

  /** Frees weights and plans. */
  [Symbol.dispose](): void {
    this.#freePlans();
    this.#store?.[Symbol.dispose]();
    this.#store = null;
  }
}

/** Those items that a condition holds for, then the others. */
function partition<T>(
  items: readonly T[],
  holds: (item: T) => boolean,
): [T[], T[]] {
  const of = (wanted: boolean) => items.filter((i) => holds(i) === wanted);
  return [of(true), of(false)];
}

/** Whether two sets of bindings name the same places. */
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
