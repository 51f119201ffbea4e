/**
 * Finds the weights that a network asks for by building its graph: so names and
 * shapes are written once, in `src/models`, and tables only say what a
 * checkpoint calls them.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { Graph } from "../../graph/graph.ts";
import { WeightScope } from "../../weights/scope.ts";
import type { CheckpointConfig } from "./config.ts";

/** A weight by name and shape. */
export interface NamedShape {
  /** Its path in the component. */
  readonly name: string;
  /** PyTorch's dimensions; (O, I, kh, kw) for a convolution. */
  readonly shape: readonly number[];
}

/** A network whose weights are requested. */
export interface WeightRequest {
  /** What the network is: `unet`, … */
  readonly component: string;
  /** The config its sizes come from, for messages. */
  readonly config: CheckpointConfig;
  /**
   * Names of modules in the file's order, one list for all depths; see
   * {@linkcode inFileOrder}.
   */
  readonly order: readonly string[];
  /** Convolutions over images, which have 4 input channels here and 3 in PyTorch. */
  readonly overImages?: readonly string[];
  /** PyTorch's input channels of other convolutions that have a multiple of 4 here. */
  readonly inputChannels?: Readonly<Record<string, number>>;
  /** Builds the network's graphs, which ask for their weights. */
  readonly build: (graph: Graph, weights: WeightScope) => void;
}

/**
 * The weights a network asks for, in the file's order.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where the config's sizes do not make a network
 */
export function requestedWeights(
  { component, config, order, overImages = [], inputChannels = {}, build }:
    WeightRequest,
): NamedShape[] {
  const scope = WeightScope.recording(component);
  try {
    build(new Graph("f32"), scope);
  } catch (error) {
    if (!(error instanceof MasterWeaverError) || error.code !== "gpu") {
      throw error;
    }
    throw config.wrongSizes(error);
  }
  const weights = scope.requested.map(({ name, shape }) => {
    const path = name.replace(/\.weight$/, "");
    const own = overImages.includes(path) ? 3 : inputChannels[path];
    return {
      name,
      shape: own !== undefined && shape.length === 4
        ? [shape[0], own, shape[1], shape[2]]
        : pytorchShape(shape),
    };
  });
  return inFileOrder(weights, order);
}

/** (O, kh, kw, I) → (O, I, kh, kw). */
function pytorchShape(shape: readonly number[]): readonly number[] {
  if (shape.length !== 4) return shape;
  const [out, height, width, inner] = shape;
  return [out, inner, height, width];
}

/**
 * Sorts weights by their paths, segment by segment: numbers as numbers, names
 * as listed. A block's `resnets` and `attentions` alternate, as they run.
 *
 * The order is part of the format: the header's hash, which identifies a model,
 * depends on it, and a model converted again must get the same hash.
 *
 * @param order every name that occurs
 * @throws {RangeError} where a name is not listed: a table lacks it
 */
export function inFileOrder(
  weights: readonly NamedShape[],
  order: readonly string[],
): NamedShape[] {
  const ranks = new Map(order.map((name, i) => [name, i]));
  const key = (name: string) =>
    name.replace(/\b(resnets|attentions)\.(\d+)/g, "resnets.$2.$1").split(".")
      .map((segment) => {
        const rank = /^\d+$/.test(segment)
          ? Number(segment)
          : ranks.get(segment);
        if (rank !== undefined) return rank;
        throw new RangeError(`No order is known for ${segment} of ${name}`);
      });
  return weights.map((weight) => ({ weight, key: key(weight.name) }))
    .sort((a, b) => compare(a.key, b.key))
    .map(({ weight }) => weight);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((rank, i) => rank !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}
