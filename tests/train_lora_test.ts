/**
 * A LoRA of the UNet in training against peft's; `tools/reference/lora.py` made the
 * goldens.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Components } from "../src/components/networks.ts";
import type { StorageType } from "../src/gpu/gpu.ts";
import { Pace } from "../src/gpu/pace.ts";
import { Graph } from "../src/graph/graph.ts";
import { KernelChoice } from "../src/graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../src/graph/plan.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { WeightStore } from "../src/graph/weight_store.ts";
import { clipText } from "../src/models/clip.ts";
import { crossKeys, unet } from "../src/models/unet.ts";
import { alphasCumprod } from "../src/samplers/noise_levels.ts";
import { differentiate } from "../src/train/gradients/differentiate.ts";
import { cast } from "../src/train/gradients/shapes.ts";
import { type LoraTrainable, loraTrainable } from "../src/train/lora.ts";
import { accumulateGradients } from "../src/train/optimiser/gradients.ts";
import {
  DEFAULT_LOSS_SCALING,
  Optimiser,
} from "../src/train/optimiser/optimiser.ts";
import { ParameterBlocks } from "../src/train/optimiser/parameter_blocks.ts";
import { channelsLast } from "../src/train/recording.ts";
import { noiseLoss } from "../src/train/step/losses.ts";
import { attachMasters, masterName } from "../src/train/step/trainable.ts";
import { component } from "../src/weights/components.ts";
import { withDeltas } from "../src/weights/deltas.ts";
import { loraDeltas } from "../src/weights/lora.ts";
import { nmse } from "./support/compare.ts";
import { fold } from "./support/fold.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";
import {
  floats,
  readMetadata,
  readSafetensors,
} from "./support/safetensors.ts";

const path = repositoryPath("tests/goldens/lora.safetensors.gz");
const golden = await readSafetensors(path);
const metadata = await readMetadata(path);
const components = await miniComponents;
const STEPS = 4;
const SUMS = 32;
const shape = golden.get("latents")!.shape as [number, number, number, number];
const [batch, channels, height, width] = shape;
const count = shape.reduce((n, length) => n * length, 1);

const lora = loraTrainable(components, {
  rank: Number(metadata.rank),
  alpha: Number(metadata.alpha),
  seed: 0,
});

/** The graph of a step without an identity: its loss, and gradients into blocks. */
function lossGraph(
  { text, unet: { weights, config } }: Components,
  trainable: LoraTrainable,
  blocks: ParameterBlocks,
  storage: StorageType,
  recompute: boolean,
) {
  const g = new Graph(storage);
  const masters = attachMasters(g, trainable);
  const ids = g.input("ids", golden.get("input_ids")!.shape, "u32");
  const states = clipText(ids, text.weights.at("text_model"), text.config);
  const noise = g.input("noise", [batch, height, width, channels], "f32");
  const sample = g.input("sample", noise.shape, "f32");
  const predicted = unet(
    {
      sample: cast(sample, storage),
      t: g.input("t", [batch], "f32"),
      cross: (attention) => crossKeys(attention, states, weights),
    },
    weights,
    config,
  );
  const ones = g.constant(new Float32Array(batch).fill(1), [batch, 1, 1, 1]);
  const loss = noiseLoss(cast(predicted, "f32"), noise, ones, 1);
  g.output("loss", loss);
  const scale = g.input("loss_scale", [1], "f32");
  const gradients = differentiate(loss, masters, {
    scale,
    recompute: recompute
      ? g.blocks.filter(({ name }) => name.includes("attentions"))
      : undefined,
  });
  const names = trainable.parameters.map(({ name }) => name);
  const bindings: Record<string, GpuTensor> = {
    ...accumulateGradients(
      g,
      blocks,
      new Map(names.map((name, i) => [name, gradients[i]!])),
      g.input("share", [1], "f32"),
    ),
  };
  for (const name of names) {
    bindings[masterName(name)] = blocks.slice(name, "parameters");
  }
  return { g, bindings };
}

/** How a loss is computed. */
interface RunOptions {
  readonly storage?: StorageType;
  readonly recompute?: boolean;
  readonly lossScale?: GpuTensor;
}

/** What training gave. */
interface Outcome {
  readonly losses: number[];
  readonly gradients: Map<string, Float32Array>;
  readonly norms: number[];
  readonly parameters: Map<string, Float32Array>;
}

/** Computes losses, and gradients into blocks. */
class LossRun implements Disposable {
  readonly #plan: Plan;
  readonly #store: WeightStore;

  private constructor(plan: Plan, store: WeightStore) {
    this.#plan = plan;
    this.#store = store;
  }

  /** @param lossScale f32 (1), on the GPU; 1 by default */
  static async make(
    trainable: LoraTrainable,
    components: Components,
    blocks: ParameterBlocks,
    { storage = "f32", recompute = false, lossScale }: RunOptions = {},
  ): Promise<LossRun> {
    const gpu = await sharedGpu();
    const { g, bindings } = lossGraph(
      components,
      trainable,
      blocks,
      storage,
      recompute,
    );
    if (lossScale) bindings.loss_scale = lossScale;
    const kernels = new KernelChoice(g, new Tuner(gpu, "off").choose);
    const store = new WeightStore(gpu);
    await store.load(kernels.parameters);
    const weights = [store];
    const plan = await Plan.make(gpu, g, { weights, bindings, kernels });
    if (!lossScale) plan.write("loss_scale", Float32Array.of(1));
    plan.write("share", Float32Array.of(1));
    plan.write("ids", Uint32Array.from(golden.get("input_ids")!.data));
    return new LossRun(plan, store);
  }

  /** Runs a recorded step. */
  async loss(step: number): Promise<number> {
    const alphas = alphasCumprod(components.unet.config.scheduler);
    const times = golden.get("timesteps")!.data
      .subarray(step * batch, (step + 1) * batch);
    const noise = floats(golden, "noise")
      .subarray(step * count, (step + 1) * count);
    const sample = floats(golden, "latents").map((value, i) => {
      const alpha = alphas[times[Math.floor(i / (count / batch))]];
      return Math.sqrt(alpha) * value + Math.sqrt(1 - alpha) * noise[i];
    });
    const plan = this.#plan;
    plan.write("t", Float32Array.from(times));
    plan.write("noise", channelsLast(noise, shape, channels));
    plan.write("sample", channelsLast(sample, shape, channels));
    await plan.runPaced(new Pace(await sharedGpu()));
    return (await plan.read("loss")).loss[0];
  }

  [Symbol.dispose](): void {
    this.#plan[Symbol.dispose]();
    this.#store[Symbol.dispose]();
  }
}

/** Runs the recorded steps. */
async function trainRecorded(
  storage: StorageType = "f32",
  recompute = false,
): Promise<Outcome> {
  const gpu = await sharedGpu();
  using blocks = await ParameterBlocks.make(gpu, lora.parameters);
  for (const { name } of lora.parameters) {
    blocks.start(name, floats(golden, `init.${name}`));
  }
  using optimiser = await Optimiser.make(gpu, blocks, {
    lossScaling: storage === "f16" ? DEFAULT_LOSS_SCALING : undefined,
  });
  const { lossScale } = optimiser;
  const options = { storage, recompute, lossScale };
  using run = await LossRun.make(lora, components, blocks, options);
  const learningRate = Number(metadata.learning_rate);
  const losses: number[] = [];
  const norms: number[] = [];
  const gradients = new Map<string, Float32Array>();
  for (let step = 0; step < STEPS; step++) {
    losses.push(await run.loss(step));
    if (step === 0) {
      const { lossScale } = await optimiser.readState();
      for (const [name, scaled] of await blocks.read("gradients")) {
        gradients.set(name, scaled.map((value) => value / lossScale));
      }
    }
    await optimiser.step({ learningRate });
    norms.push((await optimiser.readReport()).gradientNorm);
  }
  const parameters = await blocks.read("parameters");
  return { losses, gradients, norms, parameters };
}

/** The largest NMSE of the folded values. */
function largestError(
  values: ReadonlyMap<string, Float32Array>,
  prefix: string,
): number {
  let largest = 0;
  for (const [name, own] of values) {
    const expected = floats(golden, `${prefix}.${name}.folded`);
    largest = Math.max(largest, nmse(fold(own, SUMS), expected));
  }
  return largest;
}

/** The largest NMSE of how far parameters came, so that an error is not small only beside them. */
function largestChangeError(parameters: Outcome["parameters"]): number {
  let largest = 0;
  for (const [name, values] of parameters) {
    const start = fold(floats(golden, `init.${name}`), SUMS);
    const change = (to: ArrayLike<number>) =>
      start.map((value, i) => to[i] - value);
    const expected = floats(golden, `after${STEPS}.${name}.folded`);
    const error = nmse(change(fold(values, SUMS)), change(expected));
    largest = Math.max(largest, error);
  }
  return largest;
}

/** Requires losses, gradients and parameters to be peft's. */
function compare(
  { losses, norms, gradients, parameters }: Outcome,
  limits: { loss: number; gradient: number; parameter: number },
): void {
  assertEquals(gradients.size, lora.parameters.length);
  for (const [i, want] of floats(golden, "losses").entries()) {
    assert(Math.abs(losses[i] / want - 1) <= limits.loss, `loss ${losses[i]}`);
  }
  for (const [i, want] of floats(golden, "grad_norms").entries()) {
    assert(Math.abs(norms[i] / want - 1) <= limits.loss, `norm ${norms[i]}`);
  }
  const gradient = largestError(gradients, "grad");
  assert(gradient <= limits.gradient, `gradients: NMSE ${gradient}`);
  const parameter = largestError(parameters, `after${STEPS}`);
  assert(parameter <= limits.parameter, `parameters: NMSE ${parameter}`);
}

let first: Promise<Outcome> | undefined;
const inF32 = () => first ??= trainRecorded();

gpuTest("lora: gradients and four AdamW steps are peft's", async () => {
  const outcome = await inF32();
  compare(outcome, { loss: 1e-4, gradient: 1e-8, parameter: 1e-6 });
  const change = largestChangeError(outcome.parameters);
  assert(change <= 1e-4, `how far parameters came: NMSE ${change}`);
});

gpuTest("lora: blocks that are recomputed give the same bits", async () => {
  const { gradients } = await trainRecorded("f32", true);
  assertEquals(gradients, (await inF32()).gradients);
});

gpuTest("lora: f16 activations with loss scaling, f32 factors", async () => {
  const { losses, gradients } = await trainRecorded("f16");
  for (const [i, want] of floats(golden, "losses").entries()) {
    assert(Math.abs(losses[i] / want - 1) <= 1e-3, `loss ${losses[i]}`);
  }
  const joined = (read: (name: string) => Iterable<number>) =>
    [...gradients.keys()].flatMap((name) => [...read(name)]);
  const error = nmse(
    joined((name) => fold(gradients.get(name)!, SUMS)),
    joined((name) => floats(golden, `grad.${name}.folded`)),
  );
  assert(error <= 1e-4, `all gradients: NMSE ${error}`);
});

/** Every kind of layer, among them all that have a window or a stride. */
const EVERY_KIND = [
  "conv_in",
  "linear_1",
  "conv1",
  "conv_shortcut",
  "time_emb_proj",
  "downsamplers.0.conv",
  "upsamplers.0.conv",
  "proj_in",
  "proj_out",
  "attn2.to_k",
  "ff.net.0.proj",
  "ff.net.2",
  "conv_out",
];

gpuTest(
  "lora: of convolutions and all other layers, its gradient is the loss's slope",
  async () => {
    const trainable = loraTrainable(components, {
      rank: 3,
      alpha: 5,
      targets: EVERY_KIND,
      seed: 1,
    });
    const gpu = await sharedGpu();
    using blocks = await ParameterBlocks.make(gpu, trainable.parameters);
    const values = new Map<string, Float32Array>();
    for (const { name } of trainable.parameters) {
      const start = await trainable.start(name);
      // lora_B starts as zeros, with which lora_A has no gradient.
      values.set(name, start.map((value, i) => value || 0.02 * Math.sin(i)));
    }
    using run = await LossRun.make(trainable, components, blocks);
    const lossAt = async (step: number, along: Map<string, Float32Array>) => {
      for (const [name, data] of values) {
        const way = along.get(name)!;
        blocks.write(
          name,
          data.map((value, i) => value + step * way[i]),
          "parameters",
        );
      }
      return await run.loss(0);
    };
    const none = new Map(
      [...values].map(([name, data]) => [name, data.map(() => 0)]),
    );
    const loss = await lossAt(0, none);
    const gradients = await blocks.read("gradients");
    const norm = Math.sqrt(sumOf(gradients, (value) => value * value));
    for (const [name, gradient] of gradients) {
      assert(gradient.some((value) => value !== 0), name);
    }
    const along = new Map(
      [...gradients].map(([name, data]) => [name, data.map((x) => x / norm)]),
    );
    const step = 0.02;
    const slope = (await lossAt(step, along) - await lossAt(-step, along)) /
      (2 * step);
    assert(Math.abs(slope / norm - 1) <= 2e-3, `${slope}, expected ${norm}`);

    // The same as the deltas that are added when the weights are read.
    const file = withDeltas(
      components.unet.file,
      loraDeltas(trainable.layers(values)),
    );
    const changed = component(file, () => components.unet.config);
    const merged = { ...components, unet: changed };
    const still = loraTrainable(merged, { rank: 1, seed: 1 });
    using zeros = await ParameterBlocks.make(gpu, still.parameters);
    using other = await LossRun.make(still, merged, zeros);
    const same = await other.loss(0);
    assert(Math.abs(same / loss - 1) <= 1e-5, `${same}, expected ${loss}`);
  },
);

function sumOf(
  values: ReadonlyMap<string, Float32Array>,
  term: (value: number) => number,
): number {
  return [...values.values()]
    .reduce((sum, data) => data.reduce((sum, x) => sum + term(x), sum), 0);
}

Deno.test("lora: a layer that is not there is refused, and those that are are named", () => {
  const error = assertThrows(
    () =>
      loraTrainable(components, {
        rank: 4,
        seed: 0,
        targets: ["to_q", "to_x"],
      }),
    MasterWeaverError,
  );
  assertEquals(error.code, "bad-option");
  assert(error.message.startsWith("Cannot train a LoRA of to_x: "));
  for (
    const name of ["to_out.0", "ff.net.0.proj", "conv_shortcut", "conv_in"]
  ) {
    assert(error.message.includes(name), error.message);
  }
  for (const alpha of [0, Infinity]) {
    assertThrows(
      () => loraTrainable(components, { rank: 4, alpha, seed: 0 }),
      MasterWeaverError,
      `alpha ${alpha}`,
    );
  }
});

Deno.test("lora: factors start as peft's: zeros, and uniform within one over the root of the inputs", async () => {
  const { parameters, start } = loraTrainable(components, { rank: 4, seed: 7 });
  for (const { name, shape: [, inputs] } of parameters) {
    const values = await start(name);
    if (name.endsWith(".lora_B")) {
      assert(values.every((value) => value === 0));
      continue;
    }
    const bound = 1 / Math.sqrt(inputs);
    const largest = values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    assert(largest <= bound && largest > 0.9 * bound, name);
  }
});
