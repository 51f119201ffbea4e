/**
 * The stages that make an image, with the mini model's networks, one by one.
 *
 * @module
 */
import type { CallOptions } from "../../src/base/progress.ts";
import {
  type Conditions,
  encodeConditions,
} from "../../src/generate/conditions.ts";
import type { GeneratorContext } from "../../src/generate/context.ts";
import { denoise, type DenoisedStep } from "../../src/generate/denoise.ts";
import { ImageGenerator } from "../../src/generate/generator.ts";
import { Handover } from "../../src/generate/handover.ts";
import { handoverSpecs, type RunShape } from "../../src/generate/run_shape.ts";
import { noiseStart, type Start } from "../../src/generate/start.ts";
import {
  stepKinds,
  stepNumbers,
  type StepRules,
} from "../../src/generate/step_kinds.ts";
import { textConditions } from "../../src/generate/text_conditions.ts";
import { readBuffers } from "../../src/gpu/readback.ts";
import { Network } from "../../src/graph/network.ts";
import type { GpuTensor } from "../../src/graph/plan.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import {
  type NoiseSource,
  noiseSource,
} from "../../src/samplers/latent_noise.ts";
import { torchCpuNormal } from "../../src/samplers/noise.ts";
import type { Sampler } from "../../src/samplers/sampler.ts";
import { sharedGpu } from "./gpu.ts";
import { miniComponents } from "./model.ts";

/** The mini model's generator, and what it is made of. */
export interface MiniGenerator extends Disposable {
  /** What stages work with. */
  readonly context: GeneratorContext;
  /** All stages. */
  readonly generator: ImageGenerator;
}

/** Makes it in f32, with networks of its own on the shared GPU. */
export async function miniGenerator(
  keepLoaded: boolean,
): Promise<MiniGenerator> {
  const gpu = await sharedGpu();
  const components = await miniComponents;
  const stack = new DisposableStack();
  const network = () =>
    stack.use(new Network(gpu, keepLoaded, new Tuner(gpu, "off")));
  const networks = {
    condition: network(),
    control: network(),
    step: network(),
    decode: network(),
    decodeF32: network(),
    encode: network(),
    encodeF32: network(),
  };
  const context = { gpu, storage: "f32", components, networks } as const;
  const generator = stack.use(new ImageGenerator(context));
  return {
    context,
    generator,
    [Symbol.dispose]: () => stack[Symbol.dispose](),
  };
}

/** Made-up token ids and identity: different numbers, of the right lengths. */
export async function madeUpConditions(seed = 1): Promise<Conditions> {
  const { text, adapter, unet } = await miniComponents;
  const { tokens, maxReferences } = adapter.config;
  const length = tokens * maxReferences * unet.config.crossAttentionDim;
  const ids = (step: number) =>
    Int32Array.from(
      { length: text.config.positions },
      (_, i) => (seed + step * i) % 1000,
    );
  return {
    text: { prompt: ids(7), negative: ids(3) },
    identity: {
      tokens: torchCpuNormal(seed, length),
      unconditional: torchCpuNormal(seed + 1, length),
    },
  };
}

/** A run of the loop by itself. */
export interface LoopRun {
  /** Size of one image, in latents. */
  readonly size: readonly [height: number, width: number];
  /** Which steps do what. */
  readonly rules: StepRules;
  /** How strongly the identity is followed. */
  readonly idScale: number;
  /** Computes each step's latents. */
  readonly sampler: Sampler;
  /** Where it starts; from noise where not given. */
  readonly start?: Start;
}

/** The loop, ready to run. */
export interface ReadyLoop extends Disposable {
  /** The steps. */
  readonly steps: AsyncGenerator<DenoisedStep, void, void>;
  /** What the stages hand on. */
  readonly handover: Handover;
  /** What decides the plans. */
  readonly runShape: RunShape;
}

/** Whose noise a run has. */
export const loopSeed = { seed: 5, rng: "torch-cpu", cudaThreads: 0 } as const;

/** The noise of a run, from its first draw on. */
export async function loopNoise(
  [height, width]: readonly [number, number],
): Promise<NoiseSource> {
  const { channels } = (await miniComponents).unet.config;
  return noiseSource(loopSeed, { images: 1, channels, height, width });
}

/** Encodes conditions and prepares the loop. */
export async function readyLoop(
  context: GeneratorContext,
  { size, rules, idScale, sampler, start = noiseStart }: LoopRun,
  options: CallOptions = {},
): Promise<ReadyLoop> {
  const [height, width] = size;
  const first = start.firstStep(sampler.schedule(rules.steps));
  const schedule = sampler.schedule(rules.steps, first);
  const runs = stepNumbers(schedule.steps, first);
  const kinds = stepKinds({ ...rules, steps: runs[runs.length - 1] + 1 }, runs);
  const runShape: RunShape = {
    images: 1,
    height,
    width,
    guided: kinds.some(({ guided }) => guided),
    cachesFeatures: kinds.some(({ cached }) => cached),
  };
  const { gpu, storage, components } = context;
  const specs = handoverSpecs(storage, components, runShape, sampler);
  const handover = await Handover.make(gpu, specs);
  const conditions = await madeUpConditions();
  const text = textConditions(
    conditions.text,
    rules.steps,
    runShape.guided,
    components.text.config.hiddenSize,
  );
  const { identity } = conditions;
  const laidOut = { text, identity };
  await encodeConditions(context, runShape, handover, laidOut, options);
  const denoising = {
    runShape,
    kinds,
    sampler,
    schedule,
    start,
    draw: await loopNoise(size),
    stepNoise: schedule.stepNoise?.(loopSeed, {
      images: 1,
      channels: components.unet.config.channels,
      height,
      width,
    }),
    guidanceScale: rules.guidanceScale,
    idScale,
  };
  return {
    steps: denoise(context, handover, denoising, options),
    handover,
    runShape,
    [Symbol.dispose]: () => handover[Symbol.dispose](),
  };
}

/** The values of an f32 tensor. */
export async function readTensor({ slice }: GpuTensor): Promise<Float32Array> {
  const [bytes] = await readBuffers(await sharedGpu(), [slice]);
  return new Float32Array(bytes, 0, slice.size / 4);
}
