/**
 * Convolutions of 3 × 3 by Winograd's F(2 × 2, 3 × 3): x to tiles, 16 products
 * of matrices by `conv2d_texels`, and back.
 *
 * It wins where multiplying is what takes the time, which is so on a CPU.
 * Its weights take 16/9 of the room, so that only narrow layers use it: of Stable
 * Diffusion's UNet the two finest levels, 5 % of its weights and half of its
 * convolutions' work.
 *
 * @module
 */
import texels from "../../../shaders/texels.wgsl" with { type: "text" };
import inputCode from "../../../shaders/winograd_input.wgsl" with {
  type: "text",
};
import outputCode from "../../../shaders/winograd_output.wgsl" with {
  type: "text",
};
import { TEXEL_BYTES } from "../../gpu/texels.ts";
import { type Launch, reads } from "../launch.ts";
import type { ScratchSpec, Target } from "../op.ts";
import { groupRoom } from "../pack_texels.ts";
import { ROW_STEP, type RowSlice, sliceOf } from "../slices.ts";
import { fitsVec8, vec4Code, VEC8 } from "../stored_vectors.ts";
import { elementBytes, isQuantised, type TensorSpec } from "../tensor_spec.ts";
import { VEC4 } from "../weights/blocks.ts";
import { layoutShape } from "../weights/layouts.ts";
import { pointBytes, POINTS, pointWeight } from "../weights/winograd.ts";
import {
  type Convolution,
  type ConvolutionInput,
  convolutionParams,
  matrixProduct,
} from "./convolution.ts";
import { launchProducts } from "./textured.ts";

/** x by tiles, and the products with it. */
export type WinogradScratch = "tiles" | "products";
/** A launch of a convolution by tiles. */
export type WinogradLaunch = Launch<
  ConvolutionInput,
  "output",
  WinogradScratch
>;

/** Fewest and most inputs · outputs of a layer: 64 · 64 and 640 · 1280. */
const NARROW = [4096, 819_200] as const;
/** Most bytes of the tiles that are in work at once. */
const CHUNK_BYTES = 32 * 2 ** 20;
/** Tiles, and vec4s of channels, of a workgroup. */
const TILES = 8;
const VEC4S = 8;
const GROUP = 64;

/** Whether a convolution can be computed so, and is worth it. */
export function fitsWinograd(
  weight: TensorSpec,
  { stride = 1, padding = [0, 0, 0, 0] }: {
    readonly stride?: number;
    readonly padding?: readonly number[];
  },
): boolean {
  const [out, kernelHeight, kernelWidth, channels] = weight.shape;
  const [least, most] = NARROW;
  return kernelHeight === 3 && kernelWidth === 3 && stride === 1 &&
    padding.every((side) => side === 1) && !isQuantised(weight.dtype) &&
    fitsVec8(weight) &&
    out * channels >= least && out * channels <= most;
}

/** Rows of tiles that are in work at once, of all rows of the batch. */
interface Tiling {
  /** Tiles of an image, down and across. */
  readonly tiles: readonly [number, number];
  /** Rows of tiles of the whole batch. */
  readonly rows: number;
  /** Rows of tiles at once. */
  readonly step: number;
  /** Tiles that there is room for. */
  readonly room: number;
}

function tilingOf(
  batch: number,
  { outSize, channels: [inside, out], dtype }: Convolution,
): Tiling {
  const [height, width] = outSize;
  const tiles = [Math.ceil(height / 2), Math.ceil(width / 2)] as const;
  const rows = batch * tiles[0];
  const tileBytes = Math.max(
    inside * elementBytes("f32"),
    out * elementBytes(dtype),
  );
  const rowBytes = POINTS * tiles[1] * tileBytes;
  const step = Math.min(rows, Math.max(1, Math.floor(CHUNK_BYTES / rowBytes)));
  const room = groupRoom(step * tiles[1]);
  return { tiles, rows, step, room };
}

/** Texels of x by tiles, and products by tiles. */
export function winogradScratch(
  batch: number,
  conv: Convolution,
): Readonly<Record<WinogradScratch, ScratchSpec>> {
  const { room } = tilingOf(batch, conv);
  const [inside, out] = conv.channels;
  return {
    tiles: { texels: POINTS * inside / VEC4 * room },
    products: { shape: [POINTS, room, out], dtype: conv.dtype },
  };
}

/** The launches of all tiles. */
export function launchWinograd(
  batch: number,
  conv: Convolution,
  target: Target,
): WinogradLaunch[] {
  const tiling = tilingOf(batch, conv);
  const launches: WinogradLaunch[] = [];
  for (let first = 0; first < tiling.rows; first += tiling.step) {
    const rows = Math.min(tiling.step, tiling.rows - first);
    launches.push(
      launchInput(conv, tiling, first, rows, target),
      launchTileProducts(conv, tiling, rows, target),
      launchOutput(conv, tiling, first, rows, target),
    );
  }
  return launches;
}

function launchInput(
  { size, outSize, channels: [inside], dtype, upsampleTo }: Convolution,
  { tiles, room }: Tiling,
  first: number,
  rows: number,
  { storage }: Target,
): WinogradLaunch {
  const upsample = upsampleTo ? 2 : 1;
  const [height, width] = size;
  // Rows of x from one above the first row of tiles to one below the last.
  const row = (tileRow: number, offset: number) => {
    const y = 2 * (tileRow % tiles[0]) + offset;
    const inImage = Math.min(Math.max(y, 0), outSize[0] - 1);
    return Math.floor(tileRow / tiles[0]) * height +
      Math.floor(inImage / upsample);
  };
  const from = alignedPixels(
    row(first, -1) * width,
    (row(first + rows - 1, 2) + 1) * width,
  );
  const count = rows * tiles[1];
  const groups = Math.ceil(count / TILES);
  const vec4s = inside / VEC4;
  return {
    shader: "winograd_input",
    moves: true,
    code: vec4Code(storage) + texels + inputCode,
    bind: [
      {
        input: "x",
        access: "read",
        slice: sliceOf(from, inside * elementBytes(dtype)),
      },
      { scratch: "tiles", access: "write texels" },
    ],
    params: {
      height,
      width,
      in4: vec4s,
      upsample,
      full_height: outSize[0],
      full_width: outSize[1],
      tiles_y: tiles[0],
      tiles_x: tiles[1],
      first_tile: first * tiles[1],
      tiles: count,
      room,
      groups_t: groups,
      first_source: from.start,
    },
    workgroups: groups * Math.ceil(vec4s / VEC4S),
  };
}

/** 16 products (tiles, I) · (I, O). */
function launchTileProducts(
  { weight, dtype, channels }: Convolution,
  { tiles, room }: Tiling,
  rows: number,
  target: Target,
): WinogradLaunch {
  const count = rows * tiles[1];
  const product = matrixProduct(count, pointWeight(weight), dtype);
  const all = { start: 0, rows: count };
  return launchProducts<ConvolutionInput, "output", WinogradScratch>(
    product,
    {
      count: POINTS,
      x: {
        binding: { scratch: "tiles", access: "read texels" },
        start: 0,
        product: channels[0] / VEC4 * room,
      },
      weight: {
        binding: { input: "weight", access: "read texels" },
        start: 0,
        product: pointBytes(weight) / TEXEL_BYTES,
        shift: layoutShape(weight, "winograd").shift,
      },
      y: {
        binding: { scratch: "products", access: "write" },
        start: 0,
        product: room * channels[1] / VEC8,
        step: channels[1] / VEC8,
      },
    },
    { to: all, from: all },
    target,
  );
}

function launchOutput(
  conv: Convolution,
  { tiles, room }: Tiling,
  first: number,
  rows: number,
  { storage }: Target,
): WinogradLaunch {
  const { outSize, channels: [, out], dtype } = conv;
  const [height, width] = outSize;
  const { has_bias, has_channel_bias, has_residual, activation } =
    convolutionParams(conv);
  const row = (tileRow: number) =>
    Math.floor(tileRow / tiles[0]) * height +
    Math.min(2 * (tileRow % tiles[0]), height);
  const last = first + rows - 1;
  const end = Math.min(
    row(last) + 2,
    (Math.floor(last / tiles[0]) + 1) * height,
  );
  const to = alignedPixels(row(first) * width, end * width);
  const slice = sliceOf(to, out * elementBytes(dtype));
  const total = rows * tiles[1] * out / 4;
  return {
    shader: "winograd_output",
    moves: true,
    code: vec4Code(storage) + outputCode,
    bind: [
      { scratch: "products", access: "read" },
      ...reads("bias", "channelBias"),
      { input: "residual", access: "read", slice },
      { output: "output", access: "write", slice },
    ],
    params: {
      out_height: height,
      out_width: width,
      out4: out / 4,
      tiles_y: tiles[0],
      tiles_x: tiles[1],
      first_tile: first * tiles[1],
      room,
      first_pixel: to.start,
      total,
      has_bias,
      has_channel_bias,
      has_residual,
      activation,
    },
    workgroups: Math.ceil(total / GROUP),
  };
}

/** Pixels from the last place before them that a binding may start at. */
function alignedPixels(start: number, end: number): RowSlice {
  const aligned = start - start % ROW_STEP;
  return { start: aligned, rows: end - aligned };
}
