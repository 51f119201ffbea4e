/**
 * Stores a converted component's tensors as another type, so that a model can be
 * made smaller without its checkpoint.
 *
 * @module
 */
import { type Conversion, storedShape } from "./conversion.ts";
import { brief } from "../weights/brief.ts";
import { badCheckpoint } from "./checkpoint.ts";
import { formatShape, type WeaveDtype } from "../weights/dtype.ts";
import { encodeFloats, notFinite, StorageLoss } from "./encode.ts";
import {
  isNetwork,
  type ModelDtype,
  storedDtype,
} from "../weights/quantisation_policy.ts";
import { listed } from "../weights/scope.ts";
import type { Table } from "./tables/table.ts";
import type { WeaveFile, WeaveTensor } from "../weights/weave.ts";
import { weaveFloats } from "../weights/floats.ts";

/**
 * Compares a component's tensors with its network's table.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` with all that are missing, misshapen, of another kind or unused
 */
export function checkTensors(file: WeaveFile, table: Table): void {
  const missing: string[] = [];
  const misshapen: string[] = [];
  const unused = new Set(file.tensors.keys());
  for (const { name, shape } of table.rows) {
    const tensor = file.tensors.get(name);
    const expected = storedShape(shape);
    unused.delete(name);
    if (!tensor) missing.push(name);
    else if (!isFloat(tensor)) {
      misshapen.push(`${name} is ${tensor.dtype}, expected floats`);
    } else if (`${tensor.shape}` !== `${expected}`) {
      misshapen.push(
        `${name} is ${formatShape(tensor.shape)}, expected ${
          formatShape(expected)
        }`,
      );
    }
  }
  const faults = [
    listed("missing", missing),
    listed("misshapen", misshapen),
    listed("unused", [...unused].map(brief)),
  ].filter((fault) => fault !== "");
  if (faults.length === 0) return;
  throw badCheckpoint(
    file.name,
    `its tensors are not those of the ${table.component} its config ` +
      `describes: ${faults.join("; ")}; convert it from its checkpoint again`,
  );
}

/**
 * Plans how a component is stored as another type. Integers, and everything in a
 * component that is not a network, are copied.
 *
 * @param file the component
 * @param dtype the type its floating-point tensors are to be stored as
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
      ? isFloat(tensor) ? finiteChunks(file.name, tensor) : tensor.chunks()
      : encodeFloats(
        { file: file.name, name: tensor.name },
        stored,
        weaveFloats(tensor),
        loss,
      );
  return { tensors, dropped: new Map(), warnings: [], loss };
}

/** A tensor's bytes, unchanged; its values must be finite. */
async function* finiteChunks(
  file: string,
  tensor: WeaveTensor,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { dtype, shape } = tensor;
  // In quantised tensors only the scales, which come last, can be infinite.
  const values = shape.reduce((a, b) => a * b, 1);
  const quants = dtype === "q8" ? values : dtype === "q4" ? values / 2 : 0;
  let at = 0;
  for await (const chunk of tensor.chunks()) {
    const start = Math.min(chunk.length, Math.max(0, quants - at));
    const { buffer, byteOffset, byteLength } = chunk.subarray(start);
    const isFinite = dtype === "f32"
      ? new Uint32Array(buffer, byteOffset, byteLength / 4)
        .every((bits) => (bits & 0x7f800000) !== 0x7f800000)
      : new Uint16Array(buffer, byteOffset, byteLength / 2)
        .every((bits) => (bits & 0x7c00) !== 0x7c00);
    if (!isFinite) throw notFinite(file, tensor.name);
    yield chunk;
    at += chunk.length;
  }
}

function isFloat({ dtype }: WeaveTensor): boolean {
  return dtype !== "i32" && dtype !== "u8";
}
