import { baseOf, type Tensor } from "../../graph/graph.ts";
import { isQuantised } from "../../ops/op.ts";
import { view } from "../../ops/view.ts";
import { padChannels, transposed } from "../../weights/transposed.ts";
import { padLast } from "./shapes.ts";

/**
 * A weight (O, …, I) as the gradient by x needs it: (I, …, O), its window turned by
 * half a turn, O padded with zeros to a multiple of 4. A frozen one is read from its
 * file in this form; one that changes is rearranged whenever the plan runs.
 */
export function transposedWeight(weight: Tensor): Tensor {
  const { graph, shape } = weight;
  const { source, dtype, shape: whole } = baseOf(weight);
  const out = padChannels(shape[0]);
  const turned = [shape.at(-1)!, ...shape.slice(1, -1), out];
  // As the file has it, but for how the positions of the window are counted.
  const isWhole = whole[0] === shape[0] && whole.at(-1) === shape.at(-1);
  if (source.kind === "parameter" && !source.trainable && isWhole) {
    const stored = isQuantised(dtype) || dtype === "u32"
      ? graph.storage
      : dtype;
    return graph.parameter(transposed(source.ref), { dtype: stored })
      .reshape(...turned);
  }
  const channels = shape.at(-1)!;
  const taps = shape.slice(1, -1);
  const strides = taps.map((_, i) =>
    -channels * taps.slice(i + 1).reduce((product, n) => product * n, 1)
  );
  const count = taps.reduce((product, n) => product * n, 1);
  const rows = graph.apply(view, { x: weight }, {
    shape: [channels, ...taps, shape[0]],
    strides: [1, ...strides, count * channels],
    offset: (count - 1) * channels,
  });
  return padLast(rows, out);
}
