/**
 * A run of `tools/train.ts` that was stopped and goes on comes to what it would
 * have come to, to the bit; and nothing depends on Workers or on the cache.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { openModel } from "../tools/train/model.ts";
import { readFloats } from "../src/train/step/trainable.ts";
import { drawDataset } from "./support/dataset.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  checkSame,
  type Given,
  MODEL,
  recorded,
  savedSteps,
  trained,
  until,
} from "./support/train_tool.ts";

/** Steps of stage 1, and of stage 2, whose steps are dearer. */
const STEPS = 4;
const STEPS_2 = 3;

/** A cosine after a warm-up: every step has another learning rate. */
const FIRST: Given = {
  stage: 1,
  "max-train-steps": STEPS,
  "lr-scheduler": "cosine",
  "lr-warmup-steps": 2,
};

/** Trains until an update is saved, stops, and goes on to the end, with other options if need be. */
async function withStop(
  given: Given,
  out: string,
  { before = {}, after = {} }: { before?: Given; after?: Given } = {},
): Promise<void> {
  const steps = given["max-train-steps"] as number;
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = trained({ ...given, ...before, out }, signal);
  await Promise.race([
    stopped,
    until(async () => (await savedSteps(out)).length > 0),
  ]);
  controller.abort();
  const { step, status, weights } = await stopped;
  // On a fast GPU it may be at its end before it is stopped.
  if (step < steps) {
    const stems = given["ema-decay"] ? ["adapter", "adapter_ema"] : ["adapter"];
    const number = String(step).padStart(6, "0");
    assertEquals([status, weights], [
      "stopped",
      stems.flatMap((stem) =>
        ["pt", "weave"].map((ending) => `${out}/${stem}_${number}.${ending}`)
      ),
    ]);
  }
  assert(step > 0);
  assertEquals((await savedSteps(out)).at(-1), step);
  const result = await trained({ ...given, ...after, out });
  assertEquals([result.status, result.step], ["finished", steps]);
}

gpuTest(
  "train resume: stage 1 goes on to the bit, whatever Workers and cache",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const given = { ...FIRST, data };
      const whole = `${folder}/whole`;
      const result = await trained({ ...given, out: whole });
      assertEquals(result, {
        run: whole,
        from: 0,
        step: STEPS,
        total: STEPS,
        status: "finished",
        saved: STEPS,
        weights: [`${whole}/adapter_final.pt`, `${whole}/adapter_final.weave`],
        left_out: 0,
      });
      const rates = (await recorded(whole)).map((record) =>
        (record as { learning_rate: number }).learning_rate
      );
      assertEquals(rates, [0, 0.0005, 0.001, 0.0005]);
      // Two samples of five an update.
      assertEquals(
        (await recorded(whole)).map((record) =>
          (record as { epoch: number }).epoch
        ),
        [0.4, 0.8, 1.2, 1.6],
      );

      // First with Workers and another run's cache, then with neither.
      const stopped = `${folder}/stopped`;
      await withStop(given, stopped, {
        before: { "dataloader-num-workers": 2, cache: `${whole}/cache` },
        after: { "cache-size": 0 },
      });
      await checkSame(stopped, whole, STEPS);
      assert(!(await namesIn(stopped)).includes("cache"));
      await checkAdapters(whole);
    }),
);

/** The final adapter's two files have the same values, and not those it began with. */
async function checkAdapters(run: string): Promise<void> {
  const values = await Promise.all(
    ["adapter_final.pt", "adapter_final.weave", undefined].map(async (name) => {
      const path = name && `${run}/${name}`;
      await using model = await openModel(MODEL, path, "f32");
      const { weights } = model.components.adapter;
      const { shape } = weights.file.tensors.get("id_encoder.latents")!;
      return await readFloats(weights.tensor("id_encoder.latents", shape));
    }),
  );
  assertEquals(values[0], values[1]);
  assert(values[0].some((value, i) => value !== values[2][i]));
}

gpuTest(
  "train resume: stage 2 with accumulation, f16 and a running mean",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const given: Given = {
        stage: 2,
        data,
        "max-train-steps": STEPS_2,
        "adapter-path": `${MODEL}/identity_adapter.weave`,
        "gradient-accumulation-steps": 2,
        "mixed-precision": "fp16",
        "ema-decay": 0.9,
        "max-grad-norm": 0.32,
      };
      await trained({ ...given, out: `${folder}/whole` });
      const norms = (await recorded(`${folder}/whole`)).map((record) =>
        (record as { grad_norm: number }).grad_norm
      );
      // Gradients are clipped in some steps and not in others.
      assert(norms.some((norm) => norm < 0.32), `${norms}`);
      assert(norms.some((norm) => norm > 0.32), `${norms}`);
      await withStop(given, `${folder}/stopped`);
      await checkSame(`${folder}/stopped`, `${folder}/whole`, STEPS_2);
      await checkMean(`${folder}/whole`);
    }),
);

/** The running mean is saved beside the parameters, which are others. */
async function checkMean(run: string): Promise<void> {
  const names = await namesIn(run);
  for (const step of ["000003", "final"]) {
    for (const ending of ["pt", "weave"]) {
      assert(names.includes(`adapter_${step}.${ending}`), `${names}`);
      assert(names.includes(`adapter_ema_${step}.${ending}`), `${names}`);
    }
  }
  assertNotEquals(
    await Deno.readFile(`${run}/adapter_ema_final.weave`),
    await Deno.readFile(`${run}/adapter_final.weave`),
  );
}
