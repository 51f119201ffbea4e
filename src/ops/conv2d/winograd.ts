/**
 * 3 × 3 convolutions by Winograd's F(2 × 2, 3 × 3): x is transformed to tiles, 16
 * matrix products are computed by `conv2d_texels`, and the results transformed back.
 *
 * It is faster where multiplications dominate, as on a CPU. Its weights take 16/9
 * of the memory, so only narrow layers use it: in Stable Diffusion's UNet the two
 * finest levels, with 5 % of the weights and half of the convolutions' work.
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
import { padToGroups } from "../pack_texels.ts";
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

/** Scratch: the transformed tiles of x, and the products. */
export type WinogradScratch = "tiles" | "products";
/** A launch of a Winograd convolution. */
export type WinogradLaunch = Launch<
  ConvolutionInput,
  "output",
  WinogradScratch
>;

/** Fewest and most input · output channels of a layer: 64 · 64 and 640 · 1280. */
const NARROW = [4096, 819_200] as const;
/** Most bytes of the tiles of one chunk. */
const CHUNK_BYTES = 32 * 2 ** 20;
/** Tiles, and vec4s of channels, per workgroup. */
const TILES = 8;
const VEC4S = 8;
const GROUP = 64;

/** Whether a convolution can be computed this way, and is worth it. */
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

/** How a batch is divided into tiles, and rows of tiles into chunks. */
interface Tiling {
  /** Tiles of an image, down and across. */
  readonly tiles: readonly [number, number];
  /** Rows of tiles in the whole batch. */
  readonly rows: number;
  /** Rows of tiles per chunk. */
  readonly step: number;
  /** Tiles per chunk, padded to whole groups. */
  readonly room: number;
}

function tilingOf(
  batch: number,
  { outSize, channels: [inChannels, out], dtype }: Convolution,
): Tiling {
  const [height, width] = outSize;
  const tiles = [Math.ceil(height / 2), Math.ceil(width / 2)] as const;
  const rows = batch * tiles[0];
  const tileBytes = Math.max(
    inChannels * elementBytes("f32"),
    out * elementBytes(dtype),
  );
  const rowBytes = POINTS * tiles[1] * tileBytes;
  const step = Math.min(rows, Math.max(1, Math.floor(CHUNK_BYTES / rowBytes)));
  const room = padToGroups(step * tiles[1]);
  return { tiles, rows, step, room };
}

/** Texels of a chunk's tiles, and a buffer for its products. */
export function winogradScratch(
  batch: number,
  conv: Convolution,
): Readonly<Record<WinogradScratch, ScratchSpec>> {
  const { room } = tilingOf(batch, conv);
  const [inChannels, out] = conv.channels;
  return {
    tiles: { texels: POINTS * inChannels / VEC4 * room },
    products: { shape: [POINTS, room, out], dtype: conv.dtype },
  };
}

/** Three launches per chunk: transform x, multiply, transform back. */
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
  { size, outSize, channels: [inChannels], dtype, upsampleTo }: Convolution,
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
    const clamped = Math.min(Math.max(y, 0), outSize[0] - 1);
    return Math.floor(tileRow / tiles[0]) * height +
      Math.floor(clamped / upsample);
  };
  const from = alignedPixels(
    row(first, -1) * width,
    (row(first + rows - 1, 2) + 1) * width,
  );
  const count = rows * tiles[1];
  const groups = Math.ceil(count / TILES);
  const vec4s = inChannels / VEC4;
  return {
    shader: "winograd_input",
    onlyMovesData: true,
    code: vec4Code(storage) + texels + inputCode,
    bind: [
      {
        input: "x",
        access: "read",
        slice: sliceOf(from, inChannels * elementBytes(dtype)),
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

/** The 16 products (tiles, I) · (I, O). */
function launchTileProducts(
  { weight, dtype, channels }: Convolution,
  { tiles, room }: Tiling,
  rows: number,
  target: Target,
): WinogradLaunch {
  const count = rows * tiles[1];
  const product = matrixProduct(count, pointWeight(weight), dtype);
  const tileRows = { start: 0, rows: count };
  return launchProducts<ConvolutionInput, "output", WinogradScratch>(
    product,
    {
      count: POINTS,
      x: {
        binding: { scratch: "tiles", access: "read texels" },
        start: 0,
        productStride: channels[0] / VEC4 * room,
      },
      weight: {
        binding: { input: "weight", access: "read texels" },
        start: 0,
        productStride: pointBytes(weight) / TEXEL_BYTES,
        shift: layoutShape(weight, "winograd").shift,
      },
      y: {
        binding: { scratch: "products", access: "write" },
        start: 0,
        productStride: room * channels[1] / VEC8,
        pixelStride: channels[1] / VEC8,
      },
    },
    { to: tileRows, from: tileRows },
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
    onlyMovesData: true,
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

/** Pixels `start` to `end` − 1, extended back to a valid binding offset. */
function alignedPixels(start: number, end: number): RowSlice {
  const aligned = start - start % ROW_STEP;
  return { start: aligned, rows: end - aligned };
}
