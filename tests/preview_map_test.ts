/**
 * The map of previews: the one that is fitted is the best one, it is applied as
 * the format says, and damaged files of it are refused by name.
 */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { averages, PreviewFit } from "../src/generate/preview_fit.ts";
import {
  applyPreview,
  type PreviewMap,
  previewText,
  readPreviewMap,
} from "../src/generate/preview_map.ts";
import { PreviewSource } from "../src/generate/previews.ts";
import type { Image } from "../src/image/image.ts";
import { leastSquares } from "./support/least_squares.ts";
import { randomIntegers } from "./support/odd_images.ts";

const VAE = "ab".repeat(32);
const CHANNELS = 4;
const size = { height: 7, width: 9 };

/** Latents and an image of 8 times their size, all at random. */
function sample(seed: number): { latents: Float32Array; image: Image } {
  const random = randomIntegers(seed);
  const { height, width } = size;
  return {
    latents: Float32Array.from(
      { length: height * width * CHANNELS },
      () => random(4001) / 1000 - 2,
    ),
    image: {
      width: width * 8,
      height: height * 8,
      data: Uint8ClampedArray.from(
        { length: width * height * 64 * 4 },
        () => random(256),
      ),
    },
  };
}

/** The 3 × 3 window around each position, edges repeated, and a 1 for the bias. */
function windows(latents: Float32Array): number[][] {
  const { height, width } = size;
  const within = (at: number, length: number) =>
    Math.max(0, Math.min(length - 1, at));
  const rows: number[][] = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const row: number[] = [];
      for (const dy of [-1, 0, 1]) {
        for (const dx of [-1, 0, 1]) {
          for (let c = 0; c < CHANNELS; c++) {
            const at = within(y + dy, height) * width + within(x + dx, width);
            row.push(latents[at * CHANNELS + c]);
          }
        }
      }
      rows.push([...row, 1]);
    }
  }
  return rows;
}

/** The 2 × 2 average colours of each position, in the order of a map's outputs. */
function colours({ data, width }: Image): number[][] {
  const rows: number[][] = [];
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const row: number[] = [];
      for (const corner of [[0, 0], [0, 4], [4, 0], [4, 4]]) {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let i = 0; i < 16; i++) {
            const top = y * 8 + corner[0] + Math.floor(i / 4);
            const left = x * 8 + corner[1] + i % 4;
            sum += data[(top * width + left) * 4 + c];
          }
          row.push(sum / 16);
        }
      }
      rows.push(row);
    }
  }
  return rows;
}

Deno.test("preview fit: the map is the ridge regression of all samples", () => {
  const samples = [1, 2, 3].map(sample);
  const fit = new PreviewFit({ vae: VAE, channels: CHANNELS });
  for (const { latents, image } of samples) fit.add(latents, size, image);
  const map = fit.map();
  // The same by another method: QR of the samples themselves, where the ridge
  // of 1/1000 of their number is a row for each weight, though not the bias.
  const rows = samples.flatMap(({ latents }) => windows(latents));
  const targets = samples.flatMap(({ image }) => colours(image));
  const inputs = 9 * CHANNELS;
  const ridge = Math.sqrt(rows.length / 1000);
  for (let i = 0; i < inputs; i++) {
    rows.push(
      Array.from({ length: inputs + 1 }, (_, j) => i === j ? ridge : 0),
    );
    targets.push(Array(12).fill(0));
  }
  const expected = leastSquares(rows, targets).flat();
  assertEquals(map.weights.length, inputs * 12);
  for (const [i, value] of [...map.weights, ...map.bias].entries()) {
    assertAlmostEquals(value, expected[i], 1e-7);
  }
  assertEquals(fit.images, 3);
});

Deno.test("preview fit: few and equal samples give a usable map", () => {
  const fit = new PreviewFit({ vae: VAE, channels: CHANNELS });
  const latents = new Float32Array(size.height * size.width * CHANNELS);
  const image = sample(1).image;
  image.data.fill(90);
  fit.add(latents, size, image);
  const shown = applyPreview(fit.map(), latents, size);
  assert(shown.data.every((value, i) => value === (i % 4 === 3 ? 255 : 90)));
});

Deno.test("preview fit: pixels are averaged by place", () => {
  const { image } = sample(4);
  const own = new Float64Array(12);
  const expected = colours(image);
  for (const [y, x] of [[0, 0], [3, 5], [6, 8]]) {
    averages(image, size, 2, [y, x], own);
    assertEquals([...own], expected[y * size.width + x]);
  }
});

Deno.test("previews: a map is learnt from images, until there are enough", () => {
  const source = new PreviewSource({ vae: VAE, channels: CHANNELS });
  assertEquals([source.map, source.learns], [null, true]);
  const { latents, image } = sample(5);
  source.learn([latents, latents], size, [image, image]);
  assert(source.map !== null && source.learns);
  for (let i = 0; i < 14; i++) source.learn([latents], size, [image]);
  assertEquals(source.learns, false);
  const last = source.map;
  source.learn([latents], size, [sample(6).image]);
  assertEquals(source.map, last);
});

/** A map of two channels, one position and one pixel. */
function smallMap(given: Partial<PreviewMap> = {}): PreviewMap {
  return {
    vae: VAE,
    channels: 2,
    window: 1,
    scale: 1,
    bias: Float64Array.of(100, 50, 0),
    weights: Float64Array.of(10, 0, -1, 0, 20, 300),
    ...given,
  };
}

Deno.test("preview map: colours are bias and weighted latents, clamped", () => {
  const latents = Float32Array.of(1, 2, -20, 0);
  assertEquals(
    applyPreview(smallMap(), latents, { height: 1, width: 2 }),
    {
      width: 2,
      height: 1,
      data: Uint8ClampedArray.of(110, 90, 255, 255, 0, 50, 20, 255),
    },
  );
});

Deno.test("preview map: a window repeats edges, a scale lays pixels out in rows", () => {
  // One channel; each of 4 pixels shows one neighbour in red: above, left, right, below.
  const weights = new Float64Array(9 * 12);
  for (const [pixel, neighbour] of [1, 3, 5, 7].entries()) {
    weights[neighbour * 12 + pixel * 3] = 1;
  }
  const map = { vae: VAE, channels: 1, window: 3, scale: 2, weights };
  const latents = Float32Array.of(1, 2, 3, 4);
  const { width, height, data } = applyPreview(
    { ...map, bias: new Float64Array(12) },
    latents,
    { height: 2, width: 2 },
  );
  assertEquals([width, height], [4, 4]);
  assertEquals([...data].filter((_, i) => i % 4 === 0), [
    ...[1, 1, 2, 1],
    ...[2, 3, 2, 4],
    ...[1, 3, 2, 3],
    ...[4, 3, 4, 4],
  ]);
});

/** Reads a map's text. */
function read(text: string | Uint8Array): Promise<PreviewMap> {
  const bytes = typeof text === "string"
    ? new TextEncoder().encode(text)
    : text;
  return readPreviewMap(new MemorySource(bytes, "model/preview.json"), {
    vae: VAE,
    channels: 2,
  });
}

Deno.test("preview.json: is read as it was written", async () => {
  const map = smallMap({
    weights: Float64Array.of(1 / 3, 0, -1e-7, 12345.678, 20, 300),
  });
  const text = previewText(map);
  const found = await read(text);
  assertEquals(previewText(found), text);
  assertEquals(found, {
    ...map,
    weights: Float64Array.of(0.33333, 0, -1e-7, 12346, 20, 300),
  });
  // Keys of later versions are none of ours.
  assertEquals(await read(text.replace("{", '{"note":[1],')), found);
});

Deno.test("preview.json: what is not one is refused by name", async () => {
  const good = JSON.parse(previewText(smallMap()));
  const rows = good.weights;
  const changed = (given: object) => JSON.stringify({ ...good, ...given });
  const cases: readonly (readonly [text: string | Uint8Array, why: string])[] =
    [
      ["", "it is not JSON"],
      ["{", "it is not JSON"],
      [Uint8Array.of(0x22, 0xff, 0x22), "it is not JSON"],
      ["[".repeat(100_000), "it is not JSON"],
      ['{"format":1,"format":2}', "it is not sound JSON"],
      ["null", "it is not a JSON object"],
      ["[]", "it is not a JSON object"],
      ["{}", "its format is undefined, expected masterweaver-preview"],
      [changed({ format: "other" }), "its format is other"],
      [changed({ version: 2 }), "its version is 2, expected 1"],
      [changed({ vae: "cd".repeat(32) }), "fitted to another autoencoder"],
      [changed({ vae: 7 }), "fitted to another autoencoder (7)"],
      [changed({ channels: 4 }), "its channels are 4, expected 2"],
      [changed({ channels: "2" }), "its channels are 2, expected 2"],
      [changed({ window: 2 }), "its window is 2, expected 1 or 3"],
      [changed({ window: 1e9 }), "its window is 1000000000"],
      [changed({ scale: 4 }), "its scale is 4, expected 1 or 2"],
      [changed({ window: 3 }), "not 18 rows of 3 finite numbers"],
      [changed({ scale: 2 }), "not 2 rows of 12 finite numbers"],
      [changed({ bias: undefined }), "and as many in its bias"],
      [changed({ bias: [1, 2] }), "and as many in its bias"],
      [changed({ bias: [1, 2, null] }), "and as many in its bias"],
      [changed({ bias: { length: 3 } }), "and as many in its bias"],
      [changed({ weights: [] }), "not 2 rows of 3 finite numbers"],
      [changed({ weights: [rows[0]] }), "not 2 rows of 3 finite numbers"],
      [changed({ weights: [rows[0], [1, 2, "3"]] }), "not 2 rows of 3"],
      [changed({ weights: [rows[0], [1, 2, 2e6]] }), "not 2 rows of 3"],
      [changed({}).replace("300", "1e999"), "not 2 rows of 3"],
      [new Uint8Array(2 ** 20 + 1), "it has 1048577 bytes, at most 1048576"],
    ];
  for (const [text, why] of cases) {
    const error = await assertRejects(() => read(text), MasterWeaverError);
    assertEquals(error.code, "bad-model");
    assertStringIncludes(error.message, "Cannot use model/preview.json: it");
    assertStringIncludes(error.message, why);
    assert(error.message.endsWith("; fit it again, or delete it"));
    assert(error.message.length < 250, error.message);
  }
});
