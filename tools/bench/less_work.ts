/**
 * What leaving work out gains and what it changes: each option's images
 * beside the exact one of the same noise, in one run.
 *
 *     deno run -A tools/bench/less_work.ts
 *     deno run -A tools/bench/less_work.ts --model weights/sd15 --seeds 1
 *     deno run -A tools/bench/less_work.ts --attention
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { readImage } from "../../src/host/files.ts";
import { chooseDtype, Gpu, type StorageType } from "../../src/gpu/gpu.ts";
import { parseArguments } from "../../src/host/arguments.ts";
import { toolExitCode, UsageError } from "../../src/host/exit.ts";
import { print } from "../../src/host/streams.ts";
import type { Image } from "../../src/image/image.ts";
import { defaultSettings, type Settings } from "../../src/options/options.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { median } from "./clock.ts";
import { inventParts, SD15, sizesOf } from "./invented.ts";
import { attentionLines, benchMerging } from "./less_work/merging.ts";
import { timeSteps } from "./less_work/times.ts";
import { countWork, imageCost, stepsOf } from "./less_work/work.ts";

const usage = `What leaving work out gains and what it changes.

  deno run -A tools/bench/less_work.ts [options]

  --model DIR      a converted model (weights/mini)
  --ref FILE       reference photo (weights/mini/demo.png)
  --prompt TEXT    ("a photo of a smiling woman with red hair")
  --steps N        denoising steps (30)
  --seeds N        pictures of each row, from 42 on (4)
  --samples N      how often each kind of step is timed (9)
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --attention      only: a self-attention of Stable Diffusion 1.5 with merged
                   tokens, 4096 of 320 channels
  --json           one JSON object on stdout
  -h, --help
`;

/** What is left out, as the command's options say it. */
interface Row {
  readonly name: string;
  readonly settings: Partial<Settings>;
}

const half: Settings["guidanceRange"] = [0, 0.5];
const most: Settings["guidanceRange"] = [0, 0.7];

/** The rows; fewer steps are what the options compete with. */
function rowsOf(steps: number): Row[] {
  const fewer = (divisor: number): Row => {
    const count = Math.ceil(steps / divisor);
    return { name: `--steps ${count}`, settings: { steps: count } };
  };
  return [
    { name: "--guidance-range 0,0.7", settings: { guidanceRange: most } },
    { name: "--guidance-range 0,0.5", settings: { guidanceRange: half } },
    ...[2, 3, 5].map((n) => ({
      name: `--reuse-features ${n}`,
      settings: { reuseFeatures: n },
    })),
    ...[0.25, 0.5, 0.75].map((share) => ({
      name: `--merge-tokens ${share}`,
      settings: { mergeTokens: share },
    })),
    {
      name: "--reuse-features 2 --guidance-range 0,0.7",
      settings: { reuseFeatures: 2, guidanceRange: most },
    },
    {
      name: "--reuse-features 3 --guidance-range 0,0.5 --merge-tokens 0.5",
      settings: { reuseFeatures: 3, guidanceRange: half, mergeTokens: 0.5 },
    },
    fewer(2),
    fewer(3),
  ];
}

/** A row, measured. */
interface Measured {
  /** The options. */
  readonly name: string;
  /** Milliseconds of an image's steps, each dispatch the fastest of its samples. */
  readonly milliseconds: number;
  /** How many times faster than exact. */
  readonly speedUp: number;
  /** dB from the exact image of the same seed, the median of the seeds. */
  readonly psnr: number;
  /** dB of the worst seed. */
  readonly worstPsnr: number;
  /** Share of the exact image's floating-point operations. */
  readonly work: number;
  /** The same of Stable Diffusion 1.5 at 512×512. */
  readonly workSd15: number;
}

/** What is measured. */
interface Task {
  readonly model: string;
  readonly ref: string;
  readonly prompt: string;
  readonly steps: number;
  readonly seeds: number;
  readonly samples: number;
  readonly dtype?: StorageType;
}

/** Times every kind of step, then paints every row with every seed. */
async function measure(task: Task): Promise<Measured[]> {
  const { model, steps, samples } = task;
  const rows = rowsOf(steps).map(({ name, settings }) => ({
    name,
    settings: { steps, ...settings },
  }));
  const exact: Row = { name: "exact", settings: { steps } };
  const { pictures, size, dtype } = await paintRows(task, [exact, ...rows]);

  const own = countWork(inventParts(await sizesOf(model), "f16"), size);
  const sd15 = countWork(inventParts(SD15, "f16"), 512);
  const all = [exact, ...rows].flatMap(({ settings }) => stepsOf(settings));
  const times = await timeSteps(model, dtype, size, all, samples);
  const cost = {
    time: ({ settings }: Row) =>
      imageCost(settings, (step) => times.get(step.name)!),
    share: ({ settings }: Row, count: typeof own) =>
      imageCost(settings, count) / imageCost(exact.settings, count),
  };
  return rows.map((row, i) => {
    const quality = pictures.map((of) => decibels(of[i + 1], of[0]));
    return {
      name: row.name,
      milliseconds: cost.time(row),
      speedUp: cost.time(exact) / cost.time(row),
      psnr: median(quality),
      worstPsnr: Math.min(...quality),
      work: cost.share(row, own),
      workSd15: cost.share(row, sd15),
    };
  });
}

/** The images of each seed, in the order of the rows. */
async function paintRows(task: Task, rows: readonly Row[]) {
  await using weaver = await MasterWeaver.load(task.model, {
    dtype: task.dtype,
    keepLoaded: true,
  });
  const identity = await weaver.encodeIdentity([await readImage(task.ref)]);
  const pictures: Image[][] = [];
  for (let i = 0; i < task.seeds; i++) {
    const seed = Number(defaultSettings.seed) + i;
    const painted: Image[] = [];
    for (const { settings } of rows) {
      const { prompt } = task;
      const { images } = await weaver.generate({
        identity,
        prompt,
        seed,
        ...settings,
      });
      painted.push(images[0]);
    }
    pictures.push(painted);
  }
  return { pictures, size: weaver.size.own, dtype: weaver.dtype };
}

/** PSNR over red, green and blue. */
function decibels(a: Image, b: Image): number {
  let error = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 !== 3) error += (a.data[i] - b.data[i]) ** 2;
  }
  return 10 * Math.log10(255 ** 2 / (error / (a.data.length * 0.75)));
}

/** The table, as the README has it. */
function tableLines(rows: readonly Measured[]): string[] {
  return [
    "| options | times as fast | PSNR, dB (worst) | work | work, SD1.5 |",
    "|---|---|---|---|---|",
    ...rows.map((row) =>
      `| \`${row.name}\` | ${row.speedUp.toFixed(2)} | ${
        row.psnr.toFixed(1)
      } (${row.worstPsnr.toFixed(1)}) | ${percent(row.work)} | ${
        percent(row.workSd15)
      } |`
    ),
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function parseFlags(args: readonly string[]) {
  const file = (path: string) =>
    fileURLToPath(new URL(`../../${path}`, import.meta.url));
  const { values } = parseArguments(args, {
    model: { type: "string", default: file("weights/mini") },
    ref: { type: "string", default: file("weights/mini/demo.png") },
    prompt: {
      type: "string",
      default: "a photo of a smiling woman with red hair",
    },
    steps: { type: "string", default: "30" },
    seeds: { type: "string", default: "4" },
    samples: { type: "string", default: "9" },
    dtype: { type: "string" },
    attention: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  }, "no-positionals");
  const count = (name: "steps" | "seeds" | "samples") => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value > 0) return value;
    throw new UsageError(
      `Option --${name} takes a whole number from 1, got ${values[name]}`,
    );
  };
  return {
    ...values,
    steps: count("steps"),
    seeds: count("seeds"),
    samples: count("samples"),
  };
}

/**
 * Runs the bench.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
async function main(args: readonly string[]): Promise<number> {
  return await toolExitCode(async () => {
    const flags = parseFlags(args);
    if (flags.help) return print(usage);
    const dtype = flags.dtype as StorageType | undefined;
    if (flags.attention) {
      using gpu = await Gpu.open();
      const rows = await benchMerging(
        gpu,
        chooseDtype(gpu, dtype),
        flags.samples,
      );
      const text = flags.json
        ? JSON.stringify({ attention: rows })
        : attentionLines(rows).join("\n");
      return print(`${text}\n`);
    }
    const rows = await measure({ ...flags, dtype });
    const lines = flags.json ? [JSON.stringify({ rows })] : tableLines(rows);
    print(`${lines.join("\n")}\n`);
  });
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
