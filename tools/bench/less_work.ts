/**
 * What leaving work out gains and what it changes: each option's images
 * beside the exact one of the same noise, in one run. An image's time and work
 * are the sum of its steps'. And what merged tokens gain in an attention alone.
 *
 * @module
 */
import { openComponents } from "../../src/components/networks.ts";
import {
  type GeneratorComponents,
  stepGraph,
} from "../../src/generate/generator.ts";
import {
  type StepKind,
  stepKinds,
  stepName,
} from "../../src/generate/step_kinds.ts";
import type { Gpu, StorageType } from "../../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { openModelFolder, readImage } from "../../src/host/files.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import type { Image } from "../../src/image/image.ts";
import { attention } from "../../src/ops/attention/attention.ts";
import { linear } from "../../src/ops/linear/linear.ts";
import { matchTokens } from "../../src/ops/tokens/match_tokens.ts";
import { mergeTokens } from "../../src/ops/tokens/merge_tokens.ts";
import { unmergeTokens } from "../../src/ops/tokens/unmerge_tokens.ts";
import { defaultSettings, type Settings } from "../../src/options/options.ts";
import { psnr } from "../compare/measures.ts";
import { median } from "./clock.ts";
import { graphFlops, total } from "./cost.ts";
import {
  type ModelSizes,
  runShapeOf,
  SD15,
  sizesOf,
  syntheticModel,
} from "./synthetic.ts";
import type { Asked } from "./options.ts";
import { type TimedDispatch, timeGraphs } from "./plans.ts";
import { figure, type Row, type Table } from "./table.ts";

/** What is compared; the exact image has this many steps. */
type LessWorkTask =
  & Pick<Asked, "ref" | "prompt" | "steps" | "seeds" | "samples" | "dtype">
  & { readonly model: string };

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

/** Makes every row's image with every seed, then times every kind of step. */
export async function benchLessWork(
  gpu: Gpu,
  task: LessWorkTask,
): Promise<Table> {
  const { model, steps } = task;
  const rows = rowsOf(steps);
  const exact: Less = { steps };
  const settings = [exact, ...rows.map((less) => ({ steps, ...less }))];
  const { images, size, dtype } = await imagesOf(task, settings);
  const kinds = settings.flatMap(stepsOf);
  const own = workOf(await sizesOf(model), size, kinds);
  const sd15 = workOf(SD15, 512, kinds);
  const times = await timeSteps(gpu, task, dtype, size, kinds);
  const share = (of: Less, costs: StepCosts) =>
    imageCost(of, costs) / imageCost(exact, costs);
  return {
    section: "less work",
    subject: `${model}, ${steps} steps, ${size}×${size}, ${dtype}`,
    rows: rows.map((less, i) => {
      const of = settings[i + 1];
      const quality = images.map((of) => psnr(of[i + 1].data, of[0].data));
      return {
        labels: [asOptions(less)],
        figures: [
          figure("steps' time", imageCost(of, times), "ms"),
          figure("times as fast", 1 / share(of, times), "×"),
          figure("PSNR", median(quality), "dB"),
          figure("worst", Math.min(...quality), "dB"),
          figure("work", share(of, own), "share"),
          figure("work, SD1.5", share(of, sd15), "share"),
        ],
      };
    }),
  };
}

/** The images of each seed, in the order of the settings. */
async function imagesOf(
  { model, dtype, ref, seeds, prompt }: LessWorkTask,
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

/** A step as a plan does it. */
interface StepWork {
  /** What tells it from others. */
  readonly name: string;
  readonly kind: StepKind;
  /** Share of the tokens that self-attention merges. */
  readonly mergeTokens: number;
}

/** Every step of an image, in order. */
export function stepsOf(settings: Less): StepWork[] {
  const { mergeTokens, ...rules } = { ...defaultSettings, ...settings };
  return stepKinds(rules).map((kind) => ({
    name: `${stepName(kind)}, ${mergeTokens}`,
    kind,
    mergeTokens,
  }));
}

/** What each kind of step costs, by its name. */
type StepCosts = ReadonlyMap<string, number>;

/** The sum over an image's steps of what each costs. */
export function imageCost(settings: Less, costs: StepCosts): number {
  return total(stepsOf(settings), ({ name }) => costs.get(name)!);
}

/** The graph of each kind of step of one square image, by its name. */
function graphsOf(
  components: GeneratorComponents,
  storage: StorageType,
  side: number,
  steps: readonly StepWork[],
): ReadonlyMap<string, Graph> {
  const runShape = runShapeOf(components, [side, side], 1);
  const kinds = new Map(steps.map((step) => [step.name, step]));
  return new Map(
    [...kinds].map(([name, { kind, mergeTokens }]) => [
      name,
      stepGraph(storage, components, { ...runShape, mergeTokens }, kind),
    ]),
  );
}

/** Floating-point operations of a model's steps. */
export function workOf(
  sizes: ModelSizes,
  side: number,
  steps: readonly StepWork[],
): StepCosts {
  const graphs = graphsOf(syntheticModel(sizes, "f16"), "f16", side, steps);
  return new Map([...graphs].map(([name, graph]) => [name, graphFlops(graph)]));
}

/** Milliseconds of a model's steps, the fastest of some samples. */
async function timeSteps(
  gpu: Gpu,
  { model, samples }: LessWorkTask,
  storage: StorageType,
  side: number,
  steps: readonly StepWork[],
): Promise<StepCosts> {
  await using folder = await openModelFolder(model);
  const components = await openComponents(folder.files);
  const graphs = graphsOf(components, storage, side, steps);
  using store = new WeightStore(gpu);
  const timed = await timeGraphs(gpu, [...graphs.values()], samples, store);
  return new Map([...graphs.keys()].map((name, i) => [name, timeOf(timed[i])]));
}

const SIDE = 64;
const CHANNELS = 320;
const HEADS = 8;

const timeOf = (dispatches: readonly TimedDispatch[]) =>
  total(dispatches, ({ time }) => time);

/**
 * Times a self-attention of Stable Diffusion 1.5's finest level, with its
 * projections, with tokens merged and without.
 */
export async function benchMerging(
  gpu: Gpu,
  storage: StorageType,
  samples: number,
): Promise<Table> {
  const shares = [0, 0.25, 0.5, 0.75];
  const graphs = shares.map((share) =>
    selfAttention(storage, Math.floor(share * SIDE * SIDE))
  );
  const timed = await timeGraphs(gpu, graphs, samples);
  const wholes = timed.map(timeOf);
  const rows = graphs.map((graph, i): Row => {
    // Matching, merging and unmerging, by the GPU's clock where it has one.
    const merging = gpu.hasTimestamps
      ? timeOf(timed[i].filter(({ shader }) => /token/.test(shader)))
      : undefined;
    return {
      labels: [`${shares[i]} merged`],
      figures: [
        figure("time", wholes[i], "ms"),
        figure("of which merging", merging, "ms"),
        figure("times as fast", wholes[0] / wholes[i], "×"),
        figure("operations", graphFlops(graph) / 1e9, "GFLOP"),
      ],
    };
  });
  const subject = `self-attention of ${SIDE * SIDE} tokens, ${storage}`;
  return { section: "merged tokens", subject, rows };
}

/** x (1, 4096, 320), normalised already, to x + attention. */
function selfAttention(storage: StorageType, merged: number): Graph {
  const g = new Graph(storage);
  const x = g.input("x", [1, SIDE * SIDE, CHANNELS], storage);
  const match = { height: SIDE, width: SIDE, merged };
  const place = merged > 0 ? g.apply(matchTokens, { x }, match) : null;
  const tokens = place ? g.apply(mergeTokens, { x, place }, match) : x;
  const project = (name: string, x: Tensor, residual?: Tensor) => {
    const weight = g.input(name, [CHANNELS, CHANNELS], storage);
    return g.apply(linear, { x, weight, bias: undefined, residual }, {});
  };
  const [q, k, v] = ["q", "k", "v"].map((name) => project(name, tokens));
  const given = { q, k, v, identityScale: undefined };
  const y = g.apply(attention, given, { heads: HEADS });
  g.output(
    "y",
    place
      ? g.apply(unmergeTokens, { x: project("out", y), place, residual: x }, {})
      : project("out", y, x),
  );
  return g;
}
