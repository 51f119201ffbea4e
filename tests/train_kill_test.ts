/**
 * Training that is killed again and again, at any moment, comes to what it would
 * have come to without. Each moment three times by default; 50 kills, in two runs
 * side by side, with MASTERWEAVER_LOAD=all.
 */
import { assert, assertEquals } from "@std/assert";
import { drawDataset } from "./support/dataset.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { amount } from "./support/load.ts";
import {
  checkSame,
  type Given,
  savedSteps,
  trained,
  trainTool,
  until,
} from "./support/train_tool.ts";

const KILLS = amount(15, 50);
/** Runs that share the kills, side by side. */
const RUNS = amount(1, 2);
/** When a trainer is killed, in turn: while it starts, between two steps, while it saves. */
const MOMENTS = ["start", "save", "step", "start", "save"] as const;
type Moment = typeof MOMENTS[number];

const pause = (milliseconds: number) =>
  new Promise((done) => setTimeout(done, milliseconds));

/** The names of what is being written in a run's folder. */
async function partials(run: string): Promise<string[]> {
  const names = await namesIn(run).catch(() => []);
  return names.filter((name) => name.endsWith(".partial"));
}

/** Kills a trainer of its own process, and how long it took to its first save. */
async function killedAt(
  given: Given & { out: string },
  moment: Moment,
  starting: number,
): Promise<number> {
  const { out } = given;
  const before = (await savedSteps(out)).at(-1) ?? 0;
  const left = new Set(await partials(out));
  const began = performance.now();
  const child = trainTool(given);
  const output = child.output();
  let ended = false;
  output.then(() => ended = true);
  if (moment === "start") await pause(starting * Math.random());
  else {
    await until(async () =>
      ended ||
      (moment === "step"
        ? ((await savedSteps(out)).at(-1) ?? 0) > before
        : (await partials(out)).some((name) => !left.has(name)))
    );
  }
  const took = performance.now() - began;
  if (moment !== "start") await pause(30 * Math.random());
  // It does not end by itself: something else would be wrong.
  if (!ended) child.kill("SIGKILL");
  const { signal, stderr } = await output;
  assertEquals(signal, "SIGKILL", new TextDecoder().decode(stderr));
  return moment === "start" ? starting : took;
}

/** A run that is killed so many times. */
async function killedRun(
  given: Given & { out: string },
  kills: number,
): Promise<void> {
  let starting = 3000;
  for (let i = 0; i < kills; i++) {
    const moment = MOMENTS[i % MOMENTS.length];
    starting = await killedAt(given, moment, starting);
  }
}

gpuTest(
  `train kill: ${KILLS} kills at random moments change nothing`,
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const given = { stage: 1, data, "max-train-steps": 9999 };
      const runs = Array.from({ length: RUNS }, (_, i) => `${folder}/run${i}`);
      await Promise.all(
        runs.map((out) => killedRun({ ...given, out }, KILLS / RUNS)),
      );
      const steps = await Promise.all(runs.map(savedSteps));
      const last = Math.max(...steps.map((own) => own.at(-1) ?? 0)) + 1;
      // Whoever is killed between two steps has saved one more.
      assert(
        last > KILLS / RUNS / MOMENTS.length,
        `only ${last} steps were done`,
      );
      const whole = `${folder}/whole`;
      const rest = { ...given, "max-train-steps": last };
      await trained({ ...rest, "save-steps": 9999, out: whole });
      for (const out of runs) {
        const { left_out, step } = await trained({ ...rest, out });
        assertEquals([left_out, step], [0, last]);
        await checkSame(out, whole, last);
        // No checkpoint is left that was being written.
        const names = await namesIn(out);
        const left = names.filter((name) =>
          name.startsWith(".masterweaver-run")
        );
        assertEquals(left, []);
      }
    }),
  Deno.build.os === "windows",
);
