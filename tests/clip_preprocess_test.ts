import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  clipPreprocess,
  readClipPreprocessConfig,
} from "../src/image/clip_preprocess.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import type { Image } from "../src/image/image.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  toChannels4,
} from "../src/image/normalize.ts";
import { resizeImage } from "../src/image/resize.ts";
import { assertInput, channelsFirst } from "./support/network_inputs.ts";
import { floats, readSafetensors } from "./support/safetensors.ts";

const folder = new URL("goldens/", import.meta.url);

async function image(name: string): Promise<Image> {
  return decodeImage(
    await Deno.readFile(new URL(`${name}.png`, folder)),
    name,
  );
}

/** As CLIP's checkpoints have it, of before transformers 4.20. */
const older = {
  crop_size: 112,
  do_center_crop: true,
  do_normalize: true,
  do_resize: true,
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
  resample: 3,
  size: 112,
};

/** The first three of every four values; the fourth must be 0. */
function withoutFourth(pixels: Float32Array): Float32Array {
  const out = new Float32Array((pixels.length / 4) * 3);
  pixels.forEach((x, i) => {
    if (i % 4 === 3) assertEquals(x, 0);
    else out[Math.floor(i / 4) * 3 + (i % 4)] = x;
  });
  return out;
}

Deno.test("clip preprocess: equals the recipe's and transformers' pixels", async () => {
  const goldens = await readSafetensors(
    new URL("clip_preprocess.safetensors.gz", folder),
  );
  assertEquals(goldens.size, 8);
  for (const name of goldens.keys()) {
    const [source, ...rest] = name.split("/");
    const [size, crop] = rest.splice(-2).map(Number);
    const path = source === "recipe" ? `pictures/${rest[0]}` : rest.join("/");
    const config = { ...older, size, crop_size: crop };
    const ours = withoutFourth(
      await clipPreprocess(
        await image(path),
        readClipPreprocessConfig(config, "test"),
      ),
    );
    const theirs = floats(goldens, name);
    const most = ours.reduce(
      (most, x, i) => Math.max(most, Math.abs(x - theirs[i])),
      0,
    );
    assertEquals(ours.length, theirs.length);
    // The goldens' own arithmetic is float32 as ours; transformers multiplies by
    // 1/255 instead of dividing: a last bit of numbers up to 2.
    assert(most <= (source === "recipe" ? 0 : 5e-7), `${name}: ${most}`);
  }
});

Deno.test("clip preprocess: the face parser's input is PyTorch's to the last bit", async () => {
  const portrait = await image("portraits/portrait-1");
  const ours = toChannels4(
    await resizeImage(portrait, 256, 256, "bilinear"),
    IMAGENET_MEAN,
    IMAGENET_STD,
  );
  await assertInput("face_parser.input", channelsFirst(ours, 256).data);
});

Deno.test("clip preprocess: the thinnest images accepted have a crop", async () => {
  const config = readClipPreprocessConfig(older, "test");
  for (const [width, height] of [[16, 16384], [16384, 16], [16, 16]]) {
    const data = new Uint8ClampedArray(width * height * 4).fill(255);
    const pixels = await clipPreprocess({ width, height, data }, config);
    assertEquals(pixels.length, 112 * 112 * 4);
    const white = (1 - older.image_mean[0]) / older.image_std[0];
    assert(Math.abs(pixels[0] - white) < 1e-6);
  }
});

Deno.test("clip preprocess: both spellings of a config mean the same", () => {
  const newer = {
    ...older,
    size: { shortest_edge: 112 },
    crop_size: { height: 112, width: 112 },
    rescale_factor: 1 / 255,
    do_rescale: true,
  };
  assertEquals(
    readClipPreprocessConfig(newer, "a"),
    readClipPreprocessConfig(older, "b"),
  );
});

Deno.test("clip preprocess: a config that asks for something else is refused", () => {
  const bad: [key: string, value: unknown][] = [
    ["size", 0],
    ["size", 1e9],
    ["size", { height: 112, width: 112 }],
    ["size", "112"],
    ["crop_size", 113],
    ["crop_size", { height: 112, width: 100 }],
    ["crop_size", -1],
    ["do_resize", false],
    ["do_normalize", 0],
    ["resample", 2],
    ["rescale_factor", 1],
    ["image_mean", [0.5, 0.5]],
    ["image_mean", undefined],
    ["image_std", [1, 0, 1]],
    ["image_std", [1, "x", 1]],
  ];
  for (const [key, value] of bad) {
    const error = assertThrows(
      () => readClipPreprocessConfig({ ...older, [key]: value }, "x.weave"),
      MasterWeaverError,
      key,
    );
    assertEquals(error.code, "bad-model");
  }
  for (const value of [null, 1, [], "x"]) {
    assertThrows(
      () => readClipPreprocessConfig(value, "x"),
      MasterWeaverError,
      "an object",
    );
  }
});
