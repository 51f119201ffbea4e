/**
 * A model's networks against PyTorch's outputs, on the inputs that lie beside
 * them in the file of `tools/reference/networks.py`.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import type { Components } from "../../src/components/networks.ts";
import {
  type Checkpoint,
  type CheckpointTensor,
  readFloats,
} from "../../src/checkpoints/checkpoint.ts";
import { formatShape } from "../../src/weights/dtype.ts";
import { nmse } from "./measures.ts";
import { type ComparedNetwork, type Pass, PASSES } from "./passes.ts";
import { runPass, type Where } from "./run.ts";
import { channelsLast, type Values } from "./values.ts";

/** The most a network's NMSE may be, by storage of activations. */
export const LIMITS: Readonly<Record<StorageType, number>> = {
  f32: 1e-8,
  f16: 1e-4,
};

/** How far one output of a network is from what it should be. */
export interface OutputError {
  /** The network. */
  readonly network: ComparedNetwork;
  /** The output, as in the reference file. */
  readonly output: string;
  /** Σ(a − b)² / Σb²; infinite where it holds a NaN. */
  readonly nmse: number;
  /** Wall time of the pass that gave it, loading included. */
  readonly seconds: number;
  /** Most bytes of GPU memory held at once, weights included. */
  readonly peakGpuBytes: number;
}

/** What a reference file may leave out, and what then stands for it. */
const SAME_AS: Readonly<Record<string, string>> = {
  "id_encoder.input": "vision.penultimate",
};

/**
 * The passes whose inputs and outputs are all in a file.
 *
 * @param networks only passes of these
 * @throws {MasterWeaverError} `bad-checkpoint` where there is none
 */
export function passesIn(
  reference: Checkpoint,
  networks: readonly ComparedNetwork[],
): Pass[] {
  const asked = PASSES.filter(({ network }) => networks.includes(network));
  const found = asked.filter(({ inputs, outputs }) =>
    [...inputs, ...outputs].every((name) => find(reference, name))
  );
  if (found.length > 0) return found;
  throw new MasterWeaverError(
    "bad-checkpoint",
    `Cannot use ${reference.name}: it has no inputs and outputs of ${
      networks.join(", ")
    }; write it with tools/reference/networks.py`,
  );
}

/**
 * Runs passes and compares.
 *
 * @param passes of {@linkcode passesIn}
 * @param onError called with each output
 * @throws {MasterWeaverError} `bad-model`, `bad-checkpoint` where file and model do not fit
 */
export async function compareWithReference(
  where: Where,
  parts: Components,
  reference: Checkpoint,
  passes: readonly Pass[],
  onError: (error: OutputError) => void,
): Promise<OutputError[]> {
  const errors: OutputError[] = [];
  for (const pass of passes) {
    const inputs = new Map<string, Values>();
    for (const name of pass.inputs) {
      // The GPU reads channels four at a time.
      inputs.set(name, await read(find(reference, name)!, 4));
    }
    const { outputs, seconds, peakGpuBytes } = await runPass(
      where,
      pass,
      parts,
      inputs,
    );
    for (const [output, found] of outputs) {
      const expected = await read(find(reference, output)!, 1);
      checkShapes(reference, output, expected, found);
      const { network } = pass;
      const error = nmse(found.data, expected.data);
      errors.push({ network, output, nmse: error, seconds, peakGpuBytes });
      onError(errors.at(-1)!);
    }
  }
  return errors;
}

function find(
  { tensors }: Checkpoint,
  name: string,
): CheckpointTensor | undefined {
  return tensors.get(name) ?? tensors.get(SAME_AS[name]);
}

/** Values as the GPU has them: whole numbers as u32, images channels last. */
async function read(
  tensor: CheckpointTensor,
  multiple: number,
): Promise<Values> {
  const data = tensor.dtype === "I32"
    ? new Uint32Array((await tensor.read()).buffer)
    : await readFloats(tensor);
  const values = { shape: tensor.shape, data };
  return tensor.shape.length === 4 ? channelsLast(values, multiple) : values;
}

function checkShapes(
  { name }: Checkpoint,
  output: string,
  expected: Values,
  found: Values,
): void {
  if (String(expected.shape) === String(found.shape)) return;
  throw new MasterWeaverError(
    "bad-checkpoint",
    `Cannot use ${name}: its ${output} is ${
      formatShape(expected.shape)
    }, the model gives ${formatShape(found.shape)} (channels last); ` +
      "write it for this model with tools/reference/networks.py",
  );
}
