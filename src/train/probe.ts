/**
 * Whether the model has learnt to look at the face: the error in the predicted
 * noise with the sample's own face, with none, and with another's.
 *
 * @module
 */
import { Pace } from "../gpu/pace.ts";
import { KernelChoice } from "../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../graph/plan.ts";
import type { ReferenceInput } from "./batch.ts";
import type { ParameterBlocks } from "./optimiser/parameter_blocks.ts";
import { probeGraph, type StepShape } from "./step/graph.ts";
import type { StepPlanOptions, StepPlans } from "./step/plans.ts";
import { masterName } from "./step/trainable.ts";

/** Noisy timesteps, at which the face is decided. */
export const PROBE_TIMESTEPS: readonly number[] = [700, 900, 980];

/** Whose face the model is shown. */
export type ProbedFace = "own" | "none" | "other";

/** The mean square error in the predicted noise; there is no other's with one sample. */
export type ProbeLosses = Readonly<Partial<Record<ProbedFace, number>>>;

/** What a probe is made from. */
export interface ProbeOptions extends
  Pick<
    StepPlanOptions,
    "gpu" | "storage" | "tuner" | "components" | "trainable"
  > {
  /** Samples and size. */
  readonly shape: StepShape;
  /** The trained parameters. */
  readonly blocks: ParameterBlocks;
  /** The steps' plans, whose weights, inputs and memory it uses: none may run meanwhile. */
  readonly plans: StepPlans;
}

/** The forward pass of a step, without gradients. */
export class Probe implements Disposable {
  readonly #plan: Plan;
  readonly #options: ProbeOptions;

  private constructor(plan: Plan, options: ProbeOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  /**
   * Makes the plan.
   *
   * @throws {MasterWeaverError} `gpu`, `out-of-memory`
   */
  static async make(options: ProbeOptions): Promise<Probe> {
    const { gpu, storage, tuner, components, trainable, shape } = options;
    const { blocks, plans } = options;
    const graph = probeGraph(storage, components, trainable, shape);
    await tuner.prepare(graph);
    const kernels = new KernelChoice(graph, tuner.choose);
    await plans.weights.load(kernels.parameters);
    const masters = new Map(
      trainable.parameters.map(({ name }) => [masterName(name), name]),
    );
    const bindings: Record<string, GpuTensor> = {};
    for (const input of graph.inputs.keys()) {
      const name = masters.get(input);
      bindings[input] = name === undefined
        ? plans.input(input)
        : blocks.slice(name, "parameters");
    }
    const plan = await Plan.make(gpu, graph, {
      weights: [plans.weights],
      bindings,
      kernels,
      shares: plans.plan("plain"),
    });
    return new Probe(plan, options);
  }

  /** The error with what was written to the step's inputs. */
  async loss(pace: Pace = new Pace(this.#options.gpu)): Promise<number> {
    await this.#plan.runPaced(pace);
    const { loss } = await this.#plan.read("loss");
    return loss[0];
  }

  /** Frees the plan. */
  [Symbol.dispose](): void {
    this.#plan[Symbol.dispose]();
  }
}

/**
 * The references that samples are shown: their own, empty ones, and those of the
 * sample at the other end of the batch.
 *
 * @param references of all samples, as many for each
 * @param batch samples
 */
export function probedReferences(
  references: readonly ReferenceInput[],
  batch: number,
): Partial<Record<ProbedFace, readonly ReferenceInput[]>> {
  const each = references.length / batch;
  const samples = Array.from(
    { length: batch },
    (_, i) => references.slice(i * each, (i + 1) * each),
  );
  return {
    own: references,
    none: references.map(() => null),
    ...batch > 1 ? { other: samples.toReversed().flat() } : {},
  };
}
