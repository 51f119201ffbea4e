/**
 * Optimiser steps against `torch.optim.AdamW`, `clip_grad_norm_` and `GradScaler`;
 * `tools/reference/optimiser.py` made the goldens.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { Pace } from "../src/gpu/pace.ts";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { map } from "../src/ops/map.ts";
import { accumulateGradients } from "../src/train/optimiser/gradients.ts";
import {
  DEFAULT_LOSS_SCALING,
  Optimiser,
  type OptimiserOptions,
} from "../src/train/optimiser/optimiser.ts";
import { ParameterBlocks } from "../src/train/optimiser/parameter_blocks.ts";
import type { TrainedParameter } from "../src/train/optimiser/parameter_layout.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { floats, readSafetensors } from "./support/safetensors.ts";

const golden = await readSafetensors(
  new URL("goldens/optimiser.safetensors", import.meta.url),
);

const STEPS = 10;
const settings = { learningRate: 1e-2, averageDecay: 0.9 };
const scaling = { ...DEFAULT_LOSS_SCALING, initialScale: 1024 };
const lossScaling = { ...scaling, growthInterval: 3 };

const parameters: readonly TrainedParameter[] = [...golden]
  .filter(([name]) => name.startsWith("start/"))
  .map(([path, { shape }]) => {
    const name = path.slice("start/".length);
    return {
      name,
      shape,
      weightDecay: name !== "bias",
      learningRateFactor: name === "slow" ? 0.1 : 1,
    };
  });

/** Blocks with the goldens' first values; small ones, so that there are several. */
async function startBlocks(blockBytes = 256): Promise<ParameterBlocks> {
  const gpu = await sharedGpu();
  const blocks = await ParameterBlocks.make(gpu, parameters, {
    average: true,
    blockBytes,
  });
  for (const { name } of parameters) {
    blocks.start(name, floats(golden, `start/${name}`));
  }
  return blocks;
}

/** Writes the gradients of a step, scaled; one of them infinite where so asked. */
function writeGradients(
  blocks: ParameterBlocks,
  step: number,
  scale = 1,
  overflows = false,
): void {
  for (const { name } of parameters) {
    const values = floats(golden, `gradients/${step}/${name}`)
      .map((value) => value * scale);
    if (overflows && name === "kernel") values[17] = Infinity;
    blocks.write(name, values, "gradients");
  }
}

/** Requires what the blocks have of a kind to be the goldens', and returns the largest NMSE. */
async function compare(
  blocks: ParameterBlocks,
  kind: "parameters" | "firstMoments" | "secondMoments" | "average",
  golds: string,
): Promise<number> {
  let largest = 0;
  for (const [name, values] of await blocks.read(kind)) {
    const error = nmse(values, floats(golden, `${golds}/${name}`));
    assert(error <= 1e-12, `${golds}/${name}: NMSE ${error}, at most 1e-12`);
    largest = Math.max(largest, error);
  }
  return largest;
}

/** How far parameters came, so that an error is not small only beside them. */
async function compareChange(blocks: ParameterBlocks, golds: string) {
  for (const [name, values] of await blocks.read("parameters")) {
    const start = floats(golden, `start/${name}`);
    const change = (to: Float32Array) => to.map((value, i) => value - start[i]);
    const want = change(floats(golden, `${golds}/${name}`));
    const error = nmse(change(values), want);
    assert(error <= 1e-10, `change of ${name}: NMSE ${error}, at most 1e-10`);
  }
}

gpuTest("optimiser: ten steps are PyTorch's", async () => {
  const gpu = await sharedGpu();
  using blocks = await startBlocks();
  assertEquals(blocks.layout.length, 4);
  using optimiser = await Optimiser.make(gpu, blocks);
  for (let step = 0; step < STEPS; step++) {
    writeGradients(blocks, step);
    await optimiser.step(settings);
    await compare(blocks, "parameters", `plain/parameters/${step}`);
    const { gradientNorm, ...report } = await optimiser.readReport();
    const norm = floats(golden, "plain/norms")[step];
    assert(Math.abs(gradientNorm - norm) <= 1e-6 * norm, `${gradientNorm}`);
    const want = Math.min(1, 1 / (norm + 1e-6));
    assert(Math.abs(report.coefficient - want) <= 1e-6);
    assertEquals([report.skipped, report.lossScale], [false, 1]);
  }
  await compare(blocks, "firstMoments", "plain/first");
  await compare(blocks, "secondMoments", "plain/second");
  await compare(blocks, "average", "average");
  await compareChange(blocks, `plain/parameters/${STEPS - 1}`);
  assertEquals(await optimiser.readState(), {
    steps: STEPS,
    lossScale: 1,
    // With a growth of 1 nothing counts towards it.
    cleanSteps: 0,
  });
});

gpuTest(
  "optimiser: gradients are zero after a step, and padding stays zero",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await startBlocks();
    using optimiser = await Optimiser.make(gpu, blocks);
    for (let step = 0; step < 3; step++) {
      writeGradients(blocks, step, 1, step === 1);
      await optimiser.step(settings);
      assertEquals((await optimiser.readReport()).skipped, step === 1);
      for (const kind of blocks.kinds) {
        for (const [i, { places }] of blocks.layout.entries()) {
          const flat = await blocks.readBlock(i, kind);
          for (const { offset, bytes } of kind === "gradients" ? [] : places) {
            flat.fill(0, offset / 4, (offset + bytes) / 4);
          }
          assert(flat.every((value) => value === 0), `${kind} of block ${i}`);
        }
      }
    }
  },
);

gpuTest(
  "optimiser: skipped steps and loss scales are GradScaler's",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await startBlocks();
    using optimiser = await Optimiser.make(gpu, blocks, { lossScaling });
    const overflows = floats(golden, "scaled/overflows");
    const scales = floats(golden, "scaled/scales");
    const clean = floats(golden, "scaled/clean");
    let scale = lossScaling.initialScale;
    let steps = 0;
    for (let step = 0; step < STEPS; step++) {
      const skipped = overflows[step] === 1;
      const before = await blocks.read("parameters");
      writeGradients(blocks, step, scale, skipped);
      await optimiser.step(settings);
      await compare(blocks, "parameters", `scaled/parameters/${step}`);
      if (skipped) assertEquals(await blocks.read("parameters"), before);
      else steps++;
      const report = await optimiser.readReport();
      assertEquals([report.skipped, report.lossScale], [skipped, scale]);
      assertEquals(await optimiser.readState(), {
        steps,
        lossScale: scales[step],
        cleanSteps: clean[step],
      });
      scale = scales[step];
    }
    assertEquals(steps, 7);
    await compare(blocks, "firstMoments", "scaled/first");
    await compare(blocks, "secondMoments", "scaled/second");
  },
);

/** Everything in the blocks and the optimiser after steps. */
async function everything(blocks: ParameterBlocks, optimiser: Optimiser) {
  const found: unknown[] = [await optimiser.readState()];
  for (const kind of blocks.kinds) found.push(await blocks.read(kind));
  return found;
}

/** Takes steps, in whole queues or paced. */
async function take(
  blocks: ParameterBlocks,
  optimiser: Optimiser,
  steps: readonly number[],
  pace?: Pace,
) {
  for (const step of steps) {
    writeGradients(blocks, step, 1024, step === 4);
    await optimiser.step(settings, pace);
    await pace?.finish();
  }
}

gpuTest(
  "optimiser: the same steps give the same bits, paced and resumed",
  async () => {
    const gpu = await sharedGpu();
    const options: OptimiserOptions = { lossScaling, maxGradientNorm: 0.5 };
    const steps = [0, 1, 2, 3, 4, 5];
    using blocks = await startBlocks();
    using optimiser = await Optimiser.make(gpu, blocks, options);
    await take(blocks, optimiser, steps);
    const want = await everything(blocks, optimiser);

    using again = await startBlocks();
    using second = await Optimiser.make(gpu, again, options);
    await take(again, second, steps, new Pace(gpu));
    assertEquals(await everything(again, second), want);

    // Half of the steps, then a checkpoint in new blocks.
    using first = await startBlocks();
    using half = await Optimiser.make(gpu, first, options);
    await take(first, half, steps.slice(0, 3));
    using later = await ParameterBlocks.make(gpu, parameters, {
      average: true,
      blockBytes: 256,
    });
    using resumed = await Optimiser.make(gpu, later, options);
    for (const kind of first.kinds) {
      for (const [name, values] of await first.read(kind)) {
        later.write(name, values, kind);
      }
    }
    resumed.writeState(await half.readState());
    await take(later, resumed, steps.slice(3));
    assertEquals(await everything(later, resumed), want);
  },
);

gpuTest("optimiser: a gradient that overflows f16 skips the step", async () => {
  const gpu = await sharedGpu();
  if (!gpu.hasF16) return;
  using blocks = await startBlocks();
  using optimiser = await Optimiser.make(gpu, blocks, { lossScaling });
  const g = new Graph("f16");
  const one = g.constant(Float32Array.of(1), [1]);
  const x = g.input("x", [33], "f16");
  const bias = g.apply(map, { x }, { scale: 2 });
  const gradients = new Map([["bias", bias]]);
  const bindings = accumulateGradients(g, blocks, gradients, one);
  using plan = await Plan.make(gpu, g, { bindings });
  const before = await blocks.read("parameters");
  for (const [value, skipped] of [[40_000, true], [30_000, false]] as const) {
    plan.write("x", new Float32Array(33).fill(value));
    plan.run();
    await optimiser.step(settings);
    const report = await optimiser.readReport();
    assertEquals(report.skipped, skipped);
    const after = await blocks.read("parameters");
    assertEquals(after.get("bias")![0] === before.get("bias")![0], skipped);
    if (skipped) continue;
    // Of the scale that the skipped step halved.
    assertEquals(report.lossScale, 512);
    const norm = Math.sqrt(33) * 60_000 / 512;
    assert(Math.abs(report.gradientNorm - norm) < 1e-3 * norm);
  }
});

gpuTest("optimiser: without a limit gradients are not clipped", async () => {
  const gpu = await sharedGpu();
  using blocks = await startBlocks();
  using optimiser = await Optimiser.make(gpu, blocks, {
    maxGradientNorm: Infinity,
  });
  writeGradients(blocks, 1);
  await optimiser.step(settings);
  const { gradientNorm, coefficient } = await optimiser.readReport();
  assert(gradientNorm > 4);
  assertEquals(coefficient, 1);
});

gpuTest(
  "optimiser: loss scale and report are bound to other graphs",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await startBlocks();
    using optimiser = await Optimiser.make(gpu, blocks, { lossScaling });
    const g = new Graph("f32");
    const scale = g.input("scale", [1], "f32");
    const report = g.input("report", [4], "f32");
    g.output("twice", g.apply(map, { x: scale }, { scale: 2 }));
    g.output("log", g.apply(map, { x: report }, {}));
    using plan = await Plan.make(gpu, g, {
      bindings: { scale: optimiser.lossScale, report: optimiser.report },
    });
    writeGradients(blocks, 0, 1024, true);
    await optimiser.step(settings);
    plan.run();
    const { twice, log } = await plan.read("twice", "log");
    assertEquals(twice, Float32Array.of(1024));
    assertEquals(log, Float32Array.of(Infinity, 0, 1, 1024));
  },
);

gpuTest(
  "optimiser: memory is freed, and wrong settings are refused",
  async () => {
    const gpu = await sharedGpu();
    using blocks = await startBlocks();
    const before = gpu.buffers.bytes;
    {
      using optimiser = await Optimiser.make(gpu, blocks);
      assert(gpu.buffers.bytes > before);
      await assertRejects(
        () => optimiser.step({ learningRate: NaN }),
        MasterWeaverError,
        "Cannot optimise: expected a learning rate of 0 or more, got NaN",
      );
      await assertRejects(
        () => optimiser.step({ learningRate: 1, averageDecay: 1.5 }),
        MasterWeaverError,
        "expected a decay of the running mean of 0 to 1, got 1.5",
      );
    }
    assertEquals(gpu.buffers.bytes, before);
    const wrong: [OptimiserOptions, string][] = [
      [{ betas: [1, 0.999] }, "β₁ of 0 ≤ β₁ < 1, got 1"],
      [{ betas: [0.9, -1] }, "β₂ of 0 ≤ β₂ < 1, got -1"],
      [{ eps: 0 }, "eps of at least 1e-30, got 0"],
      [{ weightDecay: -1 }, "weight decay of 0 or more, got -1"],
      [{ maxGradientNorm: 0 }, "gradient norm of above 0, got 0"],
    ];
    for (const [options, message] of wrong) {
      const error = await assertRejects(
        () => Optimiser.make(gpu, blocks, options),
        MasterWeaverError,
        message,
      );
      assertEquals(error.code, "bad-option");
    }
    assertEquals(gpu.buffers.bytes, before);
  },
);
