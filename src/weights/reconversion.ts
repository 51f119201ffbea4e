/**
 * Stores a converted component's tensors as another type: a model is made
 * smaller without the checkpoint it came from.
 *
 * @module
 */
import type { Conversion } from "./conversion.ts";
import type { WeaveDtype } from "./dtype.ts";
import { encodeFloats, StorageLoss } from "./encode.ts";
import {
  isNetwork,
  type ModelDtype,
  storedDtype,
} from "./quantisation_policy.ts";
import type { WeaveFile, WeaveTensor } from "./weave.ts";
import { weaveFloats } from "./weave_floats.ts";

/**
 * Plans how a component is stored anew. Integers, and all of a component that
 * is no network, are copied.
 *
 * @param file the component
 * @param dtype what its floating-point tensors are to be stored as
 * @param exact names of tensors that stay f32
 */
export function planReconversion(
  file: WeaveFile,
  dtype: ModelDtype,
  exact: ReadonlySet<string> = new Set(),
): Conversion {
  const loss = new StorageLoss();
  const tensors = [...file.tensors.values()].map((tensor) => {
    const { name, shape } = tensor;
    const stored = isNetwork(file.component) && isFloat(tensor)
      ? storedDtype(
        file.component,
        { name, shape, exact: exact.has(name) },
        dtype,
      )
      : tensor.dtype;
    return { name, shape, dtype: stored, data: () => data(tensor, stored) };
  });
  const data = (tensor: WeaveTensor, stored: WeaveDtype) =>
    stored === tensor.dtype
      ? tensor.chunks()
      : encodeFloats(tensor.name, stored, weaveFloats(tensor), loss);
  return { tensors, dropped: new Map(), warnings: [], loss };
}

function isFloat({ dtype }: WeaveTensor): boolean {
  return dtype !== "i32" && dtype !== "u8";
}
