/**
 * The values that an adapter starts from when it is trained from nothing.
 *
 * Source: MasterWeaver's training script and PyTorch's defaults.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { Components } from "../components/networks.ts";
import { RandomStream } from "./data/random.ts";
import { readFloats, type Trainable } from "./step/trainable.ts";

/** What the identity's values start as: copies of the text's, or zero, silent until they help. */
export type InitialValues = "copy" | "zero";

const IDENTITY_WEIGHT = /^(.*\.attn2)\.(to_[kv])_img\.weight$/;

/**
 * A trainable adapter that starts fresh: keys and values as the UNet's own layers
 * for text, the encoder random.
 *
 * @param trained the adapter's tensors, of which names and shapes are kept
 */
export function freshAdapter(
  trained: Trainable,
  { unet }: Pick<Components, "unet">,
  seed: number,
  values: InitialValues = "copy",
): Trainable {
  const shapes = new Map(
    trained.parameters.map(({ name, shape }) => [name, shape]),
  );
  return {
    ...trained,
    async start(name) {
      const shape = shapes.get(name)!;
      const [, path, projection] = IDENTITY_WEIGHT.exec(name) ?? [];
      if (!path) return randomValues(name, shapes, seed);
      if (projection === "to_v" && values === "zero") {
        return new Float32Array(count(shape));
      }
      const weight = unet.weights.at(path).tensor(
        `${projection}.weight`,
        shape,
      );
      return await readFloats(weight);
    },
  };
}

/** The encoder's, as PyTorch initialises its layers. */
function randomValues(
  name: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
): Float32Array {
  const shape = shapes.get(name)!;
  const values = new Float32Array(count(shape));
  const stream = new RandomStream(seed, `initial ${name}`);
  if (name.endsWith(".latents")) {
    const scale = 1 / Math.sqrt(shape.at(-1)!);
    return values.map(() => scale * stream.normal());
  }
  const isWeight = name.endsWith(".weight");
  const weight = isWeight ? shape : shapes.get(name.replace(/bias$/, "weight"));
  if (!weight) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot start ${name}: it is neither latents, a weight, nor a bias beside a weight`,
    );
  }
  // A weight of one axis is a norm's: weight 1, bias 0.
  if (weight.length === 1) return values.fill(isWeight ? 1 : 0);
  const bound = 1 / Math.sqrt(weight[1]);
  return values.map(() => stream.between(-bound, bound));
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
