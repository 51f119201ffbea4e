/**
 * The denoising loop.
 *
 * Each step writes a few small inputs and replays the dispatches of its plan. It
 * allocates nothing, makes no pipeline or bind group, and reads nothing back.
 *
 * @module
 */
import {
  type CallOptions,
  networkProgress,
  throwIfAborted,
} from "../base/progress.ts";
import type { PlanRecipe } from "../graph/network.ts";
import type { GpuTensor, Plan } from "../graph/plan.ts";
import { elementCount } from "../ops/op.ts";
import type { NoiseSource } from "../samplers/latent_noise.ts";
import type {
  NoiseLevel,
  Sampler,
  SamplerSchedule,
  SamplerStep,
} from "../samplers/sampler.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { stepGraph } from "./graphs/step.ts";
import type { Handover } from "./handover.ts";
import {
  type Repainting,
  writeOriginalLevel,
  writeRepainting,
} from "./repainting.ts";
import { type RunShape, stateName } from "./run_shape.ts";
import { planKey } from "./plan_key.ts";
import type { Start } from "./start.ts";
import { type StepKind, stepName } from "./step_kinds.ts";

/** One run of the loop. */
export interface Denoising {
  /** The sizes that decide the plans. */
  readonly runShape: RunShape;
  /** The kind of each step that is run: the schedule's last steps. */
  readonly kinds: readonly StepKind[];
  /** Computes each step's latents from the last. */
  readonly sampler: Sampler;
  /** The sampler's schedule, with all its steps. */
  readonly schedule: SamplerSchedule;
  /** Makes the latents of the first step. */
  readonly start: Start;
  /** Draws noise, for the start and for samplers that add noise. */
  readonly draw: NoiseSource;
  /** How strongly the prompt is followed. */
  readonly guidanceScale: number;
  /** How strongly the identity is followed, where there is one. */
  readonly idScale: number;
  /** What stays as it is, where the run shape repaints. */
  readonly repainting?: Repainting;
  /** (1, h, w, C'), what an inpainting UNet reads beside the latents */
  readonly condition?: Float32Array;
}

/** A step that has been submitted to the GPU. */
export interface DenoisedStep {
  /** Index among the steps that are run, from 0. */
  readonly index: number;
  /** Number of steps that are run. */
  readonly total: number;
  /** The UNet's timestep. */
  readonly timestep: number;
  /**
   * (images, h, w, C) f32, after the step. GPU work that is submitted before the next
   * step is requested reads them in this state, for a preview or for saving.
   */
  readonly latents: GpuTensor;
  /** Noise level of the latents after the step. */
  readonly level: NoiseLevel;
  /**
   * Waits until the GPU is done with the step, and reports that. Whatever reads
   * something back waits here first: the pace would take a wait elsewhere for
   * fast work, and put ever more steps between two reports.
   *
   * @throws {MasterWeaverError} `aborted`, `device-lost`, `gpu`
   */
  readonly settled: () => Promise<void>;
}

/** A step with its plan. */
interface PlannedStep {
  readonly kind: StepKind;
  readonly plan: Plan;
  readonly step: SamplerStep;
}

/**
 * Denoises the handover's latents step by step. There is one plan per kind of step,
 * all made before the first step. The caller may break off after any step, which frees
 * the network as the last step does.
 *
 * @returns yields each step once it is submitted, before the GPU is done with it
 * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export function denoise(
  context: GeneratorContext,
  handover: Handover,
  denoising: Denoising,
  options: CallOptions,
): AsyncGenerator<DenoisedStep, void, void> {
  const { schedule, kinds } = denoising;
  const first = schedule.steps.length - kinds.length;
  return context.networks.step.stream({
    plans: recipes(context, handover, denoising),
    ...networkProgress("UNet", options),
  }, async function* (plans) {
    const steps = kinds.map((kind, i): PlannedStep => ({
      kind,
      plan: plans[stepName(kind)],
      step: schedule.steps[first + i],
    }));
    await begin(steps, handover, denoising);
    yield* loop(context, steps, handover, denoising, options);
  });
}

/** The recipes of the plans, by the name of the kind of step. */
function recipes(
  { storage, components }: GeneratorContext,
  handover: Handover,
  { runShape, kinds, sampler }: Denoising,
): Record<string, PlanRecipe> {
  const both = handover.bindings;
  const conditional = runShape.guided ? handover.conditionalBindings : both;
  return Object.fromEntries(kinds.map((kind) => {
    const details = { runShape, kind, sampler: sampler.name };
    return [stepName(kind), {
      key: planKey({ graph: "step", storage, details }),
      graph: () => stepGraph(storage, components, runShape, kind, sampler),
      bindings: kind.guided ? both : conditional,
    }];
  }));
}

/** Writes the inputs that stay the same in all steps, and the initial latents and state. */
async function begin(
  steps: readonly PlannedStep[],
  { samplerState }: Handover,
  denoising: Denoising,
): Promise<void> {
  const { schedule, start, draw, guidanceScale, idScale } = denoising;
  const { identity = true } = denoising.runShape;
  const { repainting, condition } = denoising;
  for (const [plan, kind] of new Map(steps.map((s) => [s.plan, s.kind]))) {
    if (identity) plan.write("identity_scale", Float32Array.of(idScale));
    if (kind.guided) {
      plan.write("guidance_scale", Float32Array.of(guidanceScale));
    }
    if (condition) plan.write("condition", condition);
    if (repainting) writeRepainting(plan, repainting);
  }
  const [{ plan }] = steps;
  plan.write("latents", await start.latents(schedule, draw));
  for (const [name, { spec }] of Object.entries(samplerState)) {
    plan.write(stateName(name), new Float32Array(elementCount(spec.shape)));
  }
}

async function* loop(
  { gpu }: GeneratorContext,
  steps: readonly PlannedStep[],
  { latents }: Handover,
  { runShape: { images }, sampler, schedule, draw, repainting }: Denoising,
  options: CallOptions,
): AsyncGenerator<DenoisedStep, void, void> {
  const { onProgress, signal } = options;
  const times = new Float32Array(2 * images);
  const coefficients = new Float32Array(sampler.coefficients);
  const number = new Uint32Array(1);
  const total = steps.length;
  const pace = callPace(gpu, options);
  const settled = () => pace.finish();
  onProgress?.({ stage: "denoise", done: 0, total });
  for (const [index, { kind, plan, step }] of steps.entries()) {
    throwIfAborted(signal);
    const t = times.subarray(0, (kind.guided ? 2 : 1) * images);
    plan.write("t", t.fill(step.timestep));
    coefficients.set(step.coefficients);
    plan.write("coefficients", coefficients);
    number[0] = index + 1;
    plan.write("step", number);
    if (sampler.drawsNoise) plan.write("noise", draw());
    if (repainting) writeOriginalLevel(plan, steps[index + 1]?.step.level);
    await plan.runPaced(
      pace,
      () => onProgress?.({ stage: "denoise", done: index + 1, total }),
    );
    const level = steps[index + 1]?.step.level ?? schedule.finalLevel;
    const { timestep } = step;
    yield { index, total, timestep, latents, level, settled };
  }
  await settled();
}
