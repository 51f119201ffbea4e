/**
 * Classes of the pixels of aligned faces, by the model's face parser.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import type { Components } from "../../../src/components/networks.ts";
import type { Gpu } from "../../../src/gpu/gpu.ts";
import { Pace } from "../../../src/gpu/pace.ts";
import { Network } from "../../../src/graph/network.ts";
import type { Plan } from "../../../src/graph/plan.ts";
import { Tuner } from "../../../src/graph/tuner.ts";
import { parserGraph } from "../../../src/identity/identity.ts";
import type { Image } from "../../../src/image/image.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  toChannels4,
} from "../../../src/image/normalize.ts";
import { resizeImage } from "../../../src/image/resize.ts";

/** Gives an image's classes, (height, width); calls take turns. */
export type ParseFace = (image: Image, name: string) => Promise<Uint8Array>;

/**
 * Loads the face parser for as long as some work takes.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `out-of-memory`, `non-finite` naming the face
 */
export async function withFaceParser<T>(
  gpu: Gpu,
  { parser }: Pick<Components, "parser">,
  work: (parse: ParseFace) => Promise<T>,
): Promise<T> {
  using network = new Network(gpu, false, new Tuner(gpu));
  const recipe = { key: "parse", graph: () => parserGraph({ parser }) };
  return await network.use({ plans: { recipe } }, ({ recipe: plan }) => {
    let turn: Promise<unknown> = Promise.resolve();
    return work((image, name) => {
      const result = turn.then(() =>
        parse(gpu, plan, parser.config, image, name)
      );
      turn = result.catch(() => {});
      return result;
    });
  });
}

async function parse(
  gpu: Gpu,
  plan: Plan,
  { inputSize: side, classes: none }: Components["parser"]["config"],
  image: Image,
  name: string,
): Promise<Uint8Array> {
  const face = await resizeImage(image, side, side, "bilinear");
  plan.write("pixels", toChannels4(face, IMAGENET_MEAN, IMAGENET_STD));
  await plan.runPaced(new Pace(gpu));
  const { classes } = await plan.read("classes");
  if (classes.includes(none)) {
    throw new MasterWeaverError(
      "non-finite",
      `Cannot parse the face ${name}: the face parser gave numbers that are not finite; convert the model again from a sound checkpoint`,
    );
  }
  return enlarged(classes, side, image);
}

/** Classes at another size: those of the nearest pixels. */
function enlarged(
  classes: ArrayLike<number>,
  side: number,
  { width, height }: Image,
): Uint8Array {
  const result = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * side / height) * side;
    for (let x = 0; x < width; x++) {
      const column = Math.floor((x + 0.5) * side / width);
      result[y * width + x] = classes[row + column];
    }
  }
  return result;
}
