/**
 * Vectors of faces by the model's image tower, to tell who is who.
 *
 * @module
 */
import type { Components } from "../../../src/components/networks.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { Pace } from "../../../src/gpu/pace.ts";
import { Graph } from "../../../src/graph/graph.ts";
import { Network } from "../../../src/graph/network.ts";
import { Tuner } from "../../../src/graph/tuner.ts";
import { clipPreprocess } from "../../../src/image/clip_preprocess.ts";
import type { Image } from "../../../src/image/image.ts";
import { clipVision } from "../../../src/models/clip.ts";

/** Gives a face's vector, of length 1. */
export type EmbedFace = (face: Image) => Promise<Float32Array>;

/**
 * Loads the image tower for as long as some work takes.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `out-of-memory`
 */
export async function withImageTower<T>(
  gpu: Gpu,
  { vision }: Pick<Components, "vision">,
  work: (embed: EmbedFace) => Promise<T>,
): Promise<T> {
  using network = new Network(gpu, false, new Tuner(gpu));
  const { preprocess, hiddenSize } = vision.config;
  const recipe = { key: "embed", graph: () => towerGraph({ vision }) };
  return await network.use(
    { plans: { recipe } },
    ({ recipe: plan }) =>
      work(async (face) => {
        plan.write("pixels", await clipPreprocess(face, preprocess));
        await plan.runPaced(new Pace(gpu));
        const { features } = await plan.read("features");
        return meanDirection(features, hiddenSize);
      }),
  );
}

/** `pixels` (1, S, S, 4), normalised → `features` (1, patches + 1, F), the penultimate layer's. */
function towerGraph({ vision }: Pick<Components, "vision">): Graph {
  const g = new Graph("f32");
  const { imageSize } = vision.config;
  const pixels = g.input("pixels", [1, imageSize, imageSize, 4], "f32");
  const weights = vision.weights.at("vision_model");
  g.output("features", clipVision(pixels, weights, vision.config));
  return g;
}

/** The mean of all patches, scaled to length 1. */
function meanDirection(
  features: ArrayLike<number>,
  channels: number,
): Float32Array {
  const mean = new Float32Array(channels);
  for (let i = 0; i < features.length; i++) mean[i % channels] += features[i];
  const length = Math.hypot(...mean);
  return mean.map((value) => value / length);
}
