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
import {
  type StoredParameter,
  type WeightContents,
  WeightStore,
} from "./weight_store.ts";
import type { WeightRef } from "../weights/scope.ts";

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
  /** Whose weights it reads beside the model's own. */
  readonly owners: ReadonlySet<Owner>;
}

/** See {@linkcode WeightRef.owner}. */
type Owner = NonNullable<WeightRef["owner"]>;

/** A plan to be made, with its kernels and weights. */
interface ChosenPlan extends Omit<PlanRecipe, "graph"> {
  readonly graph: Graph;
  readonly kernels: KernelChoice;
  /** Its weights by their owners; undefined is the model itself. */
  readonly owned: ReadonlyMap<Owner | undefined, readonly StoredParameter[]>;
}

/** The weights and the plans of a network, loaded on first use. */
export class Network implements Disposable {
  readonly #gpu: Gpu;
  readonly #keepLoaded: boolean;
  readonly #tuner: Tuner;
  /** Plans by key; the first lends its memory to the others. */
  readonly #kept = new Map<string, KeptPlan>();
  #store: WeightStore | null = null;
  /** Weights that some images have beside the model's own, by their owners. */
  readonly #beside = new Map<Owner, WeightStore>();

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
    const chosen = missing.map(({ graph, ...recipe }): ChosenPlan => {
      const kernels = new KernelChoice(graph, this.#tuner.choose);
      const owned = Map.groupBy(kernels.parameters, ({ ref }) => ref.owner);
      return { ...recipe, graph, kernels, owned };
    });
    this.#freeUnused(chosen);
    this.#store ??= new WeightStore(this.#gpu);
    await this.#store.hold(contents, onLoad, pauser);
    for (const [i, one] of chosen.entries()) {
      const plan = await this.#make(
        one,
        onLoad,
        () => onPrepare?.(i, chosen.length),
        pauser,
      );
      const { key, bindings = {} } = one;
      this.#kept.set(key, { plan, bindings, owners: ownersOf(one) });
      onPrepare?.(i + 1, chosen.length);
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

  /** Frees what belongs to images that no plan makes, neither kept nor to be made. */
  #freeUnused(wanted: readonly ChosenPlan[]): void {
    const used = new Set([
      ...[...this.#kept.values()].flatMap(({ owners }) => [...owners]),
      ...wanted.flatMap((plan) => [...ownersOf(plan)]),
    ]);
    for (const [owner, store] of this.#beside) {
      if (used.has(owner)) continue;
      store[Symbol.dispose]();
      this.#beside.delete(owner);
    }
  }

  /** The weights of an owner, or the model's own. */
  #storeOf(owner: Owner | undefined): WeightStore {
    if (!owner) return this.#store ??= new WeightStore(this.#gpu);
    const store = this.#beside.get(owner) ?? new WeightStore(this.#gpu);
    this.#beside.set(owner, store);
    return store;
  }

  /** Loads a plan's weights, then makes it. Plans share memory: only one runs at a time. */
  async #make(
    { graph, kernels, owned, bindings }: ChosenPlan,
    onLoad: NetworkUse<string>["onLoad"],
    onLoaded: () => void,
    pauser: Pauser,
  ): Promise<Plan> {
    const weights: WeightStore[] = [];
    for (const [owner, parameters] of owned) {
      const store = this.#storeOf(owner);
      await store.load(parameters, onLoad, pauser);
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
  }

  /** Frees weights and plans. */
  [Symbol.dispose](): void {
    this.#freePlans();
    for (const store of this.#beside.values()) store[Symbol.dispose]();
    this.#beside.clear();
    this.#store?.[Symbol.dispose]();
    this.#store = null;
  }
}

/** Whose weights a plan reads beside the model's own. */
function ownersOf({ owned }: ChosenPlan): Set<Owner> {
  return new Set([...owned.keys()].filter((owner) => owner !== undefined));
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
