/**
 * The linear map from latents to small images: what a preview costs instead of
 * the autoencoder. It belongs to an autoencoder and is kept beside its model.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Image } from "../image/image.ts";
import { brief } from "../weights/brief.ts";
import { jsonFault, parseJson } from "../weights/json.ts";

/** The file's name in a model folder. */
export const PREVIEW_NAME = "preview.json";
/** The value of its key `format`. */
const FORMAT = "masterweaver-preview";
/** The version written and read here. */
const VERSION = 1;
/** The most bytes read: far more than the largest map takes. */
const MAX_BYTES = 2 ** 20;
const MAX_CHANNELS = 64;
/** Colours are 0..255 and latents about 1: no sound number is near this. */
const MAX_NUMBER = 1e6;
/** Digits that are written: more than colours can show. */
const DIGITS = 5;

/** Size of a map. */
export interface PreviewShape {
  /** Of the latents. */
  readonly channels: number;
  /** Side of the window of latents that a pixel depends on: 1 or 3. */
  readonly window: number;
  /** Pixels on a side for each of the latents: 1 or 2. */
  readonly scale: number;
}

/**
 * For each position of the latents, `bias` + Σ `weights` · the latents around it,
 * rows first, channels last; edges repeat. That gives `scale` × `scale` pixels,
 * rows first, of red, green and blue in 0..255.
 */
export interface PreviewMap extends PreviewShape {
  /** Hash of the autoencoder's file. */
  readonly vae: string;
  /** (outputs) */
  readonly bias: Float64Array;
  /** (inputs, outputs) */
  readonly weights: Float64Array;
}

/** Numbers that go into a pixel. */
export function inputsOf({ channels, window }: PreviewShape): number {
  return channels * window * window;
}

/** Numbers that come out for a position of the latents. */
export function outputsOf({ scale }: PreviewShape): number {
  return 3 * scale * scale;
}

/**
 * Gathers the latents around a position.
 *
 * @param latents (h, w, C)
 * @param into receives them
 */
export function gather(
  latents: Float32Array,
  { height, width }: { readonly height: number; readonly width: number },
  { channels, window }: PreviewShape,
  [y, x]: readonly [number, number],
  into: Float64Array,
): void {
  const reach = (window - 1) / 2;
  let at = 0;
  for (let dy = -reach; dy <= reach; dy++) {
    const row = Math.min(Math.max(y + dy, 0), height - 1) * width;
    for (let dx = -reach; dx <= reach; dx++) {
      const column = Math.min(Math.max(x + dx, 0), width - 1);
      const from = (row + column) * channels;
      for (let c = 0; c < channels; c++) into[at++] = latents[from + c];
    }
  }
}

/**
 * Makes a small image of latents.
 *
 * @param latents (h, w, C), without noise
 * @returns `scale` times as large as the latents
 */
export function applyPreview(
  map: PreviewMap,
  latents: Float32Array,
  size: { readonly height: number; readonly width: number },
): Image {
  const { scale, bias, weights } = map;
  const outputs = outputsOf(map);
  const around = new Float64Array(inputsOf(map));
  const colours = new Float64Array(outputs);
  const width = size.width * scale;
  const height = size.height * scale;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      gather(latents, size, map, [y, x], around);
      colours.set(bias);
      for (const [i, value] of around.entries()) {
        for (let o = 0; o < outputs; o++) {
          colours[o] += value * weights[i * outputs + o];
        }
      }
      for (let o = 0; o < outputs; o++) {
        const pixel = Math.floor(o / 3);
        const row = y * scale + Math.floor(pixel / scale);
        const column = x * scale + pixel % scale;
        data[(row * width + column) * 4 + o % 3] = colours[o];
      }
    }
  }
  return { width, height, data };
}

/** A map's file; the same map always gives the same bytes. */
export function previewText(map: PreviewMap): string {
  const { vae, channels, window, scale, bias, weights } = map;
  const outputs = outputsOf(map);
  const short = (values: Float64Array) =>
    Array.from(values, (value) => Number(value.toPrecision(DIGITS)));
  const rows = Array.from(
    { length: inputsOf(map) },
    (_, i) => short(weights.subarray(i * outputs, (i + 1) * outputs)),
  );
  const head = { format: FORMAT, version: VERSION, vae, channels };
  const text = { ...head, window, scale, bias: short(bias) };
  // One row a line: readable, and no longer than it must be.
  return `${JSON.stringify(text).slice(0, -1)},"weights":[\n${
    rows.map((row) => JSON.stringify(row)).join(",\n")
  }\n]}\n`;
}

/**
 * Reads a map.
 *
 * @param expected the model's autoencoder: its hash, and its latents' channels
 * @throws {MasterWeaverError} `bad-model` where it is damaged, hostile, of another version or another autoencoder; `cannot-read`
 */
export async function readPreviewMap(
  source: ByteSource,
  expected: Pick<PreviewMap, "vae" | "channels">,
): Promise<PreviewMap> {
  const bad = (what: string, cause?: unknown) =>
    new MasterWeaverError(
      "bad-model",
      `Cannot use ${source.name}: ${what}; fit it again, or delete it`,
      { cause },
    );
  if (source.size > MAX_BYTES) {
    throw bad(`it has ${source.size} bytes, at most ${MAX_BYTES} are allowed`);
  }
  const bytes = await source.read(0, source.size);
  let json: unknown;
  try {
    json = parseJson(bytes);
  } catch (cause) {
    throw bad(`it is ${jsonFault(cause)}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw bad("it is not a JSON object");
  }
  const given: { readonly [key: string]: unknown } = { ...json };
  const { format, version, vae, channels, window, scale } = given;
  if (format !== FORMAT) {
    throw bad(`its format is ${brief(format)}, expected ${FORMAT}`);
  }
  if (version !== VERSION) {
    throw bad(`its version is ${brief(version)}, expected ${VERSION}`);
  }
  if (vae !== expected.vae) {
    throw bad(`it was fitted to another autoencoder (${brief(vae)})`);
  }
  if (channels !== expected.channels || channels > MAX_CHANNELS) {
    throw bad(
      `its channels are ${brief(channels)}, expected ${expected.channels}`,
    );
  }
  if (window !== 1 && window !== 3) {
    throw bad(`its window is ${brief(window)}, expected 1 or 3`);
  }
  if (scale !== 1 && scale !== 2) {
    throw bad(`its scale is ${brief(scale)}, expected 1 or 2`);
  }
  const shape = { channels, window, scale };
  const outputs = outputsOf(shape);
  const rows = given.weights;
  const bias = numbers(given.bias, outputs);
  const weights = Array.isArray(rows) && rows.length === inputsOf(shape)
    ? rows.map((row: unknown) => numbers(row, outputs))
    : [undefined];
  if (!bias || !weights.every((row) => row !== undefined)) {
    throw bad(
      `its weights are not ${
        inputsOf(shape)
      } rows of ${outputs} finite numbers, and as many in its bias`,
    );
  }
  return {
    ...shape,
    vae,
    bias: Float64Array.from(bias),
    weights: Float64Array.from(weights.flat()),
  };
}

/** A list of numbers of a length; undefined where it is anything else. */
function numbers(value: unknown, length: number): number[] | undefined {
  if (!Array.isArray(value) || value.length !== length) return undefined;
  const isSound = value.every((number: unknown) =>
    typeof number === "number" && Math.abs(number) <= MAX_NUMBER
  );
  return isSound ? value : undefined;
}
