/**
 * Stable Diffusion 1.5 with its encoders at full size: all names, shapes and
 * configs, but no values. Its graphs can be built and planned, but not run.
 *
 * @module
 */
import type { Components } from "../../src/components/networks.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import {
  FULL_SIZE_FILES,
  syntheticComponents,
} from "../../tools/random_checkpoint/synthetic.ts";

/** Every component, as it is stored with a `--dtype` of `tools/convert.ts`. */
export function fullSizeComponents(dtype: ModelDtype): Components {
  return syntheticComponents(FULL_SIZE_FILES, dtype);
}
