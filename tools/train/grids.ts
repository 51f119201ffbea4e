/**
 * The grid of images that shows how far training has come.
 *
 * @module
 */
import type { CallOptions } from "../../src/base/progress.ts";
import type { Image } from "../../src/image/image.ts";
import type { Rgb } from "../../src/image/normalize.ts";
import type {
  Input,
  SampleOptions,
  TrainingSample,
} from "../../src/train/data/training_sample.ts";
import {
  makePreviews,
  PREVIEW_PROMPTS,
  type PreviewOptions,
} from "../../src/train/previews.ts";
import { drawGrid, mapImage } from "../../src/train/report/grid.ts";
import { DataLoader } from "./data/loader.ts";

/** What a grid is drawn from. */
export interface GridOptions extends Omit<PreviewOptions, "size"> {
  /** The data set's root. */
  readonly root: string;
  /** What samples are like. */
  readonly samples: SampleOptions;
  /** Samples, which are rows. */
  readonly batch: number;
  /** Seed of the samples and of the noise. */
  readonly seed: number;
  /** Updates that were done. */
  readonly step: number;
  /** Grids that were drawn before: prompts come in turn. */
  readonly number: number;
}

/** Most rows of a grid. */
const MAX_ROWS = 8;

/**
 * Draws a row a sample: the result, its image, its references, the face box.
 *
 * @returns the grid, and the prompt as every row's caption
 */
export async function drawPreviewGrid(
  options: GridOptions,
  call: CallOptions,
): Promise<{ readonly image: Image; readonly captions: readonly string[] }> {
  const { root, samples, seed, number } = options;
  const prompt = PREVIEW_PROMPTS[number % PREVIEW_PROMPTS.length];
  await using loader = await DataLoader.open(root, {
    samples,
    seed,
    batch: Math.min(options.batch, MAX_ROWS),
    workers: 0,
  });
  // Others than the next step's, the same after a resume.
  const shown = await loader.batch(number);
  const references = shown.map((sample) => referenceImages(sample, samples));
  const { resolution } = samples;
  const results = await makePreviews(
    { ...options, size: { width: resolution, height: resolution } },
    references.map((own, i) => ({
      references: own.filter((image) => image !== undefined),
      prompt,
      seed: seed + i,
    })),
    call,
  );
  const empty = mapImage(new Uint8Array(1), 1, 1);
  const image = await drawGrid(shown.map((sample, i) => ({
    images: [
      results[i],
      signedImage(sample.image.pixels!, resolution),
      ...references[i].map((reference) => reference ?? empty),
      mapImage(sample.faceBox, resolution, resolution),
    ],
  })));
  return { image, captions: shown.map(({ id }) => `${prompt} (${id})`) };
}

/** References as the encoder sees them, undefined where there is none. */
function referenceImages(
  { references }: TrainingSample,
  { mean, std, visionSide }: SampleOptions,
): (Image | undefined)[] {
  return references.map((reference: Input | null) =>
    reference
      ? normalisedImage(reference.pixels!, visionSide, mean, std)
      : undefined
  );
}

/** Undoes CLIP's normalisation of (side, side, 4). */
function normalisedImage(
  pixels: Float32Array,
  side: number,
  mean: Rgb,
  std: Rgb,
): Image {
  return imageOf(side, (i, c) => 255 * (pixels[4 * i + c] * std[c] + mean[c]));
}

/** −1..1 as 0..255. */
function signedImage(pixels: Float32Array, side: number): Image {
  return imageOf(side, (i, c) => 127.5 * (pixels[4 * i + c] + 1));
}

function imageOf(
  side: number,
  value: (pixel: number, channel: number) => number,
): Image {
  const data = new Uint8ClampedArray(4 * side * side);
  for (let i = 0; i < side * side; i++) {
    for (let c = 0; c < 3; c++) data[4 * i + c] = value(i, c);
    data[4 * i + 3] = 255;
  }
  return { width: side, height: side, data };
}
