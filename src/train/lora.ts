/**
 * A LoRA of the UNet as something to train: two small factors beside each chosen
 * weight, which stays as it is.
 *
 * As peft does it: `lora_A` (R, I) starts at random, `lora_B` (O, R) at zero, and a
 * layer computes with W + alpha / R · lora_B · lora_A. A convolution has a `lora_A`
 * of its own window and a `lora_B` of 1 × 1, which is the same product over all
 * values of a window.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Components } from "../components/networks.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import { add } from "../models/layers.ts";
import { map } from "../ops/map.ts";
import { matmul } from "../ops/matmul.ts";
import { elementCount } from "../ops/op.ts";
import { brief } from "../weights/brief.ts";
import { layerPaths, type LoraLayer, weightName } from "../weights/lora.ts";
import type { WeightRef, WeightScope } from "../weights/scope.ts";
import { RandomStream } from "./data/random.ts";
import { cast } from "./gradients/shapes.ts";
import type { Trainable } from "./step/trainable.ts";

/** The layers that are trained by default: the projections of every attention. */
export const DEFAULT_TARGETS: readonly string[] = [
  "to_q",
  "to_k",
  "to_v",
  "to_out.0",
];

/** What a LoRA is. */
export interface LoraOptions {
  /** R, columns of `lora_B` and rows of `lora_A`. */
  readonly rank: number;
  /** R times what the product is multiplied by; R by default. */
  readonly alpha?: number;
  /** Ends of the paths of the layers it changes; {@linkcode DEFAULT_TARGETS} by default. */
  readonly targets?: readonly string[];
  /** Of the first values. */
  readonly seed: number;
}

/** A LoRA in training. */
export interface LoraTrainable extends Trainable {
  /** Its layers with values of its parameters. */
  layers(values: ReadonlyMap<string, Float32Array>): LoraLayer[];
}

/** A weight beside which factors are trained. */
interface Target {
  readonly path: string;
  readonly ref: WeightRef;
  readonly rows: number;
  readonly columns: number;
}

/**
 * A LoRA of the UNet, to be trained. Its parameters are named
 * `PATH.lora_A` and `PATH.lora_B`.
 *
 * @throws {MasterWeaverError} `bad-option` for a target that is the end of no layer's path, or an alpha of zero
 */
export function loraTrainable(
  { unet }: Pick<Components, "unet">,
  { rank, alpha = rank, targets = DEFAULT_TARGETS, seed }: LoraOptions,
): LoraTrainable {
  if (!(alpha > 0 && alpha < Infinity)) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot train a LoRA with alpha ${alpha}: expected a number above 0`,
    );
  }
  const chosen = targetsIn(unet.weights, targets);
  return {
    parameters: chosen.flatMap(({ path, ref, rows }) => [
      { name: downName(path), shape: [rank, ...ref.shape.slice(1)] },
      { name: upName(path), shape: [rows, rank] },
    ]),
    start: (name) => Promise.resolve(startOf(name, chosen, rank, seed)),
    attach(g, masters) {
      for (const target of chosen) {
        const down = masters.get(downName(target.path))!;
        const up = masters.get(upName(target.path))!;
        g.substitute(
          target.ref,
          () => changedWeight(g, target, { rank, alpha, down, up }),
        );
      }
    },
    layers: (values) =>
      chosen.map(({ path, ref: { shape } }) => ({
        path,
        shape,
        rank,
        alpha,
        down: values.get(downName(path))!,
        up: values.get(upName(path))!,
      })),
  };
}

function downName(path: string): string {
  return `${path}.lora_A`;
}

function upName(path: string): string {
  return `${path}.lora_B`;
}

/** The layers of a UNet whose paths end with one of these names, in the file's order. */
function targetsIn(
  weights: WeightScope,
  targets: readonly string[],
): Target[] {
  const layers = layerPaths(weights.file);
  const isEnd = (path: string, target: string) =>
    path === target || path.endsWith(`.${target}`);
  const unknown = targets.filter((target) =>
    !layers.some((path) => isEnd(path, target))
  );
  if (targets.length === 0 || unknown.length > 0) {
    throw new MasterWeaverError(
      "bad-option",
      `Cannot train a LoRA of ${
        unknown.map(brief).join(", ") || "no layer"
      }: give ends of the paths of the UNet's layers, such as ${
        [...new Set(layers.map(endOf))].join(", ")
      }`,
    );
  }
  return layers.filter((path) => targets.some((end) => isEnd(path, end)))
    .map((path) => {
      const name = weightName(path);
      const { shape } = weights.file.tensors.get(name)!;
      const [rows, ...rest] = shape;
      const ref = weights.tensor(name, shape);
      return { path, ref, rows, columns: elementCount(rest) };
    });
}

/** What is after the last of these. */
const CONTAINER =
  /^.*(?:attn\d|transformer_blocks\.\d+|resnets\.\d+|attentions\.\d+|samplers\.\d+)\./;

/** The end of a path by which a layer's kind is known, as peft's users write it. */
function endOf(path: string): string {
  return path.replace(CONTAINER, "");
}

/** As peft starts them: zeros, and PyTorch's `kaiming_uniform_(a=√5)`. */
function startOf(
  name: string,
  chosen: readonly Target[],
  rank: number,
  seed: number,
): Float32Array {
  const { path, rows, columns } = chosen.find(({ path }) =>
    name === downName(path) || name === upName(path)
  )!;
  if (name === upName(path)) return new Float32Array(rows * rank);
  const bound = 1 / Math.sqrt(columns);
  const stream = new RandomStream(seed, `initial ${name}`);
  return Float32Array.from(
    { length: rank * columns },
    () => stream.between(-bound, bound),
  );
}

/** Factors in a graph, f32. */
interface Factors {
  readonly rank: number;
  readonly alpha: number;
  /** (R, I) or (R, kh, kw, I) */
  readonly down: Tensor;
  /** (O, R) */
  readonly up: Tensor;
}

/** W + alpha / R · up · down, computed in f32: of the weight's shape and the storage type. */
function changedWeight(
  g: Graph,
  { ref, rows, columns }: Target,
  { rank, alpha, down, up }: Factors,
): Tensor {
  const scaled = g.apply(map, { x: up }, { scale: alpha / rank });
  // (1, O, R) · (1, R, I) → (1, O, I)
  const change = g.apply(matmul, {
    a: scaled.reshape(1, rows, rank),
    b: down.reshape(1, rank, columns),
  }, {});
  const weight = cast(g.parameter(ref, { dtype: g.storage }), "f32");
  const sum = add(weight.reshape(1, rows, columns), change);
  return cast(sum, g.storage).reshape(...ref.shape);
}
