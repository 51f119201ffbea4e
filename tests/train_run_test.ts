/** The folder of a training run: what it refuses and what it keeps. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { openWeave } from "../src/weights/weave.ts";
import { toPyTorch } from "../tools/convert/to_pytorch.ts";
import {
  loadCheckpoint,
  type TrainArray,
} from "../tools/train/run/checkpoint.ts";
import { openOutput } from "../tools/train/output.ts";
import { RunFolder, type RunOptions } from "../tools/train/run/run_folder.ts";
import type { RunSettings } from "../tools/train/run/settings.ts";
import { adapterAsTorch, adapterAsWeave } from "../tools/train/run/weights.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  checkContent,
  runSettings,
  stepContent,
  stepWeights,
} from "./support/train_run.ts";

async function refused(
  path: string,
  settings: RunSettings,
  options: RunOptions,
  code: string,
): Promise<string> {
  const error = await assertRejects(
    () => RunFolder.open(path, settings, options),
    MasterWeaverError,
  );
  assertEquals(error.code, code);
  return error.message;
}

/** Flips a bit of a file. */
async function damage(path: string, at: number): Promise<void> {
  const bytes = await Deno.readFile(path);
  bytes[at < 0 ? bytes.length + at : at] ^= 1;
  await Deno.writeFile(path, bytes);
}

Deno.test("train run: a new folder, checkpoints, and the run again", () =>
  inFolder(async (folder) => {
    const path = `${folder}/deep/run`;
    {
      using run = await RunFolder.open(path, runSettings());
      assertEquals(run.isResumed, false);
      assertEquals(await run.latest(), { checkpoint: undefined, broken: [] });
      await run.save(stepContent(0));
      await run.save(stepContent(2000));
      await run.saveFinal([stepWeights(2000)]);
      await run.saveGrid(2000, new Uint8Array([1]));
    }
    assertEquals(await namesIn(path), [
      "adapter_000000.pt",
      "adapter_002000.pt",
      "adapter_final.pt",
      "checkpoint-000000",
      "checkpoint-002000",
      "grids",
      "run.lock",
      "settings.json",
    ]);
    assertEquals(await namesIn(`${path}/checkpoint-002000`), [
      "checkpoint.json",
      "state.safetensors",
    ]);
    assertEquals(await namesIn(`${path}/grids`), ["grid-002000.png"]);
    using run = await RunFolder.open(path, runSettings(), { resume: true });
    assertEquals([run.isResumed, run.changes], [true, []]);
    const { checkpoint } = await run.latest();
    assertEquals(checkpoint!.step, 2000);
    checkContent(checkpoint!);
    checkContent(await run.load(0));
    // Without its settings a checkpoint can be read too.
    checkContent(await loadCheckpoint(`${path}/checkpoint-002000`));
  }));

Deno.test("train run: a folder of something else is left alone", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/b.txt`, "");
    await Deno.writeTextFile(`${folder}/a\u001b.txt`, "");
    assertMatch(
      await refused(folder, runSettings(), {}, "bad-option"),
      /^Cannot train in .*: it holds a\\u001b\.txt and 1 more and no settings\.json of a run; give a new or empty folder$/,
    );
    assertEquals((await namesIn(folder)).length, 2);
    await Deno.writeTextFile(`${folder}/settings.json`, "{}");
    assertMatch(
      await refused(folder, runSettings(), {}, "bad-option"),
      /settings\.json as the settings of a training run: it does not say/,
    );
    assertEquals(
      await Deno.readTextFile(`${folder}/settings.json`),
      "{}",
    );
    const file = `${folder}/b.txt`;
    await refused(file, runSettings(), {}, "cannot-write");
    await refused(
      `${folder}/none`,
      runSettings(),
      { resume: true },
      "cannot-read",
    );
  }));

Deno.test("train run: to resume, or not to", () =>
  inFolder(async (folder) => {
    assertMatch(
      await refused(folder, runSettings(), { resume: true }, "bad-option"),
      /it holds no run to resume/,
    );
    (await RunFolder.open(folder, runSettings(), { resume: false }))
      [Symbol.dispose]();
    assertMatch(
      await refused(folder, runSettings(), { resume: false }, "bad-option"),
      /it holds a run already/,
    );
  }));

Deno.test("train run: other settings are said, or refused", () =>
  inFolder(async (folder) => {
    {
      using run = await RunFolder.open(folder, runSettings());
      await run.save(stepContent(7));
    }
    const changed = runSettings({ "learning-rate": 2e-6, "save-steps": 100 }, {
      data: "other faces",
    });
    const lines: string[] = [];
    {
      using run = await RunFolder.open(folder, changed, {
        warn: (line) => lines.push(line),
      });
      assertEquals(run.changes, [
        "learning-rate: 0.000001 → 0.000002",
        "data: faces → other faces",
        "save-steps: not given → 100",
      ]);
      assertEquals((await run.latest()).checkpoint!.step, 7);
    }
    assertEquals(lines.length, 3);
    assertMatch(lines[0], /goes on with another setting: learning-rate: /);
    const stored = JSON.parse(
      await Deno.readTextFile(`${folder}/settings.json`),
    );
    assertEquals(stored.options["learning-rate"], 2e-6);
    assertEquals(stored.resumed.length, 1);
    assertEquals(stored.resumed[0].changes.length, 3);
    const wrong = runSettings({ stage: 2, "train-batch-size": 8 }, {
      model: { path: "weights/mini", hash: "cd".repeat(32) },
    });
    assertMatch(
      await refused(folder, wrong, {}, "bad-option"),
      /began with other settings \(stage: 1 → 2; train-batch-size: 4 → 8; model hash: (ab)+ → (cd)+\); give those/,
    );
    // Refused, it is as before, and free.
    using _ = await RunFolder.open(folder, changed);
    const again = JSON.parse(
      await Deno.readTextFile(`${folder}/settings.json`),
    );
    assertEquals(again, stored);
  }));

Deno.test("train run: one trainer at a time", () =>
  inFolder(async (folder) => {
    {
      using _ = await RunFolder.open(folder, runSettings());
      assertMatch(
        await refused(folder, runSettings(), {}, "busy"),
        new RegExp(`process ${Deno.pid}, started at 2.*, trains there; wait`),
      );
    }
    // What a process that died, or anything else, left in the file is no lock.
    for (const text of ['{"pid":1,"started":"2020-01-01"}', "\0\0", ""]) {
      await Deno.writeTextFile(`${folder}/run.lock`, text);
      using _ = await RunFolder.open(folder, runSettings());
    }
  }));

Deno.test("train run: broken checkpoints are passed over and named", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.open(folder, runSettings(), { keepLast: 9 });
    for (const step of [1, 2, 3, 4, 5, 6]) await run.save(stepContent(step));
    const at = (step: number, file: string) =>
      `${folder}/checkpoint-00000${step}/${file}`;
    await damage(at(6, "state.safetensors"), -3);
    await Deno.truncate(at(5, "state.safetensors"), 4000);
    await Deno.remove(at(4, "checkpoint.json"));
    await Deno.writeTextFile(at(3, "checkpoint.json"), '{"step":3');
    await Deno.mkdir(`${folder}/checkpoint-000009`);
    await Deno.mkdir(`${folder}/checkpoint-0000010`);
    const { checkpoint, broken } = await run.latest();
    assertEquals(checkpoint!.step, 2);
    const says = [
      /checkpoint-000009\/checkpoint\.json: no such file/,
      /checkpoint-000006\/state\.safetensors: its CRC-32 is/,
      /checkpoint-000005\/state\.safetensors: it has 4000 bytes, expected/,
      /checkpoint-000004\/checkpoint\.json: no such file/,
      /checkpoint-000003\/checkpoint\.json: it is not JSON, or not whole/,
    ];
    assertEquals(broken.length, says.length);
    says.forEach((pattern, i) => assertMatch(broken[i], pattern));
    // Training on replaces them.
    await run.save(stepContent(6));
    await run.save(stepContent(9));
    assertEquals((await run.latest()).broken, []);
  }));

Deno.test("train run: a checkpoint of another step than its name's is none", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.open(folder, runSettings());
    for (const step of [1, 2, 3]) await run.save(stepContent(step));
    await Deno.rename(
      `${folder}/checkpoint-000003`,
      `${folder}/checkpoint-000009`,
    );
    const at = (step: number) => `${folder}/checkpoint-00000${step}`;
    const list = await Deno.readTextFile(`${at(1)}/checkpoint.json`);
    const wrong = list.replace('"step": 1', '"step": 2');
    await Deno.remove(at(2), { recursive: true });
    await Deno.rename(at(1), at(2));
    await Deno.writeTextFile(`${at(2)}/checkpoint.json`, wrong);
    const { checkpoint, broken } = await run.latest();
    assertEquals(checkpoint, undefined);
    assertMatch(broken[0], /000009: .* says step 3, but its name 9: /);
    assertMatch(
      broken[1],
      /000002: .* says step 2, but state\.safetensors says 1: /,
    );
    assertEquals(broken.length, 2);
  }));

Deno.test("train run: where no checkpoint can be used, none is overwritten", () =>
  inFolder(async (folder) => {
    const settings = runSettings();
    {
      using run = await RunFolder.open(folder, settings);
      for (const step of [1, 2]) await run.save(stepContent(step));
    }
    const state = (step: number) =>
      `${folder}/checkpoint-00000${step}/state.safetensors`;
    await damage(state(2), -3);
    {
      using output = await openOutput(folder, settings, {});
      assertEquals(output.checkpoint?.step, 1);
    }
    await Deno.remove(state(1));
    const error = await assertRejects(
      () => openOutput(folder, settings, {}),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assertMatch(
      error.message,
      /000002\/.*CRC-32.*; .*000001\/.*no such file.*; give another --out, or remove the checkpoints/,
    );
    // The lock is free again, and the rest is as it was.
    for (const step of [1, 2]) {
      await Deno.remove(`${folder}/checkpoint-00000${step}`, {
        recursive: true,
      });
    }
    using output = await openOutput(folder, settings, {});
    assertEquals(output.checkpoint, undefined);
  }));

Deno.test("train run: a checkpoint of another run is none of this one's", () =>
  inFolder(async (folder) => {
    using other = await RunFolder.open(`${folder}/a`, runSettings({ seed: 1 }));
    await other.save(stepContent(5));
    using run = await RunFolder.open(`${folder}/b`, runSettings());
    await Deno.rename(
      `${folder}/a/checkpoint-000005`,
      `${folder}/b/checkpoint-000005`,
    );
    const { checkpoint, broken } = await run.latest();
    assertEquals(checkpoint, undefined);
    assertMatch(broken[0], /belongs to a run with another model or other/);
  }));

Deno.test("train run: the last ones and every n-th are kept", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.open(folder, runSettings(), {
      keepLast: 2,
      keepEvery: 4,
    });
    for (let step = 0; step <= 11; step++) await run.save(stepContent(step));
    const kept = ["000000", "000004", "000008", "000010", "000011"];
    assertEquals(
      await namesIn(folder),
      [
        ...kept.map((step) => `adapter_${step}.pt`),
        ...kept.map((step) => `checkpoint-${step}`),
        "run.lock",
        "settings.json",
      ],
    );
    await run.rewind(8);
    assertEquals((await run.latest()).checkpoint!.step, 8);
    assert(!(await namesIn(folder)).includes("adapter_000010.pt"));
  }));

Deno.test("train run: with a checkpoint all its files of weights are removed", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.open(folder, runSettings(), { keepLast: 1 });
    const stems = ["adapter", "adapter_ema", "pytorch_lora_weights_ema"];
    for (const step of [1, 2]) {
      const weights = stems.map((stem) => ({ ...stepWeights(step), stem }));
      await run.save({ ...stepContent(step), weights });
    }
    assertEquals(
      (await namesIn(folder)).filter((name) => name.endsWith(".pt")),
      stems.map((stem) => `${stem}_000002.pt`),
    );
  }));

Deno.test("train run: what was moved away and not replaced comes back", () =>
  inFolder(async (folder) => {
    {
      using run = await RunFolder.open(folder, runSettings());
      await run.save(stepContent(3));
    }
    await Deno.rename(
      `${folder}/checkpoint-000003`,
      `${folder}/.masterweaver-run-0123abcd-checkpoint-000003.old`,
    );
    await Deno.mkdir(`${folder}/.masterweaver-run-0123abcd.partial`);
    using run = await RunFolder.open(folder, runSettings());
    assertEquals((await run.latest()).checkpoint!.step, 3);
    assertEquals((await namesIn(folder)).filter((n) => n.startsWith(".")), []);
  }));

Deno.test("train run: errors of the trainer itself pass through", () =>
  inFolder(async (folder) => {
    using run = await RunFolder.open(folder, runSettings());
    const content = stepContent(1);
    const lost = new Error("the GPU is gone");
    await assertRejects(
      () =>
        run.trySave({
          ...content,
          arrays: { a: { shape: [1], data: () => Promise.reject(lost) } },
        }),
      Error,
      "the GPU is gone",
    );
    assertEquals(await namesIn(folder), ["run.lock", "settings.json"]);
  }));

Deno.test("train run: an adapter is saved as the reference's .pt and as .weave", () =>
  inFolder(async (folder) => {
    const source = new MemorySource(
      await Deno.readFile(
        repositoryPath("weights/mini/identity_adapter.weave"),
      ),
    );
    const shipped = await openWeave(source);
    const tensors: Record<string, TrainArray> = {};
    for (const [name, tensor] of shipped.tensors) {
      const chunks = await Array.fromAsync(weaveFloats(tensor));
      const data = Float32Array.from(chunks.flatMap((chunk) => [...chunk]));
      tensors[name] = { shape: tensor.shape, data };
    }
    using run = await RunFolder.open(`${folder}/run`, runSettings());
    const { config } = shipped;
    await run.save({
      step: 2000,
      arrays: tensors,
      state: {},
      weights: [
        adapterAsTorch(tensors),
        adapterAsWeave(tensors, { config, provenance: { run: "a test" } }),
      ],
    });
    const expected = `${folder}/expected.pt`;
    const weave = `${run.path}/adapter_002000.weave`;
    await toPyTorch(weave, expected, false);
    assertEquals(
      await Deno.readFile(`${run.path}/adapter_002000.pt`),
      await Deno.readFile(expected),
    );
    const saved = await openWeave(new MemorySource(await Deno.readFile(weave)));
    assertEquals(saved.config, config);
    assertEquals([...saved.tensors.keys()], [...shipped.tensors.keys()]);
    const { checkpoint } = await run.latest();
    assertEquals({ ...checkpoint!.arrays }, tensors);
  }));
