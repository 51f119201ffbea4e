/**
 * What PyTorch was given when it made the goldens of the networks, where a
 * checkout need not keep it: noise, and images made from a portrait.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readImage } from "../../src/host/files.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  toChannels4,
} from "../../src/image/normalize.ts";
import { resizeImage } from "../../src/image/resize.ts";
import type { Noise } from "./drawn_noise.ts";
import { repositoryPath } from "./paths.ts";
import type { GoldenTensor } from "./safetensors.ts";

/** The noise in `networks.safetensors`. */
export const NETWORK_NOISE: readonly Noise[] = [{
  seed: 7,
  draws: [
    ["vision.pixel_values", [2, 3, 112, 112]],
    ["unet.sample", [2, 4, 32, 32]],
    ["unet.text", [2, 77, 128]],
    ["unet.id", [2, 48, 128]],
    ["unet_wide.sample", [2, 4, 16, 32]],
    ["unet_wide.text", [2, 77, 128]],
    ["unet_wide.id", [2, 48, 128]],
    ["vae.latents", [1, 4, 32, 32]],
    ["vae.latents_wide", [1, 4, 9, 14]],
  ],
}];

/** The noise in `odd_sizes.safetensors`: each network begins anew. */
export const ODD_NOISE: readonly Noise[] = [{
  seed: 0,
  draws: [
    ["unet.sample", [1, 4, 9, 14]],
    ["unet.text", [1, 77, 128]],
    ["unet.id", [1, 48, 128]],
  ],
}, {
  seed: 0,
  draws: [["vae.latents", [1, 4, 9, 14]]],
}];

/** SHA-256 of the f32 values, (1, 3, H, W), that PyTorch was given. */
const IMAGE_HASHES: Readonly<Record<string, string>> = {
  "face_parser.input":
    "865f506e5c1f1a5355356457eb651dc52ba860fc2e667773efa51bef12981120",
  "vae.image":
    "f3d72cf026e884457cefbf9dd62d8bfd38c12dd21bb2e46def4d2710f2636582",
};

/** Images, (1, 3, H, W), by name; each is PyTorch's to the last bit. */
export async function imageInputs(): Promise<Map<string, GoldenTensor>> {
  const portrait = await readImage(
    repositoryPath("tests/goldens/portraits/portrait-1.png"),
  );
  const resized = await resizeImage(portrait, 256, 256, "bilinear");
  const pixels = toChannels4(resized, IMAGENET_MEAN, IMAGENET_STD);
  const inputs = new Map([
    ["face_parser.input", channelsFirst(pixels, 256)],
    [
      "vae.image",
      // As NumPy has it, each step rounded to f32.
      channelsFirst(
        Float32Array.from(portrait.data, (x) => Math.fround(x / 127.5) - 1),
        128,
      ),
    ],
  ]);
  for (const [name, { data }] of inputs) {
    await assertInput(name, data as Float32Array<ArrayBuffer>);
  }
  return inputs;
}

/** Fails where values are not those that PyTorch was given under that name. */
export async function assertInput(
  name: string,
  values: Float32Array<ArrayBuffer>,
): Promise<void> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", values));
  assertEquals(hash.toHex(), IMAGE_HASHES[name], name);
}

/** (H, W, 4) to (1, 3, H, W): the fourth channel is left out. */
export function channelsFirst(
  pixels: Float32Array,
  side: number,
): GoldenTensor & { data: Float32Array<ArrayBuffer> } {
  const count = side * side;
  const data = Float32Array.from(
    { length: 3 * count },
    (_, i) => pixels[4 * (i % count) + Math.floor(i / count)],
  );
  return { shape: [1, 3, side, side], data };
}
