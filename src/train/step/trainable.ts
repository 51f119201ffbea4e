/**
 * What a run trains: parameters kept in f32, and where they stand in a graph.
 *
 * @module
 */
import type { Graph, Tensor } from "../../graph/graph.ts";
import { weaveFloats } from "../../weights/floats.ts";
import type { WeightRef, WeightScope } from "../../weights/scope.ts";
import { cast } from "../gradients/shapes.ts";
import type { TrainedParameter } from "../optimiser/parameter_layout.ts";

/** Parameters that are trained together. */
export interface Trainable {
  /** Names, shapes and factors; the names are those of the checkpoint. */
  readonly parameters: readonly TrainedParameter[];
  /** The values that training starts from. */
  start(name: string): Promise<Float32Array>;
  /**
   * Lets the parameters take effect in a graph, before the networks are added.
   *
   * @param masters f32, by name
   */
  attach(g: Graph, masters: ReadonlyMap<string, Tensor>): void;
}

/** The name of the graph's input with a parameter's f32 value. */
export function masterName(name: string): string {
  return `parameter ${name}`;
}

/** Adds the f32 masters of parameters as inputs, and lets them take effect. */
export function attachMasters(g: Graph, trainable: Trainable): Tensor[] {
  const masters = new Map(
    trainable.parameters.map(({ name, shape }) => [
      name,
      g.input(masterName(name), shape, "f32", { inRows: true }),
    ]),
  );
  trainable.attach(g, masters);
  return [...masters.values()];
}

/**
 * Tensors of a file that are trained themselves, such as the identity adapter's.
 *
 * @param weights the root of the file's names
 * @param isTrained chooses by name; all by default
 * @param learningRateFactor of all of them
 */
export function trainedWeights(
  weights: WeightScope,
  isTrained: (name: string) => boolean = () => true,
  learningRateFactor = 1,
): Trainable {
  const refs = new Map<string, WeightRef>();
  for (const [name, { shape }] of weights.file.tensors) {
    if (isTrained(name)) refs.set(name, weights.tensor(name, shape));
  }
  return {
    parameters: [...refs].map(([name, { shape }]) => ({
      name,
      shape,
      learningRateFactor,
    })),
    start: (name) => readFloats(refs.get(name)!),
    attach(g, masters) {
      for (const [name, master] of masters) {
        g.substitute(refs.get(name)!, cast(master, g.storage));
      }
    },
  };
}

/** All values of a weight. */
export async function readFloats(
  { shape, tensor }: WeightRef,
): Promise<Float32Array> {
  const values = new Float32Array(shape.reduce((n, length) => n * length, 1));
  let at = 0;
  for await (const chunk of weaveFloats(tensor)) {
    values.set(chunk, at);
    at += chunk.length;
  }
  return values;
}

/** Several sets of parameters, trained together. */
export function joinTrainable(sets: readonly Trainable[]): Trainable {
  const owner = new Map(
    sets.flatMap((set) => set.parameters.map(({ name }) => [name, set])),
  );
  return {
    parameters: sets.flatMap(({ parameters }) => parameters),
    start: (name) => owner.get(name)!.start(name),
    attach(g, masters) {
      for (const set of sets) {
        const own = set.parameters.map(({ name }) =>
          [name, masters.get(name)!] as const
        );
        set.attach(g, new Map(own));
      }
    },
  };
}
