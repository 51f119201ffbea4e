/**
 * Chooses kernels by measurement: each kind of op is timed once per adapter, on
 * smaller inputs of its heaviest call, and the choice is kept for later processes.
 *
 * @module
 */
import type { Pauser } from "../base/pauser.ts";
import { sha256 } from "../base/sha256.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { isQuantised, kernelsFor, type Specs } from "../ops/op.ts";
import { Graph, type OpNode, type Tensor } from "./graph.ts";
import { KernelChoice, type KernelChooser } from "./kernel_choice.ts";
import { packingCode } from "../ops/pack_texels.ts";
import { Plan } from "./plan.ts";
import { neededNodes } from "./schedule.ts";
import { type Stopwatch, stopwatchOf, timeOneRun } from "./stopwatch.ts";

/** When kernels are measured: if no choice is kept, never, or every time. */
export type TuneMode = "auto" | "off" | "force";

/** Keeps measurements from one process to the next. */
export interface TuneStore {
  /**
   * The text written under a key; null if there is none or it cannot be read.
   *
   * @param key identifies adapter, driver and runtime
   */
  read(key: string): Promise<string | null>;
  /** Keeps a text under a key; may fail silently, which costs measuring again. */
  write(key: string, text: string): Promise<void>;
}

/** The kernel chosen for a kind of op. */
export interface Choice {
  /** Op, element types, and details that matter to it, such as `linear f16 q8`. */
  readonly kind: string;
  /** Name of the chosen kernel. */
  readonly kernel: string;
  /** Milliseconds of each kernel that was measured; empty if none was. */
  readonly milliseconds: Readonly<Record<string, number>>;
  /** SHA-256 of the shaders that were compared. */
  readonly code: string;
}

/** Floating-point operations of the call that is timed: a few milliseconds on a CPU. */
const TIMING_FLOPS = 1e8;
/** Kinds with fewer operations per run are not worth compiling a pipeline to throw away. */
const MIN_FLOPS = 1e9;
/** Milliseconds that all measuring may take. */
const BUDGET = 10_000;
/** Samples per kernel, after a first run that compiles it. */
const SAMPLES = 3;
/** A kernel that takes this many times as long as the best is sampled only once. */
const SLOW_FACTOR = 4;

/** Decides which kernel runs each kind of op on one GPU. */
export class Tuner {
  readonly #gpu: Gpu;
  readonly #mode: TuneMode;
  readonly #store: TuneStore | undefined;
  readonly #stopwatch: Stopwatch;
  readonly #choices = new Map<string, Choice>();
  /** Choices of earlier processes, by kind; read once. */
  #kept: Promise<Map<string, Choice>> | null = null;
  #spent = 0;

  /**
   * A tuner that has decided nothing yet.
   *
   * @param gpu the device to choose for
   * @param mode when to measure
   * @param store where choices are kept; by default only in this object
   * @param stopwatch measures; by default the most precise for the GPU
   */
  constructor(
    gpu: Gpu,
    mode: TuneMode = "off",
    store?: TuneStore,
    stopwatch: Stopwatch = stopwatchOf(gpu),
  ) {
    this.#gpu = gpu;
    this.#mode = mode;
    this.#store = store;
    this.#stopwatch = stopwatch;
  }

  /** The choices so far. */
  get choices(): readonly Choice[] {
    return [...this.#choices.values()];
  }

  /** Milliseconds spent on measuring. */
  get milliseconds(): number {
    return this.#spent;
  }

  /**
   * Chooses a kernel for every kind of op in a graph.
   *
   * @param pauser pauses between kinds; its signal stops the tuning
   * @throws {MasterWeaverError} `aborted`, `gpu`, `out-of-memory`, `device-lost`
   */
  async prepare(graph: Graph, pauser?: Pauser): Promise<void> {
    let measured = false;
    for (const [kind, nodes] of kindsOf(graph)) {
      if (pauser?.isDue) await pauser.pause();
      const work = nodes.reduce((sum, node) => sum + flopsOf(node), 0);
      const before = this.#choices.get(kind);
      if (before && (isMeasured(before) || work < MIN_FLOPS)) continue;
      const code = await codeHash(this.#gpu, nodes[0]);
      const known = (await this.#known()).get(kind);
      if (this.#mode === "auto" && known?.code === code) {
        this.#choices.set(kind, known);
        continue;
      }
      const choice = await this.#decide(kind, graph, nodes, work, code);
      measured ||= isMeasured(choice);
      this.#choices.set(kind, choice);
    }
    if (measured) await this.#keep();
  }

  /** The kernel that {@linkcode prepare} chose, or else the likely best. */
  readonly choose: KernelChooser = (node, kernels) => {
    const choice = this.#choices.get(kindOf(node));
    return choice && kernels.includes(choice.kernel)
      ? choice.kernel
      : this.#likely(kernels)[0];
  };

  /** At most two kernels worth measuring on this adapter, the likely best first. */
  #likely(kernels: readonly string[]): string[] {
    const order = this.#gpu.isSoftware
      ? ["winograd", "texture-backed", "baseline"]
      : ["workgroup-tiled", "baseline"];
    return order.filter((name) => kernels.includes(name)).slice(0, 2);
  }

  async #decide(
    kind: string,
    graph: Graph,
    nodes: readonly OpNode[],
    work: number,
    code: string,
  ): Promise<Choice> {
    const likely = this.#likely(namesOf(nodes[0]));
    const milliseconds: Record<string, number> = {};
    if (
      this.#mode !== "off" && likely.length > 1 && work >= MIN_FLOPS &&
      this.#spent < BUDGET
    ) {
      const started = performance.now();
      const heaviest = nodes.toSorted((a, b) => flopsOf(b) - flopsOf(a));
      const timed = heaviest.map(timedCallOf).find((found) => found);
      let best = Infinity;
      for (const kernel of timed ? likely : []) {
        const time = await this.#time(
          graph,
          timed!,
          kernel,
          SLOW_FACTOR * best,
        );
        milliseconds[kernel] = time;
        best = Math.min(best, time);
      }
      this.#spent += performance.now() - started;
    }
    const kernel =
      likely.toSorted((a, b) =>
        (milliseconds[a] ?? 0) - (milliseconds[b] ?? 0)
      )[0];
    return { kind, kernel, milliseconds, code };
  }

  /** Median milliseconds of one run; sampling stops after a run over the limit. */
  async #time(
    { storage }: Graph,
    { node, inputs }: TimedCall,
    kernel: string,
    limit: number,
  ): Promise<number> {
    const g = new Graph(storage);
    const given: Record<string, Tensor | undefined> = {};
    for (const [name, spec] of Object.entries(inputs)) {
      given[name] = spec && g.input(name, spec.shape, spec.dtype);
    }
    const { op, attributes } = node;
    for (
      const [name, output] of Object.entries(
        g.applyAll(op, given, attributes),
      )
    ) g.output(name, output);
    const kernels = new KernelChoice(g, () => kernel);
    const plan = await Plan.make(this.#gpu, g, { kernels });
    try {
      // The driver compiles during the first run.
      await this.#stopwatch.time(plan, 1);
      return await timeOneRun(
        (runs) => this.#stopwatch.time(plan, runs),
        () => this.#stopwatch.tick,
        SAMPLES,
        limit,
      );
    } finally {
      plan[Symbol.dispose]();
    }
  }

  #known(): Promise<Map<string, Choice>> {
    return this.#kept ??= this.#readKept();
  }

  async #readKept(): Promise<Map<string, Choice>> {
    const text = this.#mode === "off"
      ? null
      : await this.#store?.read(await deviceKey(this.#gpu));
    return new Map(
      parseChoices(text ?? "").map((choice) => [choice.kind, choice]),
    );
  }

  async #keep(): Promise<void> {
    if (!this.#store) return;
    const all = new Map([...await this.#known(), ...this.#choices]);
    const measured = [...all.values()].filter(isMeasured);
    await this.#store.write(
      await deviceKey(this.#gpu),
      JSON.stringify(measured, null, 1),
    );
  }
}

function namesOf(node: OpNode): readonly string[] {
  return kernelsFor(node.op, node).map(({ name }) => name);
}

function isMeasured({ milliseconds }: Choice): boolean {
  return Object.keys(milliseconds).length > 0;
}

/** The ops of a graph that have several kernels, by kind. */
function kindsOf(graph: Graph): Map<string, OpNode[]> {
  const kinds = new Map<string, OpNode[]>();
  for (const node of neededNodes(graph)) {
    if (namesOf(node).length < 2) continue;
    const kind = kindOf(node);
    const nodes = kinds.get(kind);
    if (nodes) nodes.push(node);
    else kinds.set(kind, [node]);
  }
  return kinds;
}

/** Names what decides which kernel is best, apart from the size of the image. */
function kindOf({ op, inputs, attributes, storage }: OpNode): string {
  const weight = inputs.weight?.dtype;
  const detail = op.tuningKey?.(inputs, attributes);
  return [op.name, storage, weight && isQuantised(weight) ? weight : "", detail]
    .filter((word) => word).join(" ");
}

function flopsOf(node: OpNode): number {
  return node.op.flops?.(node) ?? 0;
}

/** An op with smaller inputs. */
interface TimedCall {
  readonly node: OpNode;
  readonly inputs: Specs;
}

function timedCallOf(node: OpNode): TimedCall | undefined {
  const { op, inputs, attributes } = node;
  const share = Math.min(1, TIMING_FLOPS / flopsOf(node));
  const smaller: Specs | undefined = op.timingInputs?.(
    inputs,
    attributes,
    share,
  );
  return smaller && { node, inputs: smaller };
}

/** SHA-256 of the shaders of all an op's kernels. */
async function codeHash({ limits }: Gpu, node: OpNode): Promise<string> {
  const target = { storage: node.storage, limits };
  const launches = kernelsFor(node.op, node)
    .flatMap((kernel) => kernel.launch(node, target));
  const codes = new Set([...launches.map(({ code }) => code), packingCode]);
  return await sha256([...codes].join("\n"));
}

/** Identifies adapter, driver and runtime. */
async function deviceKey({ info, device }: Gpu): Promise<string> {
  const { vendor, architecture, device: name, description } = info;
  const features = [...device.features].sort();
  return await sha256(JSON.stringify([
    vendor,
    architecture,
    name,
    description,
    features,
    navigator.userAgent,
  ]));
}

/** Parses choices; whatever does not look like one is left out. */
function parseChoices(text: string): Choice[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(parsed)) return [];
  return parsed.filter((item): item is Choice =>
    typeof item?.kind === "string" && typeof item.kernel === "string" &&
    typeof item.code === "string" && typeof item.milliseconds === "object" &&
    item.milliseconds !== null
  );
}
