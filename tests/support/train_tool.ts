/**
 * `tools/train.ts` in tests: in this process or in one of its own.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readOptions } from "../../tools/tool.ts";
import { OPTIONS, type TrainValues } from "../../tools/train/options.ts";
import { train, type TrainResult } from "../../tools/train/session.ts";
import { deno } from "./command.ts";
import { sameBytes } from "./compare.ts";
import { namesIn } from "./file_systems.ts";
import { repositoryPath } from "./paths.ts";

/** The mini model. */
export const MODEL = repositoryPath("weights/mini");

/** Options of the tool: a value, or whether one without is given. */
export type Given = Readonly<Record<string, string | number | boolean>>;

/** Options as they are typed. */
export function typedOptions(given: Given): string[] {
  return Object.entries(given).flatMap(([name, value]) =>
    typeof value !== "boolean"
      ? [`--${name}`, String(value)]
      : value
      ? [`--${name}`]
      : []
  );
}

/** Options as the tool reads them. */
export function trainValues(given: Given): TrainValues {
  const read = readOptions(typedOptions(given), OPTIONS);
  if (read === "help") throw new Error("Help was asked for");
  return read.values;
}

/** Small steps, of a data set that {@linkcode drawDataset} draws. */
export const SMALL: Given = {
  model: MODEL,
  resolution: 32,
  "train-batch-size": 2,
  "gradient-accumulation-steps": 1,
  "learning-rate": 1e-3,
  "vis-steps": 0,
  "save-steps": 1,
  "dataloader-num-workers": 0,
  quiet: true,
};

/** Trains in this process. */
export function trained(
  given: Given,
  signal: AbortSignal = new AbortController().signal,
): Promise<TrainResult> {
  return train(trainValues({ ...SMALL, ...given }), { signal });
}

/** The tool as a process of its own. */
export function trainTool(given: Given): Deno.ChildProcess {
  return deno([
    "run",
    "-A",
    "--no-check",
    repositoryPath("tools/train.ts"),
    ...typedOptions({ ...SMALL, ...given }),
  ]);
}

/** What a run recorded, step by step, but for times. */
export async function recorded(run: string): Promise<unknown[]> {
  const text = await Deno.readTextFile(`${run}/metrics.jsonl`);
  return text.trimEnd().split("\n").filter((line) => line !== "")
    .map((line) => {
      const { steps_per_second: _, ...rest } = JSON.parse(line);
      return rest;
    });
}

/** Steps of the checkpoints in a run's folder, oldest first. */
export async function savedSteps(run: string): Promise<number[]> {
  const names = await namesIn(run).catch(() => []);
  return names.flatMap((name) => {
    const digits = /^checkpoint-(\d+)$/.exec(name)?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
}

/** Waits until something holds. */
export async function until(
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  while (!await holds()) await new Promise((done) => setTimeout(done, 5));
}

/** Requires that two runs came to the same, to the bit. */
export async function checkSame(
  run: string,
  expected: string,
  step: number,
): Promise<void> {
  assertEquals(await recorded(run), await recorded(expected));
  const checkpoint = `checkpoint-${String(step).padStart(6, "0")}`;
  const names = (await namesIn(expected))
    .filter((name) => /^adapter_(?:ema_)?final\./.test(name));
  assert(names.length === 2 || names.length === 4, `${names}`);
  for (const name of [`${checkpoint}/state.safetensors`, ...names]) {
    const [found, wanted] = await Promise.all(
      [run, expected].map((folder) => Deno.readFile(`${folder}/${name}`)),
    );
    assert(sameBytes(found, wanted), `${name} differs`);
  }
}
