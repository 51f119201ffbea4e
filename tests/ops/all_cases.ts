/**
 * Every case of every op.
 *
 * @module
 */
import { gradientImageCases } from "./gradient_image_cases.ts";
import { gradientMatrixCases } from "./gradient_matrix_cases.ts";
import { gradientNormCases } from "./gradient_norm_cases.ts";
import { gradientOtherCases } from "./gradient_other_cases.ts";
import { imageCases } from "./image_cases.ts";
import { matrixCases } from "./matrix_cases.ts";
import type { OpCase } from "./op_case.ts";
import { otherCases } from "./other_cases.ts";
import { samplerCases } from "./sampler_cases.ts";
import { tokenCases } from "./token_cases.ts";

/** Every case of every op. */
export const opCases: readonly OpCase[] = [
  ...matrixCases,
  ...imageCases,
  ...otherCases,
  ...samplerCases,
  ...tokenCases,
  ...gradientNormCases,
  ...gradientImageCases,
  ...gradientMatrixCases,
  ...gradientOtherCases,
];
