/**
 * Merges models: each weight is the weighted sum of those of several, as
 * AUTOMATIC1111's 'weighted sum' makes it, and 'add difference' with a negative
 * weight: A=1 B=1 C=-1 is A + (B − C).
 *
 * @module
 */
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import {
  encodeFloats,
  type FloatChunks,
  StorageLoss,
} from "../../src/checkpoints/encode.ts";
import type { ByteSource } from "../../src/base/bytes.ts";
import type { LdmWeights } from "../../src/checkpoints/tables/ldm.ts";
import { elementCount } from "../../src/ops/tensor_spec.ts";
import { brief } from "../../src/weights/brief.ts";
import { formatShape } from "../../src/weights/dtype.ts";
import type { WeaveContent } from "../../src/weights/weave_writer.ts";
import type { TensorToWrite } from "../../src/weights/weave_writer.ts";
import type { Component, PlannedContent, PlanOptions } from "./component.ts";
import { findComponents, type Search } from "./inputs.ts";
import { runs, StreamReader } from "./stream_reader.ts";

/** A model that is merged. */
export interface MergeInput {
  /** Its file or folder. */
  readonly path: string;
  /** What its weights are multiplied by. */
  readonly weight: number;
}

/** What to read. */
export interface ReadInputs {
  /** Files and folders. */
  readonly inputs: readonly string[];
  /** Models to merge, two or more; `inputs` have what they lack. */
  readonly merge?: readonly MergeInput[];
}

/** What to read, and how. */
export interface ReadOptions extends ReadInputs {
  /** Which of a single file's two sets of UNet weights, where it has both. */
  readonly ldmWeights?: LdmWeights;
  /**
   * Whether unknown tensors, and tokens that the tokenizer lacks, are left out
   * instead of refused (false).
   */
  readonly allowUnused?: boolean;
  /** Called with what happens, line by line. */
  readonly report?: (line: string) => void;
}

/** The networks that are merged; of others there is nothing to be gained. */
const MERGED = ["unet", "vae", "text_encoder"];
/** Sums of weights that are taken for 1. */
const TOLERANCE = 1e-6;

/**
 * The components of what is read, merged where that is asked for.
 *
 * @param output the folder written to
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
export async function readComponents(
  { inputs, merge, ldmWeights = "ema", allowUnused = false, report = () => {} }:
    ReadOptions,
  output: string,
): Promise<Component[]> {
  const search = { inputs, output, ldmWeights, allowUnused, warn: report };
  return merge
    ? await mergedComponents(merge, search)
    : await findComponents(search);
}

/**
 * The components of a merged model. A network that not all of the models have is
 * the first one's that has it, as are all other components.
 *
 * @param models two or more
 * @param search its inputs are not merged: they have what the models lack, such as a tokenizer
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 */
async function mergedComponents(
  models: readonly MergeInput[],
  search: Search,
): Promise<Component[]> {
  const { warn } = search;
  const total = models.reduce((sum, { weight }) => sum + weight, 0);
  if (Math.abs(total - 1) > TOLERANCE) {
    warn(
      `Warning: the weights add up to ${total}, not to 1; they are used as given`,
    );
  }
  const found: Map<string, Component>[] = [];
  for (const { path } of models) {
    const own = await findComponents({
      ...search,
      inputs: [path],
      folders: [...search.folders ?? [], ...search.inputs],
    });
    found.push(new Map(own.map((component) => [component.output, component])));
  }
  const beside = search.inputs.length > 0 ? await findComponents(search) : [];
  const all = [...found.flatMap((own) => [...own.values()]), ...beside];
  const merged = new Map<string, Component>();
  for (const component of all) {
    const { output } = component;
    if (merged.has(output)) continue;
    const parts = found.flatMap((own, i) => {
      const part = own.get(output);
      return part ? [{ component: part, ...models[i] }] : [];
    });
    const isMerged = MERGED.includes(output) && parts.length === models.length;
    if (MERGED.includes(output) && !isMerged) {
      warn(
        `${output}: not in all of the models; that of ${
          component.files[0]
        } is ` +
          "taken as it is",
      );
    }
    merged.set(output, isMerged ? mergedComponent(parts) : component);
  }
  return [...merged.values()];
}

/** A component of a model that is merged. */
interface Part extends MergeInput {
  readonly component: Component;
}

function mergedComponent(parts: readonly Part[]): Component {
  const [{ component: { output, config } }] = parts;
  return {
    output,
    files: parts.flatMap(({ component }) => component.files),
    config,
    plan: (sources, options) => planMerge(parts, sources, options),
  };
}

async function planMerge(
  parts: readonly Part[],
  sources: readonly ByteSource[],
  options: PlanOptions,
): Promise<PlannedContent> {
  const planned: PlannedContent[] = [];
  let at = 0;
  // How the first one's tensors are stored, without the merging.
  let stored: WeaveContent | undefined;
  for (const { component } of parts) {
    const own = sources.slice(at, at += component.files.length);
    stored ??= (await component.plan(own, options)).content;
    planned.push(await component.plan(own, { ...options, dtype: "f32" }));
  }
  const contents = planned.map(({ content }) => content);
  checkAlike(parts.map(({ path }) => path), contents);
  const weights = parts.map(({ weight }) => weight);
  const loss = new StorageLoss();
  const file = parts.map(({ path }) => path).join(" and ");
  const byName = contents.map(({ tensors }) =>
    new Map(tensors.map((tensor) => [tensor.name, tensor]))
  );
  const tensors = stored!.tensors.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape,
    data: () =>
      encodeFloats(
        { file, name },
        dtype,
        weightedSum(byName.map((own) => own.get(name)!), weights),
        loss,
      ),
  }));
  return {
    content: {
      component: stored!.component,
      config: stored!.config,
      provenance: {
        merged: contents.map(({ provenance }, i) => ({
          weight: weights[i],
          ...provenance,
        })),
      },
      tensors,
    },
    loss,
    dropped: planned[0].dropped,
    warnings: planned.flatMap(({ warnings }) => warnings),
  };
}

/**
 * Refuses networks whose tensors are not the same, but for their values.
 *
 * @param paths of their models
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function checkAlike(
  paths: readonly string[],
  [first, ...others]: readonly WeaveContent[],
): void {
  const shapes = new Map(first.tensors.map(({ name, shape }) => [name, shape]));
  for (const [i, { tensors }] of others.entries()) {
    const odd = tensors.find(({ name, shape }) =>
      `${shapes.get(name)}` !== `${shape}`
    );
    if (odd === undefined && tensors.length === shapes.size) continue;
    const own = odd && shapes.get(odd.name);
    throw badCheckpoint(
      paths[i + 1],
      `it does not go together with ${paths[0]}: ` +
        (odd && own
          ? `tensor ${brief(odd.name)} is ${formatShape(odd.shape)} and ${
            formatShape(own)
          } there`
          : `it has ${tensors.length} tensors in its ${first.component}, the other ${shapes.size}`) +
        "; give models of one kind",
    );
  }
}

/** Σ weight · values, in f64, rounded once. */
async function* weightedSum(
  tensors: readonly TensorToWrite[],
  weights: readonly number[],
): FloatChunks {
  await using stack = new AsyncDisposableStack();
  const readers = tensors.map(({ data }) =>
    stack.use(new StreamReader(data()))
  );
  for (const run of runs(elementCount(tensors[0].shape), 32)) {
    const sum = new Float64Array(run);
    for (const [i, reader] of readers.entries()) {
      const values = await reader.floats(run);
      const weight = weights[i];
      for (let j = 0; j < run; j++) sum[j] += weight * values[j];
    }
    yield new Float32Array(sum);
  }
}
