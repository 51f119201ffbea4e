/**
 * Other conversions of a model against it: its networks one by one, each on
 * the same inputs, and finished images.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import type { Image } from "../../src/image/image.ts";
import type { Components } from "../../src/components/networks.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { formatShape } from "../../src/weights/dtype.ts";
import { largestDifference, nmse, psnr } from "./measures.ts";
import type { RecordedPass, Scene } from "./recorded.ts";
import type { OutputError } from "./reference.ts";
import { runPass, type Where } from "./run.ts";

/**
 * Runs recorded passes with another model's weights.
 *
 * @param name what messages call the other model
 * @param onError called with each output
 * @throws {MasterWeaverError} `bad-model` where it is no conversion of the recorded one
 */
export async function compareNetworks(
  where: Where,
  name: string,
  parts: Components,
  recorded: readonly RecordedPass[],
  onError: (error: OutputError) => void,
): Promise<OutputError[]> {
  const errors: OutputError[] = [];
  for (const { pass, inputs, outputs } of recorded) {
    const ran = await runPass(where, pass, parts, inputs);
    for (const [output, found] of ran.outputs) {
      const expected = outputs.get(output)!;
      if (String(expected.shape) !== String(found.shape)) {
        throw new MasterWeaverError(
          "bad-model",
          `Cannot compare ${name}: its ${output} is ${
            formatShape(found.shape)
          }, expected ${
            formatShape(expected.shape)
          }; give conversions of one model`,
        );
      }
      const { network } = pass;
      const { seconds, peakGpuBytes } = ran;
      const error = nmse(found.data, expected.data);
      errors.push({ network, output, nmse: error, seconds, peakGpuBytes });
      onError(errors.at(-1)!);
    }
  }
  return errors;
}

/** How images are made. */
export interface ImageRequest extends Scene {
  /** How many, of seeds one after the other. */
  readonly count: number;
  /** Denoising steps. */
  readonly steps: number;
  /** Storage of activations. */
  readonly dtype: StorageType;
}

/**
 * Makes images; the photo is used as it is, so that no landmark model is
 * needed.
 *
 * @param folder of the model
 * @param onImage called with each, from 1 on
 * @throws {MasterWeaverError} `bad-option`, `bad-model`, `out-of-memory`, `gpu`
 */
export async function generateImages(
  folder: string,
  { photo, prompt, seed, size, count, steps, dtype }: ImageRequest,
  onImage: (done: number) => void,
): Promise<Image[]> {
  await using weaver = await MasterWeaver.load(folder, { dtype });
  const identity = await weaver.encodeIdentity([photo], { align: false });
  const generated: Image[] = [];
  for (let i = 0; i < count; i++) {
    const { images } = await weaver.generate({
      identity,
      prompt,
      steps,
      seed: seed + i,
      width: size,
      height: size,
    });
    generated.push(images[0]);
    onImage(i + 1);
  }
  return generated;
}

/** How far a finished image is from the other model's. */
export interface ImageError {
  /** Its seed. */
  readonly seed: number;
  /** In dB, over red, green and blue; infinite where both are equal. */
  readonly psnr: number;
  /** Most any channel of any pixel differs by, of 255. */
  readonly largestDifference: number;
}

/** Compares images in pairs. */
export function compareImages(
  images: readonly Image[],
  expected: readonly Image[],
  seed: number,
): ImageError[] {
  return images.map(({ data }, i) => ({
    seed: seed + i,
    psnr: psnr(data, expected[i].data),
    largestDifference: largestDifference(data, expected[i].data),
  }));
}
