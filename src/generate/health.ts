/**
 * Detects values that are not finite: each stage is checked on the GPU, and the result
 * is read back with the image.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import { nonFinite } from "../ops/non_finite.ts";
import type { TensorSpec } from "../ops/op.ts";

/** The stages that are checked, in the order in which they are computed. */
export const STAGES = [
  "text",
  "identity",
  "text keys",
  "identity keys",
  "latents",
  "decoded",
] as const;

/** A stage that is checked. */
export type CheckedStage = typeof STAGES[number];

/** One number per stage, 0 as long as it is finite. */
export const healthSpec: TensorSpec = { shape: [STAGES.length], dtype: "u32" };

/** Names of the stages before the latents in messages, which tell where their weights are. */
const names: Readonly<
  Record<Exclude<CheckedStage, "latents" | "decoded">, string>
> = {
  "text": "The text encoder",
  "identity": "The identity",
  "text keys": "The UNet's keys and values of the text",
  "identity keys": "The identity adapter's keys and values",
};

/** Marks stages whose tensors are not finite, in a graph's input `health`. */
export class FiniteChecks {
  readonly #graph: Graph;
  #health: Tensor;

  /** Adds the input `health`, u32: one number per stage, 0 as long as it is finite. */
  constructor(graph: Graph) {
    this.#graph = graph;
    this.#health = graph.input("health", healthSpec.shape, healthSpec.dtype);
  }

  /**
   * Marks a stage if a tensor is not finite and the stage is not yet marked.
   *
   * @param number u32 (1), the mark; 1 by default
   */
  mark(stage: CheckedStage, x: Tensor, number?: Tensor): void {
    this.#health = this.#graph.apply(nonFinite, {
      x,
      number,
      health: this.#health,
    }, { slot: STAGES.indexOf(stage) });
  }
}

/** The value of `health` before anything is computed: no stage is marked. */
export function noFaults(): Uint32Array {
  return new Uint32Array(STAGES.length);
}

/** Whether a stage was marked as not finite. */
export function isMarked(
  health: ArrayLike<number>,
  stage: CheckedStage,
): boolean {
  return health[STAGES.indexOf(stage)] !== 0;
}

/**
 * Requires that everything up to the latents stayed finite.
 *
 * @param health the marks, as read back
 * @param storage the storage type of the activations
 * @param steps number of denoising steps
 * @throws {MasterWeaverError} `non-finite` naming the first stage that is marked
 */
export function requireFinite(
  health: ArrayLike<number>,
  storage: StorageType,
  steps: number,
): void {
  const stage = STAGES.find((stage) => isMarked(health, stage));
  if (stage === undefined || stage === "decoded") return;
  if (stage === "latents") {
    const step = health[STAGES.indexOf(stage)];
    throw notFinite(
      `Denoising went wrong at step ${step} of ${steps}: its latents`,
      storage,
      "a lower guidanceScale or idScale",
    );
  }
  throw notFinite(`${names[stage]} went wrong: its numbers`, storage);
}

/** The error for a decoded image that is not finite. */
export function decoderNotFinite(): MasterWeaverError {
  return notFinite("The VAE went wrong: its decoded image's numbers", "f32");
}

function notFinite(
  what: string,
  storage: StorageType,
  remedy?: string,
): MasterWeaverError {
  const remedies = [
    ...storage === "f16" ? ['dtype: "f32"'] : [],
    ...remedy ? [remedy] : [],
  ];
  const advice = remedies.length > 0
    ? `try ${remedies.join(", or ")}; if that does not help, `
    : "";
  return new MasterWeaverError(
    "non-finite",
    `${what} are infinite or not a number (${storage}); ${advice}` +
      "the weights are damaged: check the checkpoint and convert it again",
  );
}
