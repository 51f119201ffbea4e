/**
 * Recorded steps of training, run again by `tools/train.ts --replay`: PyTorch's
 * losses, gradients and trained parameters; and recordings that cannot be run.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { openWeave } from "../src/weights/weave.ts";
import { type Replay, replay } from "../tools/train/replay.ts";
import type { TrainArray } from "../tools/train/run/checkpoint.ts";
import { adapterAsTorch } from "../tools/train/run/weights.ts";
import { changedComponent } from "./support/changed_weights.ts";
import { nmse } from "./support/compare.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  type GoldenTensor,
  readSafetensors,
  safetensorsFile,
} from "./support/safetensors.ts";
import { type Given, MODEL, trainValues } from "./support/train_tool.ts";
import {
  foldOutput,
  type Recording,
  recordings,
  type StepLosses,
  trainingInputs,
  trainingLosses,
  trainingOutputs,
} from "./support/training_goldens.ts";

/** Of losses and norms, relative to each. */
const LOSS_LIMIT = 1e-4;
/** NMSE of predictions and gradients of the first step. */
const FIRST_LIMIT = 1e-8;
/** NMSE of parameters after the last step. */
const LAST_LIMIT = 1e-6;

type Tensors = ReadonlyMap<string, GoldenTensor>;

function stageOf(recording: Recording): string {
  return recording[5];
}

/** Replays tensors as a file. */
async function replayed(
  folder: string,
  inputs: Tensors,
  given: Given,
): Promise<{ result: Replay; outputs: Tensors }> {
  const recording = `${folder}/inputs.safetensors`;
  const output = `${folder}/outputs.safetensors`;
  await Deno.writeFile(recording, safetensorsFile(inputs));
  const result = await replay(
    trainValues({ model: MODEL, replay: recording, output, ...given }),
  );
  assertEquals(result.output, output);
  return { result, outputs: await readSafetensors(output) };
}

function checkLosses(
  found: readonly StepLosses[],
  expected: readonly StepLosses[],
  limit = LOSS_LIMIT,
): void {
  assertEquals(found.length, expected.length);
  expected.forEach((step, i) => {
    for (const name of Object.keys(step) as (keyof StepLosses)[]) {
      const error = Math.abs(found[i][name] - step[name]);
      assert(
        error <= limit * Math.abs(step[name]),
        `Step ${i + 1}: ${name} is ${found[i][name]}, expected ${step[name]}`,
      );
    }
  });
}

/**
 * Compares outputs with the folded ones of a recording, by name: all, or those
 * of the first step.
 */
function checkOutputs(
  found: Tensors,
  recorded: Tensors,
  which: "all" | "first" = "all",
): void {
  const isCompared = ([name]: [string, unknown]) =>
    which === "all" || !name.startsWith("after");
  const expected = new Map([...recorded].filter(isCompared));
  assert(expected.size > 0);
  const folded = new Map<string, ArrayLike<number>>();
  for (const [name, { data }] of [...found].filter(isCompared)) {
    folded.set(...foldOutput(name, data));
  }
  assertEquals([...folded.keys()].toSorted(), [...expected.keys()].toSorted());
  for (const [name, { data }] of expected) {
    const limit = name.startsWith("after") ? LAST_LIMIT : FIRST_LIMIT;
    const error = nmse(folded.get(name)!, data);
    assert(error <= limit, `${name}: NMSE ${error}, at most ${limit}`);
  }
}

/** What has one entry a step. */
const PER_STEP = [
  "noise",
  "timesteps",
  "lambda",
  "noise_edit",
  "timesteps_edit",
];

/** The first steps of a recording. */
function firstSteps(
  inputs: Tensors,
  most: number,
): Map<string, GoldenTensor> {
  const cut = new Map(inputs);
  for (const name of PER_STEP) {
    const tensor = inputs.get(name);
    if (!tensor) continue;
    const { shape: [steps, ...shape], data } = tensor;
    const kept = Math.min(most, steps);
    const first = data.slice(0, data.length / steps * kept);
    cut.set(name, { shape: [kept, ...shape], data: first });
  }
  return cut;
}

for (const recording of Object.keys(recordings) as Recording[]) {
  gpuTest(
    `train replay: ${recording} is PyTorch's`,
    () =>
      inFolder(async (folder) => {
        const { lr, losses } = await trainingLosses(recording);
        const { result, outputs } = await replayed(
          folder,
          await trainingInputs(recording),
          { stage: stageOf(recording) },
        );
        assertAlmostEquals(result.lr, lr, 1e-15);
        checkLosses(result.losses, losses);
        checkOutputs(outputs, await trainingOutputs(recording));
      }),
  );
}

gpuTest(
  "train replay: latents are made of images where there are none",
  () =>
    inFolder(async (folder) => {
      const inputs = firstSteps(await trainingInputs("stage1-odd"), 1);
      inputs.delete("latents");
      const { result, outputs } = await replayed(folder, inputs, { stage: 1 });
      const { losses } = await trainingLosses("stage1-odd");
      checkLosses(result.losses, losses.slice(0, 1));
      checkOutputs(outputs, await trainingOutputs("stage1-odd"), "first");
    }),
);

/** Of losses with f16 activations: a network's NMSE is at most 1e-4, a hundredth of its size. */
const F16_LOSS_LIMIT = 1e-2;

gpuTest(
  "train replay: with activations in f16",
  () =>
    inFolder(async (folder) => {
      const { result } = await replayed(
        folder,
        // One with an edit, one without.
        firstSteps(await trainingInputs("stage2-three"), 2),
        { stage: 2, "mixed-precision": "fp16" },
      );
      const { losses } = await trainingLosses("stage2-three");
      checkLosses(result.losses, losses.slice(0, 2), F16_LOSS_LIMIT);
    }),
);

/** The mini model's adapter with other values, as both kinds of file. */
async function otherAdapters(folder: string): Promise<string[]> {
  const bytes = await changedComponent(
    "identity_adapter",
    (name) =>
      name.endsWith("to_out.weight") ? (value) => 1.5 * value : undefined,
  );
  const { tensors } = await openWeave(new MemorySource(bytes));
  const arrays: Record<string, TrainArray> = {};
  for (const [name, tensor] of tensors) {
    const chunks = await Array.fromAsync(weaveFloats(tensor));
    const data = Float32Array.from(chunks.flatMap((chunk) => [...chunk]));
    arrays[name] = { shape: tensor.shape, data };
  }
  await Deno.writeFile(`${folder}/other.weave`, bytes);
  const { write } = adapterAsTorch(arrays);
  await writeFileAtomic(`${folder}/other.pt`, write);
  return [`${folder}/other.weave`, `${folder}/other.pt`];
}

gpuTest(
  "train replay: an adapter may be a .weave or a .pt file",
  () =>
    inFolder(async (folder) => {
      const inputs = firstSteps(await trainingInputs("stage1-odd"), 1);
      const found: Replay["losses"][] = [];
      for (const path of await otherAdapters(folder)) {
        const { result } = await replayed(folder, inputs, {
          stage: 1,
          "adapter-path": path,
        });
        found.push(result.losses);
      }
      assertEquals(found[0], found[1]);
      const { losses: [own] } = await trainingLosses("stage1-odd");
      assert(Math.abs(found[0][0].loss_mle / own.loss_mle - 1) > LOSS_LIMIT);
    }),
);

type Spoil = (inputs: Map<string, GoldenTensor>) => void;

/** Gives a tensor another first value. */
const set = (name: string, value: number): Spoil => (inputs) => {
  const { shape, data } = inputs.get(name)!;
  const copy = data.slice();
  copy[0] = value;
  inputs.set(name, { shape, data: copy });
};

/** Gives a tensor another shape. */
const reshape = (name: string, ...shape: number[]): Spoil => (inputs) => {
  const count = shape.reduce((product, length) => product * length, 1);
  inputs.set(name, { shape, data: new Float32Array(count) });
};

/** What stage 2 reads. */
const NEEDED = [
  "clip_images",
  "noise",
  "timesteps",
  "lambda",
  "face_box",
  "input_ids",
  "rec_ids",
  "edit_ids",
  "noise_edit",
  "timesteps_edit",
];

/** What is done to a recording of stage 2, and what is said then. */
const WRONG: readonly (readonly [Spoil, RegExp])[] = [
  ...NEEDED.map((name): [Spoil, RegExp] => [
    (inputs) => inputs.delete(name),
    new RegExp(`^Cannot replay the recording: it has no tensor ${name}$`),
  ]),
  [(inputs) => inputs.delete("latents"), /it has no tensor images$/],
  [reshape("lambda", 3), /its lambda is \(3\), expected 2 axes$/],
  [
    reshape("noise_edit", 1, 3, 4, 24, 23),
    /its noise_edit is \(1, 3, 4, 24, 23\), expected \(1, 3, 4, 24, 24\)$/,
  ],
  [
    reshape("noise", 0, 3, 4, 24, 24),
    /its noise is \(0, 3, 4, 24, 24\), expected 5 axes, none of them 0$/,
  ],
  [set("input_ids", -1), /its input_ids holds -1, expected token ids in 0\.\./],
  [set("edit_ids", 1e6), /its edit_ids holds 1000000, expected token ids/],
  [
    set("timesteps", 1000),
    /its timesteps holds 1000, expected whole numbers in 0\.\.999$/,
  ],
  [set("timesteps_edit", -1), /its timesteps_edit holds -1, expected whole/],
  [set("noise", NaN), /its noise holds NaN, expected finite numbers$/],
  [set("clip_images", Infinity), /its clip_images holds Infinity, expected/],
  [set("latents", NaN), /its latents holds NaN, expected finite numbers$/],
];

gpuTest(
  "train replay: a recording that cannot be run is refused by its tensor",
  () =>
    inFolder(async (folder) => {
      const inputs = firstSteps(await trainingInputs("stage2-three"), 1);
      for (const [spoil, says] of WRONG) {
        const wrong = new Map(inputs);
        spoil(wrong);
        const error = await assertRejects(
          () => replayed(folder, wrong, { stage: 2 }),
          MasterWeaverError,
        );
        assertEquals(error.code, "bad-option");
        assertMatch(error.message, says);
        assertEquals(await namesIn(folder), ["inputs.safetensors"]);
      }
    }),
);

gpuTest(
  "train replay: files that cannot be read or written are named",
  () =>
    inFolder(async (folder) => {
      const refused = async (given: Given) => {
        const values = trainValues({ stage: 1, model: MODEL, ...given });
        return await assertRejects(() => replay(values), MasterWeaverError);
      };
      const output = `${folder}/out.safetensors`;
      const path = `${folder}/recording.safetensors`;
      const missing = await refused({ replay: path, output });
      assertMatch(missing.message, /recording\.safetensors: no such file/);
      const whole = safetensorsFile(
        firstSteps(await trainingInputs("stage1-odd"), 1),
      );
      await Deno.writeFile(path, whole.subarray(0, whole.length / 2));
      const torn = await refused({ replay: path, output });
      assertEquals(torn.code, "bad-checkpoint");
      assertMatch(torn.message, /recording\.safetensors/);
      await Deno.writeFile(path, whole);
      const placeless = await refused({
        replay: path,
        output: `${folder}/a/b`,
      });
      assertEquals(placeless.code, "cannot-write");
    }),
);
