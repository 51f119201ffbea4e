/**
 * Cases of the gradients of group norm and layer norm, one for each output.
 *
 * @module
 */
import type { Activation } from "../../src/ops/activation.ts";
import { groupNormGradient } from "../../src/ops/gradients/group_norm_gradient.ts";
import { layerNormGradient } from "../../src/ops/gradients/layer_norm_gradient.ts";
import * as reference from "./gradient_reference.ts";
import { type InputSpec, normal, type OpCase } from "./op_case.ts";

/** A case for each gradient, and one without those of the affine parameters. */
function normCases(
  opCase: Omit<OpCase, "output" | "reference">,
  gradients: (
    inputs: Parameters<OpCase["reference"]>[0],
  ) => reference.NormGradients,
): OpCase[] {
  const { name, attributes } = opCase;
  const cases = (["x", "weight", "bias"] as const).map((output) => ({
    ...opCase,
    name: `${name}, by ${output}`,
    attributes: { ...attributes as object, affine: true },
    output,
    reference: (inputs: Parameters<OpCase["reference"]>[0]) =>
      gradients(inputs)[output],
  }));
  const [byX] = cases;
  return [...cases, {
    ...byX,
    name: `${byX.name} alone`,
    attributes: { ...attributes as object, affine: false },
  }];
}

function groupNormCases(
  name: string,
  shape: readonly number[],
  groups: number,
  { activation, mean = 0, eps = 1e-5 }: {
    activation?: Activation;
    mean?: number;
    eps?: number;
  } = {},
): OpCase[] {
  const attributes = { groups, eps, activation };
  const channels = shape.at(-1)!;
  const terms = shape.reduce((product, n) => product * n, 1) /
    Math.min(groups * shape[0], channels);
  return normCases(
    {
      name,
      op: groupNormGradient,
      attributes,
      inputs: {
        // Not random where the mean is far off: f16 keeps these exactly.
        x: mean === 0
          ? normal(shape)
          : { shape, value: (i) => mean + (i * 7 % 16) / 4 },
        weight: normal([channels]),
        bias: normal([channels]),
        gradient: normal(shape),
      },
      terms,
    },
    (inputs) => reference.groupNormGradient(inputs as never, attributes),
  );
}

function layerNormCases(name: string, x: InputSpec, eps = 1e-5): OpCase[] {
  return normCases(
    {
      name,
      op: layerNormGradient,
      attributes: { eps },
      inputs: {
        x,
        weight: normal([x.shape.at(-1)!]),
        gradient: normal(x.shape),
      },
    },
    (inputs) => reference.layerNormGradient(inputs as never, eps),
  );
}

/** Gradients of group norm and layer norm. */
export const gradientNormCases: readonly OpCase[] = [
  ...groupNormCases("odd, batch 2", [2, 5, 7, 8], 2),
  ...([
    "silu",
    "gelu",
    "quick_gelu",
    "relu",
    "sigmoid",
  ] as const).flatMap((activation) =>
    groupNormCases(
      `three channels a group, ${activation}`,
      [2, 9, 5, 48],
      16,
      { activation },
    )
  ),
  ...groupNormCases("one pixel", [1, 1, 1, 8], 2),
  ...groupNormCases("one channel a group", [1, 6, 5, 4], 4),
  ...groupNormCases("a mean far from zero", [1, 16, 16, 8], 2, { mean: 500 }),
  ...groupNormCases("tokens", [2, 19, 12], 3, { eps: 1e-6 }),
  ...groupNormCases("sums over 10⁵ terms", [1, 160, 160, 8], 2, {
    activation: "silu",
  }),

  ...layerNormCases("odd, batch 2", normal([2, 7, 12])),
  ...layerNormCases("CLIP ViT-L's width", normal([5, 1024])),
  ...layerNormCases("more rows than a partial sum has", normal([3, 49, 20])),
  ...layerNormCases("a mean far from zero", {
    shape: [3, 64],
    value: (i) => 500 + i * 7 % 16 / 4,
  }),
];
