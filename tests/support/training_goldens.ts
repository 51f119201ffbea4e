/**
 * Recorded steps of training, put together again from what a checkout keeps.
 *
 * @module
 */
import { torchCpuNormals } from "../../src/samplers/noise.ts";
import { fold, FOLDED } from "./fold.ts";
import { repositoryPath } from "./paths.ts";
import { type GoldenTensor, readSafetensors } from "./safetensors.ts";

/** How many sums a tensor of outputs is folded into: squares add up ± 12 %. */
export const TRAINING_SUMS = 128;

/** The recordings. */
export type Recording =
  | "stage1"
  | "stage2"
  | "stage1-odd"
  | "stage2-odd"
  | "stage2-three";

/** One draw of PyTorch's CPU generator: which input it is, and its shape. */
type Draw = readonly [name: string, shape: readonly number[]];

interface Kept {
  /** Of the generator that drew the noise. */
  readonly seed: number;
  /** Its draws in order; those without a name only move it on. */
  readonly draws: readonly Draw[];
  /** The recording whose other inputs it shares. */
  readonly like?: Recording;
}

/** 40 numbers that are no noise: timesteps and shares of two samples in ten steps. */
const OTHERS: readonly Draw[] = [["", [16]], ["", [16]], ["", [4]]];

const ten = [10, 2, 4, 32, 32];
const odd = [3, 4, 18, 22];
const oddEdit = [2, 4, 9, 11];
const three = [3, 4, 24, 24];

/** How each recording's noise was drawn. */
export const recordings: Readonly<Record<Recording, Kept>> = {
  "stage1": {
    seed: 101,
    draws: [["vae_noise", ten.slice(1)], ["noise", ten]],
  },
  "stage2": {
    seed: 102,
    draws: [
      ["vae_noise", ten.slice(1)],
      ["noise", ten],
      ...OTHERS,
      ["noise_edit", ten],
    ],
    like: "stage1",
  },
  "stage1-odd": {
    seed: 1,
    draws: [["vae_noise", odd], ["noise", [3, ...odd]]],
  },
  "stage2-odd": {
    seed: 5,
    draws: [
      ["vae_noise", oddEdit],
      ["noise", [2, ...oddEdit]],
      ["noise_edit", [2, ...oddEdit]],
    ],
  },
  "stage2-three": {
    seed: 2,
    draws: [
      ["vae_noise", three],
      ["noise", [4, ...three]],
      ["noise_edit", [4, ...three]],
    ],
  },
};

/** A step's losses, weights included, and the gradients' norm before clipping. */
export interface StepLosses {
  /** Of the predicted noise. */
  readonly loss_mle: number;
  /** Of the background. */
  readonly loss_bg: number;
  /** Of the edit's direction; 0 in stage 1 and in odd steps. */
  readonly loss_edit: number;
  /** Norm of all gradients together. */
  readonly grad_norm: number;
}

/** All inputs of a recording, noise drawn again: within 2 · 10⁻⁶ of PyTorch's. */
export async function trainingInputs(
  recording: Recording,
): Promise<Map<string, GoldenTensor>> {
  const { like } = recordings[recording];
  const shared = like ? await readSafetensors(inputsPath(like)) : [];
  const own = await readSafetensors(inputsPath(recording));
  return new Map([...shared, ...own, ...drawnNoise(recording)]);
}

/** The noise of a recording. */
export function drawnNoise(recording: Recording): Map<string, GoldenTensor> {
  const { seed, draws } = recordings[recording];
  const draw = torchCpuNormals(seed);
  const noise = new Map<string, GoldenTensor>();
  for (const [name, shape] of draws) {
    const data = Float32Array.from(draw(shape.reduce((n, side) => n * side)));
    if (name) noise.set(name, { shape: [...shape], data });
  }
  return noise;
}

/** PyTorch's outputs; compare them with {@linkcode foldOutput} of ours. */
export function trainingOutputs(
  recording: Recording,
): Promise<Map<string, GoldenTensor>> {
  return readSafetensors(path(recording, "outputs.safetensors.gz"));
}

/** PyTorch's losses of each step, and the learning rate. */
export async function trainingLosses(
  recording: Recording,
): Promise<{ lr: number; losses: StepLosses[] }> {
  return JSON.parse(await Deno.readTextFile(path(recording, "losses.json")));
}

/** An output as the goldens keep it, row-major in PyTorch's layout. */
export function foldOutput(
  name: string,
  values: ArrayLike<number>,
): [name: string, values: Float32Array<ArrayBuffer>] {
  if (values.length <= TRAINING_SUMS) return [name, Float32Array.from(values)];
  return [name + FOLDED, Float32Array.from(fold(values, TRAINING_SUMS))];
}

function inputsPath(recording: Recording): string {
  return path(recording, "inputs.safetensors.gz");
}

function path(recording: Recording, file: string): string {
  return repositoryPath(`tests/goldens/train/${recording}.${file}`);
}
