/**
 * A process that makes an image with the mini model, and writes its pixels to
 * standard output. Loaded after `install.ts`, it computes them on Dawn.
 *
 * @module
 */
import { readImage } from "../../src/host/files.ts";
import type { StorageType } from "../../src/gpu/limits.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { repositoryPath } from "../support/paths.ts";

const mini = repositoryPath("weights/mini");

/** Makes the image: RGBA, 128×128. */
export async function makePixels(
  dtype: StorageType,
): Promise<Uint8ClampedArray> {
  await using weaver = await MasterWeaver.load(mini, { dtype, tune: "off" });
  const photo = await readImage(`${mini}/demo.png`);
  const identity = await weaver.encodeIdentity([photo], { align: false });
  const { images } = await weaver.generate({
    identity,
    prompt: "a photo of a smiling woman with red hair",
    seed: 4,
    steps: 3,
    width: 128,
    height: 128,
  });
  return images[0].data;
}

if (import.meta.main) {
  const pixels = await makePixels(Deno.args[0] as StorageType);
  await Deno.stdout.write(new Uint8Array(pixels));
  Deno.exit(0);
}
