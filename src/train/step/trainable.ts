/**
 * What a run trains: parameters by the names of their file, kept in f32.
 *
 * @module
 */
import type { Graph, Tensor } from "../../graph/graph.ts";
import type { WeightRef } from "../../weights/scope.ts";
import { cast } from "../gradients/shapes.ts";

/** A parameter that is trained. */
export interface TrainedParameter {
  /** Its path in its component's file. */
  readonly name: string;
  /** Lengths of its axes, outermost first. */
  readonly shape: readonly number[];
  /** The tensor of the file that it starts from and stands for. */
  readonly ref: WeightRef;
}

/** The name of the graph's input with a parameter's f32 value. */
export function masterName({ name }: TrainedParameter): string {
  return `parameter ${name}`;
}

/**
 * Adds the f32 masters of parameters as inputs and lets them, cast to the graph's
 * storage type, stand for the file's values.
 *
 * @returns the masters, in the order of the parameters
 */
export function addMasters(
  g: Graph,
  parameters: readonly TrainedParameter[],
): Tensor[] {
  return parameters.map((parameter) => {
    const { shape, ref } = parameter;
    const master = g.input(masterName(parameter), shape, "f32", {
      inRows: true,
    });
    g.substitute(ref, cast(master, g.storage));
    return master;
  });
}
