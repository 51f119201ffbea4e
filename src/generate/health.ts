/**
 * Whether all that an image is made of stayed finite: marked on the GPU stage by
 * stage, read back with the image.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import type { Graph, Tensor } from "../graph/graph.ts";
import { nonFinite } from "../ops/non_finite.ts";
import type { TensorSpec } from "../ops/op.ts";

/** What is marked, in the order in which it is made. */
export const STAGES = [
  "text",
  "identity",
  "text keys",
  "identity keys",
  "latents",
  "decoded",
] as const;

/** A stage that may go wrong. */
export type HealthStage = typeof STAGES[number];

/** One number a stage: 0 as long as it is finite. */
export const healthSpec: TensorSpec = { shape: [STAGES.length], dtype: "u32" };

/** What messages call the stages before the latents, and where their weights are. */
const names: Readonly<
  Record<Exclude<HealthStage, "latents" | "decoded">, string>
> = {
  "text": "The text encoder",
  "identity": "The identity",
  "text keys": "The UNet's keys and values of the text",
  "identity keys": "The identity adapter's keys and values",
};

/** Marks tensors of a graph that are not finite, in its input `health`. */
export class Health {
  readonly #graph: Graph;
  #health: Tensor;

  /** Adds the input, u32: one number a stage, 0 as long as it is finite. */
  constructor(graph: Graph) {
    this.#graph = graph;
    this.#health = graph.input("health", healthSpec.shape, healthSpec.dtype);
  }

  /**
   * Marks a stage where a tensor is not finite.
   *
   * @param number u32 (1), what it is marked with: the first that went wrong stays
   */
  mark(stage: HealthStage, x: Tensor, number?: Tensor): void {
    this.#health = this.#graph.apply(nonFinite, {
      x,
      number,
      health: this.#health,
    }, { slot: STAGES.indexOf(stage) });
  }
}

/** A mark that nothing went wrong, for all stages. */
export function healthy(): Uint32Array {
  return new Uint32Array(STAGES.length);
}

/** Whether a stage went wrong. */
export function isMarked(
  health: ArrayLike<number>,
  stage: HealthStage,
): boolean {
  return health[STAGES.indexOf(stage)] !== 0;
}

/**
 * Requires that everything up to the latents stayed finite.
 *
 * @param health as it was read back
 * @param storage what activations were stored as
 * @param steps denoising steps
 * @throws {MasterWeaverError} `non-finite` naming the first stage that did not
 */
export function requireFinite(
  health: ArrayLike<number>,
  storage: StorageType,
  steps: number,
): void {
  const stage = STAGES.find((each) => isMarked(health, each));
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

/** The error of a decoder whose images are not finite. */
export function decoderNotFinite(): MasterWeaverError {
  return notFinite("The VAE went wrong: its decoded image's numbers", "f32");
}

function notFinite(
  what: string,
  storage: StorageType,
  more?: string,
): MasterWeaverError {
  const ways = [
    ...storage === "f16" ? ['dtype: "f32"'] : [],
    ...more ? [more] : [],
  ];
  const first = ways.length > 0
    ? `try ${ways.join(", or ")}; if it stays, `
    : "";
  return new MasterWeaverError(
    "non-finite",
    `${what} are infinite or not a number (${storage}); ${first}` +
      "the weights are damaged: check the checkpoint and convert it again",
  );
}
