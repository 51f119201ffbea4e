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
import { chooseDtype, Gpu } from "../../src/gpu/gpu.ts";
import { readImage } from "../../src/host/files.ts";
import { print } from "../../src/host/streams.ts";
import type { Image } from "../../src/image/image.ts";
import { defaultSettings, type Settings } from "../../src/options/options.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import {
  flag,
  oneOf,
  option,
  printJson,
  repositoryFile,
  text,
  toolMain,
  type Values,
  whole,
} from "../tool.ts";
import { psnr } from "../compare/measures.ts";
import { median } from "./clock.ts";
import { PROMPT } from "./image.ts";
import {
  madeUpComponents,
  type ModelSizes,
  SD15,
  sizesOf,
} from "./invented.ts";
import { benchMerging } from "./less_work/merging.ts";
import { countWork, imageCost, stepsOf, timeSteps } from "./less_work/steps.ts";
import { figure, type Table, tableText } from "./table.ts";

const USAGE = `What leaving work out gains and what it changes.

  deno run -A tools/bench/less_work.ts [options]

  --model DIR      a converted model (weights/mini)
  --ref FILE       reference photo (weights/mini/demo.png)
  --prompt TEXT    ("${PROMPT}")
  --steps N        denoising steps (30)
  --seeds N        images of each row, from 42 on (4)
  --samples N      how often each kind of step is timed (9)
  --dtype f16|f32  storage of activations (f16 where the adapter has it)
  --attention      only: a self-attention of Stable Diffusion 1.5 with merged
                   tokens, 4096 of 320 channels
  --json           one JSON object on stdout
  -h, --help
`;

const OPTIONS = {
  model: option(text, repositoryFile("weights/mini")),
  ref: option(text, repositoryFile("weights/mini/demo.png")),
  prompt: option(text, PROMPT),
  steps: option(whole(1), "30"),
  seeds: option(whole(1), "4"),
  samples: option(whole(1), "9"),
  dtype: option(oneOf(["f16", "f32"])),
  attention: flag,
  json: flag,
};

type Asked = Values<typeof OPTIONS>;

/** What is left out. */
type Less = Partial<Settings>;

/** What is left out, row by row; fewer steps are what the options compete with. */
function rowsOf(steps: number): Less[] {
  const half: Settings["guidanceRange"] = [0, 0.5];
  const most: Settings["guidanceRange"] = [0, 0.7];
  return [
    { guidanceRange: most },
    { guidanceRange: half },
    ...[2, 3, 5].map((reuseFeatures) => ({ reuseFeatures })),
    ...[0.25, 0.5, 0.75].map((mergeTokens) => ({ mergeTokens })),
    { reuseFeatures: 2, guidanceRange: most },
    { reuseFeatures: 3, guidanceRange: half, mergeTokens: 0.5 },
    { steps: Math.ceil(steps / 2) },
    { steps: Math.ceil(steps / 3) },
  ];
}

/** Settings as the command's options say them. */
function asOptions(settings: Less): string {
  return Object.entries(settings).map(([name, value]) =>
    `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} ${value}`
  ).join(" ");
}

/** Times every kind of step, then makes every row's image with every seed. */
async function measure(asked: Asked): Promise<Table> {
  const { model, steps, samples } = asked;
  const rows = rowsOf(steps);
  const exact: Less = { steps };
  const settings = [exact, ...rows.map((less) => ({ steps, ...less }))];
  const { images, size, dtype } = await imagesOf(asked, settings);

  const own = shareOf(await sizesOf(model), size, exact);
  const sd15 = shareOf(SD15, 512, exact);
  const kinds = settings.flatMap(stepsOf);
  const times = await timeSteps(model, dtype, size, kinds, samples);
  const time = (less: Less) => imageCost(less, (step) => times.get(step.name)!);
  return {
    section: "less work",
    subject: `${model}, ${steps} steps, ${size}×${size}, ${dtype}`,
    rows: rows.map((less, i) => {
      const of = settings[i + 1];
      const quality = images.map((of) => psnr(of[i + 1].data, of[0].data));
      return {
        labels: [asOptions(less)],
        figures: [
          figure("steps' time", time(of), "ms"),
          figure("times as fast", time(exact) / time(of), "×"),
          figure("PSNR", median(quality), "dB"),
          figure("worst", Math.min(...quality), "dB"),
          figure("work", own(of), "share"),
          figure("work, SD1.5", sd15(of), "share"),
        ],
      };
    }),
  };
}

/** The share of an exact image's operations that another takes. */
function shareOf(
  sizes: ModelSizes,
  side: number,
  exact: Less,
): (less: Less) => number {
  const count = countWork(madeUpComponents(sizes, "f16"), side);
  return (less) => imageCost(less, count) / imageCost(exact, count);
}

/** The images of each seed, in the order of the settings. */
async function imagesOf(
  { model, dtype, ref, seeds, prompt }: Asked,
  settings: readonly Less[],
) {
  const keepLoaded = true;
  await using weaver = await MasterWeaver.load(model, { dtype, keepLoaded });
  const identity = await weaver.encodeIdentity([await readImage(ref)]);
  const images: Image[][] = [];
  for (let i = 0; i < seeds; i++) {
    const seed = Number(defaultSettings.seed) + i;
    const ofSeed: Image[] = [];
    for (const less of settings) {
      const asked = { identity, prompt, seed, ...less };
      ofSeed.push((await weaver.generate(asked)).images[0]);
    }
    images.push(ofSeed);
  }
  return { images, size: weaver.size.own, dtype: weaver.dtype };
}

async function benchAttention({ dtype, samples }: Asked): Promise<Table> {
  using gpu = await Gpu.open();
  return await benchMerging(gpu, chooseDtype(gpu, dtype), samples);
}

/** Runs the bench of what leaves work out. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  async run(asked) {
    const table = await (asked.attention ? benchAttention : measure)(asked);
    if (asked.json) printJson({ deno: Deno.version.deno, tables: [table] });
    else print(`${tableText(table)}\n`);
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
