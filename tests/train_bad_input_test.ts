/**
 * What `tools/train.ts` is given that is wrong: it says what, and loses nothing.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { UsageError } from "../src/host/exit.ts";
import * as layout from "../src/train/data/layout.ts";
import { adapterFile } from "../tools/train/run/adapter_file.ts";
import { changedComponent } from "./support/changed_weights.ts";
import { finished } from "./support/command.ts";
import {
  drawDataset,
  drawnId,
  grayPng,
  npyFile,
  writeFile,
} from "./support/dataset.ts";
import {
  inFolder,
  isPrivileged,
  namesIn,
  onSmallDisk,
} from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  type Given,
  MODEL,
  recorded,
  savedSteps,
  trained,
  trainTool,
} from "./support/train_tool.ts";

/** A data set, and training on it. */
interface Place {
  readonly folder: string;
  readonly data: string;
  readonly out: string;
  readonly given: Given;
}

function inPlace(
  work: (place: Place) => Promise<void>,
  count = 4,
): () => Promise<void> {
  return () =>
    inFolder(async (folder) => {
      const [data, out] = [`${folder}/data`, `${folder}/run`];
      await drawDataset(data, { count });
      const given = { stage: 1, data, out, "max-train-steps": 2 };
      await work({ folder, data, out, given });
    });
}

/** What training is refused with. */
async function refused(given: Given, code: string): Promise<string> {
  const error = await assertRejects(() => trained(given), MasterWeaverError);
  assertEquals(error.code, code, error.message);
  assert(!error.message.includes("\n"));
  return error.message;
}

/** Breaks a file of each id in another way: which, and what is said. */
async function breakFiles(data: string): Promise<RegExp[]> {
  const put = (path: string, bytes: Uint8Array) =>
    writeFile(`${data}/${path}`, bytes);
  const landmarks = (i: number) => layout.landmarksPath(drawnId(i), "0");
  const points = new Float32Array(136).fill(30);
  await put(layout.captionPath(drawnId(0)), new Uint8Array());
  await put(layout.captionPath(drawnId(1)), Uint8Array.of(0x61, 0xff, 0xfe));
  const image = layout.imagePath(drawnId(2));
  const jpeg = await Deno.readFile(`${data}/${image}`);
  await put(image, jpeg.subarray(0, jpeg.length / 2));
  const mask = await grayPng(20, 30, () => 0);
  await put(layout.maskPath(drawnId(3), "0"), mask);
  await put(
    landmarks(4),
    npyFile("<f4", [68, 2], points.with(7, NaN)),
  );
  await put(landmarks(5), npyFile("<c8", [68, 2], points));
  await put(landmarks(6), npyFile("|O", [68, 2], points));
  return [
    /^Note: 000000_0 is left out: Caption .*000000_0\.txt is empty/,
    /^Note: 000001_0 is left out: Caption .*000001_0\.txt is not UTF-8/,
    /^Note: 000002_0 is left out: Image .*000002_0\.jpg is cut off/,
    /^Note: 000003_0 is left out: Mask .* is 20 × 30, expected 48 × 48/,
    /^Note: 000004_0 is left out: Landmarks .* has the value NaN at 7/,
    /^Note: 000005_0 is left out: Landmarks .* is of type "<c8", expected/,
    /^Note: 000006_0 is left out: Landmarks .* holds pickled objects/,
  ];
}

gpuTest(
  "train bad input: broken files are left out, named and counted",
  inPlace(async ({ data, given }) => {
    const says = await breakFiles(data);
    // Nine samples are an epoch, ten are drawn: every id is tried.
    const child = trainTool({
      ...given,
      "max-train-steps": 5,
      json: true,
      quiet: false,
    });
    const { code, out, err } = await finished(child);
    assertEquals(code, 0, err.join("\n"));
    assertEquals(JSON.parse(out).left_out, says.length);
    for (const pattern of says) {
      assertEquals(err.filter((line) => pattern.test(line)).length, 1);
    }
    assertEquals(err.at(-2), `Left out as broken: ${says.length} ids`);
  }, 9),
);

gpuTest(
  "train bad input: a data set that cannot be used leaves no run",
  inPlace(async ({ folder, data, out, given }) => {
    assertMatch(
      await refused({ ...given, data: `${folder}/none` }, "bad-data"),
      /^Data set .*none is not there: give its folder$/,
    );
    await Deno.rename(`${data}/captions`, `${data}/text`);
    assertMatch(
      await refused(given, "bad-data"),
      /^Data set .* lacks a part: captions is missing \(captions, <id>\.txt\)$/,
    );
    assertEquals(await namesIn(folder), ["data"]);
    await Deno.rename(`${data}/text`, `${data}/captions`);
    // Without other appearances stage 1 can be trained, stage 2 cannot.
    await Deno.remove(`${data}/images_cropped_face_aug`, { recursive: true });
    const adapter = `${MODEL}/identity_adapter.weave`;
    assertMatch(
      await refused(
        { ...given, stage: 2, "adapter-path": adapter },
        "bad-data",
      ),
      /lacks a part: images_cropped_face_aug is missing \(other appearances/,
    );
    assertEquals(await namesIn(folder), ["data"]);
    for (let i = 0; i < 4; i++) {
      await writeFile(
        `${data}/${layout.captionPath(drawnId(i))}`,
        new Uint8Array(),
      );
    }
    assertMatch(
      await refused(given, "bad-data"),
      /^None of the 4 ids of the data set can be used; the first: Caption/,
    );
    assertEquals(await savedSteps(out), []);
  }),
);

gpuTest(
  "train bad input: a batch may be larger than the data set",
  inPlace(async ({ given }) => {
    const { step } = await trained({
      ...given,
      "train-batch-size": 2,
      "max-train-steps": 1,
    });
    assertEquals(step, 1);
  }, 1),
);

gpuTest(
  "train bad input: models, adapters and options that do not fit",
  inPlace(async ({ folder, given }) => {
    const refusals: readonly (readonly [Given, string, RegExp])[] = [
      [
        { model: `${folder}/none` },
        "cannot-read",
        /none: no such file or folder; give the folder of a model that /,
      ],
      [{ "adapter-path": "none.pt" }, "cannot-read", /none\.pt: no such file/],
      [
        { "adapter-path": `${MODEL}/unet.weave` },
        "bad-model",
        /it holds the component unet, expected identity_adapter$/,
      ],
      [
        { "adapter-path": `${MODEL}/model.json` },
        "bad-checkpoint",
        /expected a \.weave, safetensors, PyTorch or GGUF file$/,
      ],
      [
        { resolution: 33 },
        "bad-option",
        /^Option --resolution is 33, expected a multiple of 4$/,
      ],
      [
        {
          stage: 2,
          "adapter-path": `${MODEL}/identity_adapter.weave`,
          "edit-prompts": `${folder}/none.txt`,
        },
        "cannot-read",
        /none\.txt: no such file/,
      ],
    ];
    for (const [wrong, code, says] of refusals) {
      assertMatch(await refused({ ...given, ...wrong }, code), says);
    }
    await assertRejects(
      () => trained({ ...given, "scale-lr": true, "no-scale-lr": true }),
      UsageError,
      "not both",
    );
    // Refused before anything was written.
    assertEquals(await namesIn(folder), ["data"]);
  }),
);

gpuTest(
  "train bad input: the run's folder is somebody else's, or was begun otherwise",
  inPlace(async ({ folder, data, out, given }) => {
    assertMatch(
      await refused({ ...given, out: data }, "bad-option"),
      /^Cannot train in .*data: it holds captions and 4 more and no settings/,
    );
    const child = trainTool({ ...given, "max-train-steps": 99999 });
    const ended = finished(child);
    while ((await savedSteps(out)).length === 0) {
      await new Promise((done) => setTimeout(done, 20));
    }
    assertMatch(
      await refused(given, "busy"),
      new RegExp(`process ${child.pid}, started at .*, trains there; wait`),
    );
    child.kill("SIGKILL");
    await ended;
    assertMatch(
      await refused({ ...given, seed: 7, resolution: 36 }, "bad-option"),
      /began with other settings \(resolution: 32 → 36; seed: 42 → 7\)/,
    );
    const steps = (await savedSteps(out)).at(-1)! + 1;
    const { step } = await trained({
      ...given,
      "max-train-steps": steps,
      "adam-beta2": 0.9,
    });
    assertEquals(step, steps);
    assertMatch(
      await Deno.readTextFile(`${out}/report.html`),
      /goes on with another setting: adam-beta2: 0\.999 → 0\.9/,
    );
    assertEquals(await namesIn(folder), ["data", "run"]);
  }),
  Deno.build.os === "windows",
);

gpuTest(
  "train bad input: a run that goes on otherwise, or is finished",
  inPlace(async ({ data, out, given }) => {
    await trained(given);
    const settings = () => Deno.readTextFile(`${out}/settings.json`);
    const before = await settings();
    // Checked before anything is written: the run goes on as it was.
    assertMatch(
      await refused({ ...given, "ema-decay": 0.9 }, "bad-option"),
      /run: it began without --ema-decay; give the same options, or another/,
    );
    assertEquals(await settings(), before);
    // Nothing is done, and so nothing goes on with another setting.
    const again = trainTool({ ...given, "max-train-steps": 1, quiet: false });
    const { code, err } = await finished(again);
    assertEquals(code, 0, err.join("\n"));
    assertEquals(
      err.at(-1),
      "Already finished: 2 of 1 steps; give more --max-train-steps to go on",
    );
    assertEquals(err.filter((line) => line.startsWith("Note")), []);
    assertEquals(await settings(), before);
    await drawDataset(data, { count: 5 });
    const more = trainTool({ ...given, "max-train-steps": 3, quiet: false });
    const gone = await finished(more);
    assertEquals(gone.code, 0, gone.err.join("\n"));
    assert(gone.err.includes("Going on from step 2 (checkpoint-000002)"));
    const says =
      "The data set has 5 ids, 4 when the run began: it goes on, but not as it would have";
    const { dataset, resumed } = JSON.parse(await settings());
    assertEquals(dataset.ids, 4);
    assertEquals(resumed[0].changes, ["max-train-steps: 2 → 3", says]);
    assert((await Deno.readTextFile(`${out}/report.html`)).includes(says));
  }),
);

gpuTest(
  "train bad input: a NaN stops with the step, the tensor and the last checkpoint",
  inPlace(async ({ folder, out, given }) => {
    const adapter = `${folder}/nan.weave`;
    const name = "id_encoder.latents";
    await Deno.writeFile(
      adapter,
      await changedComponent(
        "identity_adapter",
        (own) => own === name ? (value, i) => i === 5 ? NaN : value : undefined,
      ),
    );
    assertEquals(
      await refused({ ...given, "adapter-path": adapter }, "non-finite"),
      `Training stopped at step 1: loss_mle is NaN; first the trained parameter ${name} is not finite; there is no checkpoint yet`,
    );
    assertEquals(await savedSteps(out), []);
    assertEquals(await recorded(out), []);
    // So high a rate that f16 cannot hold what the first update makes.
    const high: Given = {
      ...given,
      out: `${folder}/high`,
      stage: 2,
      "adapter-path": `${MODEL}/identity_adapter.weave`,
      "mixed-precision": "fp16",
      "learning-rate": 1e8,
    };
    assertMatch(
      await refused(high, "non-finite"),
      /^Training stopped at step 2: loss_mle is NaN; first the output \(.*\) of .* with id_encoder\.[\w.]+.* is not finite; the last good checkpoint is .*high\/checkpoint-000001$/,
    );
    assertEquals(await savedSteps(high.out as string), [1]);
    // What an update destroyed would show in the next step's loss only.
    const broken = `${folder}/broken`;
    assertMatch(
      await refused(
        { ...given, out: broken, "max-train-steps": 1, "learning-rate": 1e39 },
        "non-finite",
      ),
      /^Training stopped after step 1: parameters\/.* is not finite, so it is not saved; there is no good checkpoint; /,
    );
    assertEquals(await savedSteps(broken), []);
  }),
);

Deno.test("train bad input: an adapter of a run's folder", () =>
  inFolder(async (folder) => {
    const put = (name: string) => Deno.writeTextFile(`${folder}/${name}`, "");
    const says = async (path: string) =>
      (await assertRejects(() => adapterFile(path), MasterWeaverError)).message;
    assertMatch(await says(folder), /it has no adapter_final\.weave, nor/);
    await put("settings.json");
    const final = `${folder}/adapter_final.pt`;
    assertMatch(await says(final), /its end; it has saved no adapter yet$/);
    for (const step of ["000010", "000002", "1000000"]) {
      await put(`adapter_${step}.weave`);
    }
    await put("adapter_000002.pt");
    assertEquals(await adapterFile(folder), `${folder}/adapter_1000000.weave`);
    assertMatch(
      await says(final),
      /^Cannot start from .*its end; its newest adapter is .*adapter_000002\.pt$/,
    );
    await put("adapter_final.weave");
    assertEquals(await adapterFile(folder), `${folder}/adapter_final.weave`);
    assertEquals(await adapterFile("other.pt"), "other.pt");
  }));

gpuTest(
  "train bad input: a frozen weight that is not finite is named",
  inPlace(async ({ folder, given }) => {
    const model = `${folder}/model`;
    await Deno.mkdir(model);
    for (const name of await namesIn(MODEL)) {
      // The list of hashes would tell at once that a file was changed.
      if (name === "model.json") continue;
      await Deno.copyFile(`${MODEL}/${name}`, `${model}/${name}`);
    }
    const weight = "up_blocks.1.resnets.0.conv1.weight";
    await Deno.writeFile(
      `${model}/unet.weave`,
      await changedComponent(
        "unet",
        (own) => own === weight ? () => Infinity : undefined,
      ),
    );
    assertMatch(
      await refused({ ...given, model }, "non-finite"),
      new RegExp(`; first the frozen weight ${weight} is not finite;`),
    );
  }),
);

/** A data set, and a run of three steps on it that nothing disturbed. */
async function makeUndisturbed() {
  const folder = await Deno.makeTempDir();
  const [data, run] = [`${folder}/data`, `${folder}/run`];
  await drawDataset(data, { count: 4 });
  const given: Given = { stage: 1, data, "max-train-steps": 3 };
  await trained({ ...given, out: run });
  return { folder, run, given };
}

let making: ReturnType<typeof makeUndisturbed> | undefined;
/** That run, made once for all tests. */
const undisturbed = () => making ??= makeUndisturbed();
Deno.test.afterAll(async () => {
  const made = await making?.catch(() => undefined);
  if (made) await Deno.remove(made.folder, { recursive: true });
});

gpuTest(
  "train bad input: without its cache training goes on",
  () =>
    inFolder(async (folder) => {
      const { run, given } = await undisturbed();
      const cache = `${folder}/cache`;
      await Deno.mkdir(cache);
      const names = await namesIn(`${run}/cache`);
      assert(names.length > 0);
      // Files where its folders would be.
      for (const name of names) {
        await Deno.writeTextFile(`${cache}/${name}`, "");
      }
      const out = `${folder}/other`;
      await trained({ ...given, cache, out });
      assertEquals(await recorded(out), await recorded(run));
      const report = await Deno.readTextFile(`${out}/report.html`);
      const told =
        /Cannot write .*; training goes on without keeping features/g;
      assertEquals(report.match(told)?.length, 1);
    }),
);

gpuTest(
  "train bad input: without room for a checkpoint training goes on and keeps the last",
  () =>
    inFolder(async (folder) => {
      const { run, given } = await undisturbed();
      // Room for one checkpoint of about 10 MB and for the final adapters.
      await onSmallDisk(folder, 17_000, async (disk) => {
        const out = `${disk}/run`;
        const result = await trained({ ...given, out, "cache-size": 0 });
        assertEquals(result.step, 3);
        assertEquals(await savedSteps(out), [1]);
        assertEquals(await recorded(out), await recorded(run));
        const report = await Deno.readTextFile(`${out}/report.html`);
        assertMatch(
          report,
          /The checkpoint of step 2 was not saved: .*; training goes on, that of step 1 is kept/,
        );
      });
    }),
  !isPrivileged,
);
