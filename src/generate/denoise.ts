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
  StepNoise,
} from "../samplers/sampler.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { controlScales, type UsedControls } from "./controls.ts";
import { stepGraph } from "./graphs/step.ts";
import type { Handover } from "./handover.ts";
import {
  type Repainting,
  writeOriginalLevel,
  writeRepainting,
} from "./repainting.ts";
import { type RunShape, scalesName, stateName } from "./run_shape.ts";
import { planKey } from "./plan_key.ts";
import type { Start } from "./start.ts";
import { type StepKind, stepName, stepNumbers } from "./step_kinds.ts";
import type { TextConditions } from "./text_conditions.ts";

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
  /** Makes the noise of a step of the schedule; the next that is drawn where not given. */
  readonly stepNoise?: StepNoise;
  /** How strongly the prompt is followed. */
  readonly guidanceScale: number;
  /** Share of the rescaled guidance, where the run shape rescales it. */
  readonly guidanceRescale?: number;
  /** How strongly the identity is followed, where there is one. */
  readonly idScale: number;
  /** What stays as it is, where the run shape repaints. */
  readonly repainting?: Repainting;
  /** (1, h, w, C'), mask and masked image: what an inpainting UNet reads beside the latents */
  readonly maskedImage?: Float32Array;
  /** The ControlNets, where there are any. */
  readonly controls?: UsedControls;
  /** The conditions of both halves at a step, where steps choose from several. */
  readonly conditionsAt?: TextConditions["at"];
}

/** A step that has been submitted to the GPU: one run of the UNet. */
export interface DenoisedStep {
  /** Index among the runs of the UNet, from 0. */
  readonly index: number;
  /** Number of runs of the UNet. */
  readonly total: number;
  /** Steps that are done, as they were asked for. */
  readonly done: number;
  /** Steps in all, as they were asked for. */
  readonly steps: number;
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
  /** Its number in the schedule. */
  readonly number: number;
  /** Which of the steps that were asked for it belongs to, from 0 at the first that is run. */
  readonly asked: number;
  /** Steps that are done after it, as they were asked for. */
  readonly done: number;
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
    contents: context.contents,
    ...networkProgress("UNet", options),
  }, async function* (plans) {
    const asked = stepNumbers(schedule.steps, first);
    const all = asked[asked.length - 1] + 1;
    const steps = kinds.map((kind, i): PlannedStep => ({
      kind,
      plan: plans[stepName(kind)],
      step: schedule.steps[first + i],
      number: first + i,
      asked: asked[i],
      done: asked[i + 1] ?? all,
    }));
    await begin(steps, handover, denoising);
    yield* loop(context, steps, handover, denoising, options);
  });
}

/** The recipes of the plans, by the name of the kind of step. */
function recipes(
  { storage, components, adapted }: GeneratorContext,
  handover: Handover,
  { runShape, kinds, sampler }: Denoising,
): Record<string, PlanRecipe> {
  const both = handover.bindings;
  const conditional = runShape.guided
    ? handover.conditionalBindings(runShape.conditions !== undefined)
    : both;
  // The plan that needs the most weights comes first.
  const byWeights = kinds.toSorted((a, b) =>
    (b.controls?.length ?? 0) - (a.controls?.length ?? 0)
  );
  return Object.fromEntries(byWeights.map((kind) => {
    const details = { runShape, kind, sampler: sampler.name };
    return [stepName(kind), {
      key: planKey({ graph: "step", storage, adapted, details }),
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
  const { schedule, start, draw, guidanceScale, guidanceRescale, idScale } =
    denoising;
  const { controls, repainting, maskedImage } = denoising;
  const { identity = true, images, rescalesGuidance } = denoising.runShape;
  for (const [plan, kind] of new Map(steps.map((s) => [s.plan, s.kind]))) {
    if (identity) plan.write("identity_scale", Float32Array.of(idScale));
    if (kind.guided) {
      plan.write("guidance_scale", Float32Array.of(guidanceScale));
      if (rescalesGuidance) {
        const share = Float32Array.of(guidanceRescale ?? 0);
        plan.write("guidance_rescale", share);
      }
    }
    if (maskedImage) plan.write("masked_image", maskedImage);
    if (repainting) writeRepainting(plan, repainting);
    if (!controls) continue;
    for (const control of kind.controls ?? []) {
      const scales = controlScales(controls, control, images, kind);
      plan.write(scalesName(control), scales);
    }
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
  denoising: Denoising,
  options: CallOptions,
): AsyncGenerator<DenoisedStep, void, void> {
  const { sampler, schedule, draw, conditionsAt } = denoising;
  // A step's number is not a number of images.
  const { stepNoise = () => draw() } = denoising;
  const { repainting, runShape: { images } } = denoising;
  const { onProgress, signal } = options;
  const times = new Float32Array(2 * images);
  const coefficients = new Float32Array(sampler.coefficients);
  const number = new Uint32Array(1);
  const conditions = new Uint32Array(2 * images);
  const total = steps.length;
  const all = steps[total - 1].done;
  const pace = callPace(gpu, options);
  const settled = () => pace.finish();
  onProgress?.({ stage: "denoise", done: 0, total: all });
  for (const [index, planned] of steps.entries()) {
    const { kind, plan, step, done } = planned;
    throwIfAborted(signal);
    const batch = (kind.guided ? 2 : 1) * images;
    const t = times.subarray(0, batch);
    plan.write("t", t.fill(step.timestep));
    coefficients.set(step.coefficients);
    plan.write("coefficients", coefficients);
    number[0] = planned.asked + 1;
    plan.write("step", number);
    if (step.drawsNoise ?? sampler.drawsNoise) {
      plan.write("noise", stepNoise(planned.number));
    }
    const next = steps[index + 1]?.step;
    if (repainting) {
      writeOriginalLevel(plan, next?.originalLevel ?? next?.level);
    }
    if (conditionsAt) {
      const [prompt, negative] = conditionsAt(planned.asked);
      conditions.fill(prompt, 0, images).fill(negative, images);
      plan.write("condition", conditions.subarray(0, batch));
    }
    await plan.runPaced(
      pace,
      () => onProgress?.({ stage: "denoise", done, total: all }),
    );
    const level = next?.level ?? schedule.finalLevel;
    const { timestep } = step;
    const counts = { index, total, done, steps: all };
    yield { ...counts, timestep, latents, level, settled };
  }
  await settled();
}
