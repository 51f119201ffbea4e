/**
 * What training takes of the GPU's memory: the estimate against what is made, the
 * budgets of SD1.5 at full size, and what is computed again to meet one.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Components } from "../src/components/networks.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { GpuLimits, StorageType } from "../src/gpu/gpu.ts";
import type { KernelChooser } from "../src/graph/kernel_choice.ts";
import { Tuner } from "../src/graph/tuner.ts";
import type { StepBatch } from "../src/train/batch.ts";
import { hasEdit, stageSettings, stageTrainable } from "../src/train/stages.ts";
import {
  blockPickers,
  chooseRecompute,
  namedChoices,
  type Recompute,
  type RecomputeChoice,
} from "../src/train/step/recompute_choice.ts";
import { Trainer, type TrainerOptions } from "../src/train/trainer.ts";
import { type RunCost, runCosts } from "../src/train/training_memory.ts";
import { stubBatch } from "../tools/bench/train_batch.ts";
import { fullSizeComponents } from "./support/full_size.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";

type Stage = 1 | 2;

/** WebGPU's defaults but for the size of a buffer, of which GPUs have more. */
const LIMITS: GpuLimits = {
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxBufferSize: 2 ** 30,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** Kernels by adapter, the best first. */
const ways: Readonly<Record<string, readonly string[]>> = {
  "on a CPU": ["winograd", "texture-backed", "baseline"],
  "on a GPU": ["workgroup-tiled", "baseline"],
};

const chooser = (way: readonly string[]): KernelChooser => (_node, has) =>
  way.find((one) => has.includes(one))!;

/** What decides the cost of a stage: its kinds of step on latents of a square. */
function stageOptions(
  stage: Stage,
  components: Components,
  side: number,
  batch = 1,
) {
  const { lambdaNoise, lambdaEdit } = stageSettings(stage);
  const plain = { batch, size: [side, side] as const, lambdaNoise };
  return {
    components,
    trainable: stageTrainable(stage, components),
    shapes: lambdaEdit === undefined
      ? [plain]
      : [plain, { ...plain, lambdaEdit }],
  };
}

const budgets = [["f32", 12e9], ["f16", 8e9]] as const;

for (const [storage, most] of budgets) {
  for (const stage of [1, 2] as const) {
    Deno.test(`full size, ${storage}: a step of stage ${stage} at 512×512 takes at most ${most / 1e9} GB`, () => {
      for (const [title, way] of Object.entries(ways)) {
        const planner = runCosts({
          ...stageOptions(stage, fullSizeComponents("f16"), 64),
          storage,
          choose: chooser(way),
          limits: LIMITS,
        });
        const [none, block, level] = namedChoices(planner);
        for (const { name, cost } of [none, block, level]) {
          assert(
            cost.bytes <= most,
            `${name} takes ${cost.bytes} bytes ${title}`,
          );
        }
        // The UNet's 860 million weights lie there twice, and what saves time takes memory.
        const { weights, transposed, activations } = none.cost.memory;
        const perWeight = storage === "f32" ? 4 : 2;
        assert(weights > 8.5e8 * perWeight, `${weights}`);
        assert(transposed > 7.5e8 * perWeight, `${transposed}`);
        assert(block.cost.memory.activations < activations / 2);
        assert(level.cost.memory.activations < activations / 2);
        assert(block.cost.flops < 1.3 * none.cost.flops);
        assert(none.cost.flops < block.cost.flops);
      }
    });
  }
}

Deno.test("recomputation: a budget is met by the fewest blocks, or refused with the least", () => {
  const planner = runCosts({
    ...stageOptions(1, fullSizeComponents("f16"), 64),
    storage: "f16",
    choose: chooser(ways["on a GPU"]),
    limits: LIMITS,
  });
  const [none, block, level] = namedChoices(planner);
  const within = (bytes: number) => chooseRecompute(bytes, planner);
  assertEquals(within(none.cost.bytes).name, "none");
  const half = within((none.cost.bytes + block.cost.bytes) / 2);
  assert(half.cost.bytes <= (none.cost.bytes + block.cost.bytes) / 2);
  assert(half.cost.flops > none.cost.flops);
  assert(half.cost.flops < block.cost.flops);
  const least = Math.min(block.cost.bytes, level.cost.bytes);
  assertEquals(within(least).cost.bytes, least);
  assertThrows(() => within(least - 1), MasterWeaverError, `${least}`);
});

Deno.test("recomputation: no block that is chosen lies in another", () => {
  const { recipe: { graph: { blocks } } } = runCosts({
    ...stageOptions(2, fullSizeComponents("f16"), 64),
    storage: "f32",
    choose: chooser(ways["on a GPU"]),
    limits: LIMITS,
  });
  for (const pick of Object.values(blockPickers)) {
    const chosen = pick(blocks).toSorted((a, b) => a.start - b.start);
    chosen.slice(1).forEach(({ start }, i) => assert(chosen[i].end <= start));
  }
  const names = (pick: keyof typeof blockPickers) =>
    new Set(blockPickers[pick](blocks).map(({ name }) => name));
  assert(names("block").has("down_blocks.0.resnets.1"));
  assert(names("block").has("up_blocks.3.attentions.2"));
  assert(names("level").has("mid_block"));
  assert(!names("level").has("mid_block.attentions.0"));
});

const SIDE = 16;
const BATCH = 2;

/** A trainer of the mini model. */
async function miniTrainer(
  stage: Stage,
  storage: StorageType,
  recompute: Recompute,
): Promise<Trainer> {
  const gpu = await sharedGpu();
  const components = await miniComponents;
  const { lambdaNoise, lambdaEdit } = stageSettings(stage);
  const options: TrainerOptions = {
    gpu,
    storage,
    tuner: new Tuner(gpu, "off"),
    components,
    trainable: stageTrainable(stage, components),
    batch: BATCH,
    latentSize: [SIDE, SIDE],
    lambdaNoise,
    lambdaEdit,
    recompute,
  };
  return await Trainer.make(options);
}

/** What a run of the mini model costs, by the estimate. */
async function miniChoices(
  stage: Stage,
  storage: StorageType,
  vae = false,
): Promise<RecomputeChoice<RunCost>[]> {
  const gpu = await sharedGpu();
  return namedChoices(runCosts({
    ...stageOptions(stage, await miniComponents, SIDE, BATCH),
    storage,
    choose: new Tuner(gpu, "off").choose,
    limits: gpu.limits,
    vae,
  }));
}

async function batchOf(trainer: Trainer, step: number): Promise<StepBatch> {
  const batch = stubBatch(await miniComponents, {
    batch: BATCH,
    latentSize: [SIDE, SIDE],
    edit: trainer.plans.kinds.includes("edit") && hasEdit(2, step),
  });
  // As many references as can be: some are encoded together.
  const given = batch.references.find((reference) => reference !== null)!;
  const references = batch.references.map((reference) => reference ?? given);
  return { ...batch, references };
}

for (const stage of [1, 2] as const) {
  gpuTest(
    `recomputation, stage ${stage}: the gradients are the same, in less memory`,
    async () => {
      const choices = await miniChoices(stage, "f32");
      const gradients: Float32Array[] = [];
      for (const { name, cost } of choices) {
        using trainer = await miniTrainer(stage, "f32", name as Recompute);
        const made = trainer.plans.kinds
          .map((kind) => trainer.plans.plan(kind).statistics)
          .reduce((sum, { arenaBytes }) => sum + arenaBytes, 0);
        const { activations, textures } = cost.memory;
        assertEquals(made, activations + textures, name);
        await trainer.step(0, await batchOf(trainer, 0));
        const found = await trainer.blocks.read("gradients");
        gradients.push(
          Float32Array.from([...found.values()].flatMap((x) => [...x])),
        );
      }
      const [none, block, level] = choices;
      assert(block.cost.memory.activations < none.cost.memory.activations);
      assert(level.cost.memory.activations < none.cost.memory.activations);
      assert(gradients[0].some((value) => value !== 0));
      assertEquals(gradients[1], gradients[0]);
      assertEquals(gradients[2], gradients[0]);
    },
  );
}

for (const storage of ["f32", "f16"] as const) {
  gpuTest(
    `training memory, ${storage}: the estimate is what a run takes`,
    async () => {
      const gpu = await sharedGpu();
      const before = gpu.buffers.bytes;
      using trainer = await miniTrainer(2, storage, "block");
      for (const step of [0, 1]) {
        await trainer.step(step, await batchOf(trainer, step));
      }
      await trainer.update(1, { learningRate: 1e-4 });
      const taken = gpu.buffers.bytes - before;
      const choices = await miniChoices(2, storage);
      const { cost: { bytes } } = choices.find(({ name }) => name === "block")!;
      assert(Math.abs(taken / bytes - 1) < 0.01, `${taken} of ${bytes}`);
    },
  );
}

gpuTest("recomputation: a trainer takes no more than it may", async () => {
  const [none, block] = await miniChoices(1, "f32", true);
  const most = (none.cost.bytes + block.cost.bytes) / 2;
  const gpu = await sharedGpu();
  const before = gpu.buffers.bytes;
  using trainer = await miniTrainer(1, "f32", most);
  await trainer.step(0, await batchOf(trainer, 0));
  const { vae } = none.cost.memory;
  const taken = gpu.buffers.bytes - before + vae;
  assert(taken < 1.005 * most, `${taken} of ${most}`);
  assert(block.cost.bytes < taken, `${taken}, at least ${block.cost.bytes}`);
});
