import type { Tensor } from "../../graph/graph.ts";
import { matmul, type MatmulAttributes } from "../../ops/matmul.ts";
import type { Backward, InputGradients } from "./rule.ts";
import { sumTo, transposeLast } from "./shapes.ts";

/** y = op(a) op(b), either transposed: each gradient is a product of dy and the other. */
export function matmulRule(
  { graph, node, gradients, needs }: Backward,
): InputGradients {
  const { transposeA = false, transposeB = false } = node
    .attributes as MatmulAttributes;
  const a = node.inputs.a!;
  const b = node.inputs.b!;
  const dy = gradients.output!;
  const product = (
    a: Tensor,
    b: Tensor,
    transposeA: boolean,
    transposeB: boolean,
  ) => graph.apply(matmul, { a, b }, { transposeA, transposeB });
  return {
    a: !needs("a") ? undefined : transposeA
      // b may be one matrix for all of a's, which matmul takes as its second operand alone.
      ? transposeLast(product(dy, b, false, !transposeB))
      : product(dy, b, false, !transposeB),
    b: !needs("b") ? undefined : sumTo(
      transposeB
        ? product(dy, a, true, transposeA)
        : product(a, dy, !transposeA, false),
      b.shape,
    ),
  };
}
