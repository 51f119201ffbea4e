/**
 * A run that goes to PyTorch and comes back is the same to the bit; what does
 * not fit is said by name.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { inModuleOrder } from "../src/checkpoints/module_order.ts";
import { writeTorchValue } from "../src/checkpoints/torch_writer.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import {
  readOptimiser,
  readScaler,
  readScheduler,
} from "../tools/train/handover/folder_state.ts";
import { openFolderWeights } from "../tools/train/handover/folder_weights.ts";
import { fromPyTorch } from "../tools/train/handover/from_pytorch.ts";
import {
  optimiserDict,
  schedulerDict,
} from "../tools/train/handover/state_dicts.ts";
import { toPyTorch } from "../tools/train/handover/to_pytorch.ts";
import { openModel } from "../tools/train/model.ts";
import { OPTIONS, type TrainValues } from "../tools/train/options.ts";
import {
  loadCheckpoint,
  type TrainArray,
} from "../tools/train/run/checkpoint.ts";
import { RunFolder } from "../tools/train/run/run_folder.ts";
import { runSettingsOf, scheduleOf } from "../tools/train/settings.ts";
import { checkpointState } from "../tools/train/state.ts";
import { trainedOf } from "../tools/train/trained.ts";
import { readOptions } from "../tools/tool.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { repositoryPath } from "./support/paths.ts";
import { readSafetensors } from "./support/safetensors.ts";

const mini = repositoryPath("weights/mini");
const adapter = `${mini}/identity_adapter.weave`;
const BOTH = ["--model", mini, "--data", "faces", "--max-train-steps", "9"];
const STAGE1 = ["--stage", "1", "--adapter-path", adapter, ...BOTH];
const STAGE2 = ["--stage", "2", "--adapter-path", adapter, ...BOTH];

function valuesOf(...args: string[]): TrainValues {
  const read = readOptions(args, OPTIONS);
  assert(read !== "help");
  return read.values;
}

interface Made {
  readonly arrays: Record<string, TrainArray>;
  readonly state: Record<string, unknown>;
}

/** Saves a run of some steps, with random numbers for what it learnt. */
async function makeRun(
  out: string,
  args: readonly string[],
  step: number,
  ranks = 1,
): Promise<Made> {
  const values = valuesOf(...args, "--out", out);
  await using model = await openModel(mini, adapter, "f32");
  const { components, hash } = model;
  const trained = trainedOf(values, components, {});
  const kinds = ["parameters", "firstMoments", "secondMoments"];
  if (values["ema-decay"] !== undefined) kinds.push("average");
  const arrays: Record<string, TrainArray> = {};
  for (const { name, shape } of trained.trainable.parameters) {
    for (const kind of kinds) {
      const count = shape.reduce((n, length) => n * length, 1);
      const data = new Float32Array(count).map((_, i) =>
        Math.sin(i + name.length + kind.length)
      );
      arrays[`${kind}/${name}`] = { shape, data };
    }
  }
  const optimiser = values["mixed-precision"] === "fp16"
    ? { steps: step - 1, lossScale: 1024, cleanSteps: 3 }
    : { steps: step, lossScale: 1, cleanSteps: 0 };
  const { learningRate } = scheduleOf(values, ranks);
  const state = checkpointState(values, step, optimiser, learningRate);
  const settings = runSettingsOf(values, ranks, { path: mini, hash }, "faces");
  using run = await RunFolder.open(out, settings);
  const parameters = new Map(
    trained.trainable.parameters.map(({ name }) =>
      [name, arrays[`parameters/${name}`].data] as const
    ),
  );
  const weights = await trained.files(parameters);
  await run.save({ step, arrays, state, weights });
  return { arrays, state };
}

/** Runs to PyTorch and back; the folders. */
async function around(
  folder: string,
  args: readonly string[],
  more: readonly string[] = [],
) {
  const [run, output, back] = ["run", "torch", "back"]
    .map((name) => `${folder}/${name}`);
  const to = await toPyTorch(
    valuesOf("--to-pytorch", run, "--output", output, ...more),
  );
  const from = await fromPyTorch(
    valuesOf(...args, "--from-pytorch", output, "--out", back),
  );
  return { to, from, output, back };
}

Deno.test("handover: there and back, to the bit, in both stages", async () => {
  for (const [args, trained] of [[STAGE1, 39], [STAGE2, 25]] as const) {
    await inFolder(async (folder) => {
      const { arrays, state } = await makeRun(`${folder}/run`, args, 2);
      const { to, from, output, back } = await around(folder, args);
      assertEquals([to.step, from.step], [2, 2]);
      assertEquals([to.warnings, from.warnings], [[], []]);
      assertEquals(await namesIn(output), [
        "adapter_000002.pt",
        "model.safetensors",
        "optimizer.bin",
        "scheduler.bin",
      ]);
      // Both modules, under the names of the reference's, in both stages.
      const model = await readSafetensors(`${output}/model.safetensors`);
      const isOurs = [...model.keys()].filter((name) =>
        /^(id_encoder|adapter_modules)\./.test(name)
      );
      assertEquals([model.size, isOurs.length], [39, 39]);
      const found = await loadCheckpoint(from.checkpoint);
      assertEquals(Object.keys(arrays).length, 3 * trained);
      assertEquals({ ...found.arrays }, arrays);
      assertEquals(found.state, state);
      // The same command goes on from there.
      const again = valuesOf(...args, "--from-pytorch", output, "--out", back);
      const error = await assertRejects(
        () => fromPyTorch(again),
        MasterWeaverError,
      );
      assertMatch(error.message, /back: it holds a run already; give a new/);
      const values = valuesOf(...args, "--out", back);
      await using opened = await openModel(mini, adapter, "f32");
      const settings = runSettingsOf(
        values,
        1,
        { path: mini, hash: opened.hash },
        "faces",
      );
      using run = await RunFolder.open(back, settings, { resume: true });
      assertEquals(run.changes, []);
      assertEquals((await run.latest()).checkpoint?.step, 2);
    });
  }
});

Deno.test("handover: fp16 keeps its loss scale, and processes are counted", () =>
  inFolder(async (folder) => {
    const args = [...STAGE2, "--mixed-precision", "fp16"];
    const { state, arrays } = await makeRun(`${folder}/run`, args, 100);
    const { from, output } = await around(folder, args, [
      "--num-processes",
      "4",
    ]);
    assert((await namesIn(output)).includes("scaler.pt"));
    assertEquals(from.step, 100);
    const found = await loadCheckpoint(from.checkpoint);
    assertEquals(found.state, state);
    assertEquals({ ...found.arrays }, arrays);
    const missing = await fromPyTorchWithout(folder, args, "scaler.pt");
    assertMatch(missing.warnings.join(), /has no scaler\.pt: the loss scale/);
  }));

/** Takes the folder back without one of its files. */
async function fromPyTorchWithout(
  folder: string,
  args: readonly string[],
  name: string,
) {
  await Deno.remove(`${folder}/torch/${name}`);
  return await fromPyTorch(
    valuesOf(
      ...args,
      "--from-pytorch",
      `${folder}/torch`,
      "--out",
      `${folder}/without-${name}`,
    ),
  );
}

Deno.test("handover: what is missing is said by name", () =>
  inFolder(async (folder) => {
    const args = [...STAGE1, "--ema-decay", "0.9"];
    await makeRun(`${folder}/run`, args, 3);
    const { to, from } = await around(folder, args);
    assertMatch(to.warnings.join(), /^The running mean .* is left out/);
    assertMatch(from.warnings.join(), /^The running mean .* starts at/);
    const { arrays } = await loadCheckpoint(from.checkpoint);
    assertEquals(
      arrays["average/id_encoder.latents"],
      arrays["parameters/id_encoder.latents"],
    );
    const scheduler = await fromPyTorchWithout(folder, args, "scheduler.bin");
    assertEquals(scheduler.step, 3);
    assertMatch(scheduler.warnings[0], /has no scheduler\.bin: .* step 3/);
    // The adapter's .pt does where accelerate's weights are not there.
    await fromPyTorchWithout(folder, args, "model.safetensors");
    const refused = async (name: string) =>
      (await assertRejects(
        () => fromPyTorchWithout(folder, args, name),
        MasterWeaverError,
      )).message;
    assertMatch(
      await refused("adapter_000003.pt"),
      /expected model\.safetensors, pytorch_model\.bin or one adapter_….pt, found none of them$/,
    );
    assertMatch(
      await refused("optimizer.bin"),
      /torch: it has no optimizer\.bin; to start anew .* --adapter-path$/,
    );
  }));

Deno.test("handover: another stage, sizes, counts and adapters are refused", () =>
  inFolder(async (folder) => {
    await makeRun(`${folder}/run`, STAGE1, 2);
    const output = `${folder}/torch`;
    await toPyTorch(
      valuesOf("--to-pytorch", `${folder}/run`, "--output", output),
    );
    let tries = 0;
    const refused = async (args: readonly string[], pattern: RegExp) => {
      const out = `${folder}/back${tries++}`;
      const error = await assertRejects(
        () =>
          fromPyTorch(
            valuesOf(...args, "--from-pytorch", output, "--out", out),
          ),
        MasterWeaverError,
      );
      assertMatch(error.message, pattern);
      assertEquals(await Deno.lstat(out).then(() => true, () => false), false);
    };
    const optimiser = async (
      shapes: readonly (readonly number[])[],
      steps = 2,
    ) => {
      const moments = shapes.map((shape) => {
        const data = new Float32Array(shape.reduce((n, x) => n * x, 1));
        return { first: { shape, data }, second: { shape, data } };
      });
      const rates = { initial: 1e-4, current: 1e-4 };
      const value = optimiserDict(moments, steps, rates, {});
      await writeFileAtomic(
        `${output}/optimizer.bin`,
        (append) => writeTorchValue(append, value),
      );
    };
    await refused(
      STAGE2,
      /optimizer\.bin: it is the state of 39 parameters, expected 25: is it of another stage\?$/,
    );
    await optimiser(Array(25).fill([2]));
    await refused(
      STAGE2,
      /exp_avg of parameter 0 \(id_encoder\.latents\) has shape \(2\), expected \(1, 16, 128\)$/,
    );
    // Nothing learnt yet; but the frozen part is another adapter's.
    await optimiser(Array(25).fill([2]), 0);
    await refused(
      STAGE2,
      /model\.safetensors: its adapter_modules\.\d+\.to_k_img\.weight, which stage 2 leaves as it was, is not that of --adapter-path/,
    );
    await refused(
      [...STAGE2, "--train", "unet"],
      /^Cannot take unet back from PyTorch: expected --train adapter$/,
    );
  }));

Deno.test("handover: steps that do not agree are refused", () =>
  inFolder(async (folder) => {
    await makeRun(`${folder}/run`, STAGE1, 5);
    const output = `${folder}/torch`;
    await toPyTorch(
      valuesOf("--to-pytorch", `${folder}/run`, "--output", output),
    );
    const rates = { initial: 1e-4, current: 1e-4 };
    const scheduler = (counted: number) =>
      writeFileAtomic(
        `${output}/scheduler.bin`,
        (append) => writeTorchValue(append, schedulerDict(counted, rates)),
      );
    const back = (...more: string[]) =>
      fromPyTorch(valuesOf(
        ...STAGE1,
        "--from-pytorch",
        output,
        "--out",
        `${folder}/back${more}`,
        ...more,
      ));
    await scheduler(13);
    const error = await assertRejects(() => back(), MasterWeaverError);
    assertMatch(
      error.message,
      /it counts 13 updates and optimizer\.bin 5, which 3 processes cannot have done; give --num-processes as it was, or --step$/,
    );
    assertEquals((await back("--num-processes=1")).step, 13);
    assertEquals((await back("--step=7")).step, 7);
    await scheduler(20);
    assertEquals((await back()).step, 5);
  }));

Deno.test("handover: a run that cannot be handed over is said to", () =>
  inFolder(async (folder) => {
    await makeRun(`${folder}/run`, STAGE1, 5);
    const refused = async (pattern: RegExp, ...args: string[]) => {
      const error = await assertRejects(
        () => toPyTorch(valuesOf(...args)),
        MasterWeaverError,
      );
      assertMatch(error.message, pattern);
    };
    const run = ["--to-pytorch", `${folder}/run`];
    const output = ["--output", `${folder}/torch`];
    await refused(
      /expected a checkpoint of step 4, found those of steps 5$/,
      ...run,
      ...output,
      "--step=4",
    );
    await refused(
      /run: it holds \S+; give a new or empty folder$/,
      ...run,
      "--output",
      `${folder}/run`,
    );
    await refused(/as the folder of a run/, "--to-pytorch", "none", ...output);
    const settings = `${folder}/run/settings.json`;
    const text = await Deno.readTextFile(settings);
    await Deno.writeTextFile(settings, text.replace('"seed": 42', '"seed": 1'));
    await refused(
      /expected a checkpoint that is whole, found those of steps 5$/,
      ...run,
      ...output,
    );
  }));

const goldens = repositoryPath("tests/goldens/handover");

/** What must be read from the goldens of one kind, in the order of `parameters()`. */
async function expectedOf(kind: string) {
  const tensors = await readSafetensors(`${goldens}/expected.safetensors`);
  return inModuleOrder(
    [...tensors].filter(([name]) => name.startsWith(`${kind}/`))
      .map(([name, { shape, data }]) => ({
        name: name.slice(kind.length + 1),
        shape,
        data: data as Float32Array<ArrayBuffer>,
      })),
  );
}

Deno.test("handover: what accelerate saves of one module and of two is read", async () => {
  const parameters = await expectedOf("parameters");
  assertEquals(parameters.length, 9);
  for (const layout of ["one", "two"]) {
    const path = `${goldens}/${layout}`;
    await using stack = new AsyncDisposableStack();
    const names = await namesIn(path);
    const { tensors } = await openFolderWeights(path, names, stack);
    assertEquals(
      [...tensors.keys()].sort(),
      parameters.map(({ name }) => name).sort(),
    );
    for (const { name, data } of parameters) {
      assertEquals(await readFloats(tensors.get(name)!), data, name);
    }
    const read = await readOptimiser(`${path}/optimizer.bin`, parameters);
    assertEquals(read.steps, 3);
    const [first, second] = [
      await expectedOf("first"),
      await expectedOf("second"),
    ];
    for (const [i, moments] of read.moments.entries()) {
      assertEquals(moments.first.data, first[i].data, first[i].name);
      assertEquals(moments.second.data, second[i].data, second[i].name);
    }
    const numbers = ["initial_lr", "betas.0", "betas.1", "eps", "weight_decay"]
      .map((name) => read.numbers.get(name));
    assertEquals(numbers, [1e-2, 0.9, 0.999, 1e-8, 1e-2]);
    const { counted } = await readScheduler(`${path}/scheduler.bin`);
    assertEquals(counted, 3);
  }
  assertEquals(await readScaler(`${goldens}/one/scaler.pt`), {
    lossScale: 1024,
    cleanSteps: 7,
  });
});

Deno.test("handover: moments in bf16 are read, too", async () => {
  const parameters = await expectedOf("parameters");
  const { moments } = await readOptimiser(
    `${goldens}/bf16/optimizer.bin`,
    parameters,
  );
  for (const [i, { data }] of (await expectedOf("second")).entries()) {
    for (const [at, value] of data.entries()) {
      const found = moments[i].second.data[at];
      // bf16 has eight bits of precision.
      assert(Math.abs(found - value) <= 2 ** -8 * value, `${found} ${value}`);
    }
  }
});
