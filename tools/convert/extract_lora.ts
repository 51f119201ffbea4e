/**
 * Extracts a LoRA from two models: the difference of their weights, layer by
 * layer, at its best approximation of a given rank.
 *
 * @module
 */
import { dirname } from "node:path";
import { throwIfAborted } from "../../src/base/progress.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { kohyaLora } from "../../src/checkpoints/lora_file.ts";
import type { LoraNetwork } from "../../src/checkpoints/lora_names.ts";
import { approximate } from "../../src/checkpoints/low_rank.ts";
import { writeSafetensors } from "../../src/checkpoints/safetensors_writer.ts";
import type { LdmWeights } from "../../src/checkpoints/tables/ldm.ts";
import { elementCount } from "../../src/ops/tensor_spec.ts";
import { FileSource, writeFileAtomic } from "../../src/host/files.ts";
import type { LoraLayer } from "../../src/weights/lora.ts";
import type {
  TensorToWrite,
  WeaveContent,
} from "../../src/weights/weave_writer.ts";
import { checkNotInput, openSources } from "./checks.ts";
import type { Component } from "./component.ts";
import { findComponents } from "./inputs.ts";
import { checkAlike } from "./merge.ts";
import { ProgressLine } from "./progress.ts";
import { runs, StreamReader } from "./stream_reader.ts";

/** What to extract. */
export interface ExtractOptions {
  /** The file or folder of the model that the LoRA will be used with. */
  readonly base: string;
  /** That of the model which was trained from it. */
  readonly tuned: string;
  /** The safetensors file to write. */
  readonly output: string;
  /** Of every layer. */
  readonly rank: number;
  /** How factors are stored. */
  readonly dtype: "f32" | "f16";
  /** Which of a single file's two sets of UNet weights, where it has both. */
  readonly ldmWeights?: LdmWeights;
  /** Whether unknown tensors are left out instead of refused (false). */
  readonly allowUnused?: boolean;
  /** Stops between two layers; nothing is written then. */
  readonly signal?: AbortSignal;
  /** Called with what happens, line by line. */
  readonly report?: (line: string) => void;
  /** Whether to draw a progress bar. */
  readonly progress?: boolean;
}

/** What was written. */
export interface ExtractedLora {
  /** The file. */
  readonly file: string;
  /** How many layers it changes. */
  readonly layers: number;
  /** Of each of them. */
  readonly rank: number;
  /** Σ of the squares of what is missing / Σ of the squares of the differences. */
  readonly missing: number;
  /** How many tensors differ that no LoRA changes, such as norms and biases. */
  readonly otherChanges: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** Which layers of which networks a LoRA changes. */
const NETWORKS = [
  {
    network: "unet",
    layers: /^(down_blocks|mid_block|up_blocks)\..*\.weight$/,
  },
  {
    network: "text_encoder",
    layers: /^text_model\.encoder\..*\.weight$/,
  },
] as const;

/**
 * Extracts a LoRA and writes it under kohya's names.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where the models are of two kinds, or equal; `bad-option` where one would be replaced; `cannot-read`, `cannot-write`, `aborted`
 */
export async function extractLora(
  options: ExtractOptions,
): Promise<ExtractedLora> {
  const { base, tuned, output, rank, dtype, report = () => {} } = options;
  await using stack = new AsyncDisposableStack();
  const models: Map<string, Component>[] = [];
  for (const path of [base, tuned]) {
    const found = await findComponents({
      inputs: [path],
      output: dirname(output),
      ldmWeights: options.ldmWeights ?? "ema",
      allowUnused: options.allowUnused ?? false,
      needsTokenizer: false,
      warn: () => {},
    });
    const files = found.flatMap((component) => component.files);
    await checkNotInput(files, output, "--output");
    models.push(
      new Map(found.map((component) => [component.output, component])),
    );
  }
  const pairs: Pair[] = [];
  for (const { network, layers } of NETWORKS) {
    const [a, b] = models.map((model) => model.get(network));
    if (!a || !b) {
      report(`${network}: left out, it is not in both of the models`);
      continue;
    }
    const contents = [
      await contentOf(a, options, stack),
      await contentOf(b, options, stack),
    ] as const;
    checkAlike([base, tuned], contents);
    pairs.push({ network, layers, contents });
  }
  const found = await differences(pairs, options);
  if (found.layers.length === 0) {
    throw badCheckpoint(
      tuned,
      `it differs from ${base} in no layer that a LoRA changes; give the model ` +
        "that was trained, and the one it was trained from",
    );
  }
  const written = found.layers.map(({ network, layers }) =>
    kohyaLora(layers, network)
  );
  await writeFileAtomic(output, (append) =>
    writeSafetensors(
      append,
      written.flatMap(({ tensors }) => tensors),
      dtype === "f16" ? "F16" : "F32",
      written[0].metadata,
    ));
  await using file = await FileSource.open(output);
  return {
    file: output,
    layers: found.layers.reduce((sum, { layers }) => sum + layers.length, 0),
    rank,
    missing: found.squaredError / found.square,
    otherChanges: found.otherChanges,
    bytes: file.size,
  };
}

/** A network of both models. */
interface Pair {
  readonly network: LoraNetwork;
  readonly layers: RegExp;
  readonly contents: readonly [base: WeaveContent, tuned: WeaveContent];
}

async function contentOf(
  component: Component,
  { allowUnused = false }: ExtractOptions,
  stack: AsyncDisposableStack,
): Promise<WeaveContent> {
  const sources = await openSources(component, stack);
  const plan = { dtype: "f32", allowUnused } as const;
  return (await component.plan(sources, plan)).content;
}

/** The LoRA's layers, and what it misses. */
async function differences(
  pairs: readonly Pair[],
  { output, rank, signal, progress }: ExtractOptions,
) {
  const total = pairs.flatMap(({ contents }) => contents[0].tensors)
    .reduce((sum, tensor) => sum + elementCount(tensor.shape), 0);
  using bar = new ProgressLine(output, total, progress === true);
  const found: { network: LoraNetwork; layers: LoraLayer[] }[] = [];
  let [square, squaredError, otherChanges] = [0, 0, 0];
  for (const { network, layers: pattern, contents: [base, tuned] } of pairs) {
    const others = new Map(tuned.tensors.map((t) => [t.name, t]));
    const layers: LoraLayer[] = [];
    for (const tensor of base.tensors) {
      throwIfAborted(signal);
      const { name, shape } = tensor;
      bar.advance(elementCount(shape));
      const difference = await differenceOf(tensor, others.get(name)!);
      if (difference === undefined) continue;
      if (shape.length < 2 || !pattern.test(name)) {
        otherChanges++;
        continue;
      }
      const columns = difference.length / shape[0];
      const made = approximate(difference, shape[0], columns, rank);
      square += made.square;
      squaredError += made.squaredError;
      const path = name.slice(0, -".weight".length);
      const { up, down } = made;
      layers.push({ path, shape, rank, alpha: rank, up, down });
    }
    if (layers.length > 0) found.push({ network, layers });
  }
  return { layers: found, square, squaredError, otherChanges };
}

/** tuned − base; undefined where they are equal. */
async function differenceOf(
  base: TensorToWrite,
  tuned: TensorToWrite,
): Promise<Float32Array | undefined> {
  await using first = new StreamReader(base.data());
  await using second = new StreamReader(tuned.data());
  const difference = new Float32Array(elementCount(base.shape));
  let at = 0;
  let isEqual = true;
  for (const run of runs(difference.length, 1)) {
    const before = await first.floats(run);
    const after = await second.floats(run);
    for (let i = 0; i < run; i++) {
      const change = after[i] - before[i];
      difference[at++] = change;
      isEqual &&= change === 0;
    }
  }
  return isEqual ? undefined : difference;
}

/** The largest rank. */
export const MAX_RANK = 512;
