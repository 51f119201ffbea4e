/**
 * A second pass and upscaling, as settings ask for them, with their upscalers opened.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { Hires } from "../generate/hires.ts";
import {
  UPSCALE_TILES,
  type Upscaler,
  type UpscaleTiles,
} from "../generate/upscale.ts";
import { hiresSettings, upscaleSettings } from "../options/hires_settings.ts";
import type { SizeRule } from "../options/options.ts";
import type { Settings } from "../options/settings.ts";
import { sizeOfMade } from "../options/source_settings.ts";
import type { ImageSize } from "../image/resize_whole.ts";
import { brief } from "../weights/brief.ts";
import { openUpscaler } from "./networks.ts";

/** Longest side of an upscaled image, in pixels. */
const UPSCALED_SIDE = 8192;

/** What follows the first pass. */
export interface Passes {
  /** The second pass. */
  readonly hires?: Hires;
  /** What makes the finished images larger. */
  readonly upscale?: { readonly by: number; readonly upscaler: Upscaler };
}

/**
 * Opens what settings ask for after the first pass.
 *
 * @param files upscalers by name
 * @param initImage the image to start from
 * @throws {MasterWeaverError} `bad-option`, `bad-model`, `cannot-read`
 */
export async function openPasses(
  settings: Settings,
  size: SizeRule,
  files: Readonly<Record<string, ByteSource>>,
  initImage?: ImageSize,
): Promise<Passes> {
  const hires = hiresSettings(settings, size);
  const upscale = upscaleSettings(settings);
  if (upscale) {
    checkUpscaledSize(hires ?? sizeOfMade(settings, initImage), upscale.by);
  }
  const opened = new Map<string, Promise<Upscaler>>();
  const open = (name: string, option: string): Promise<Upscaler> => {
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (!file && name === "lanczos") return Promise.resolve(null);
    if (!file) throw unknown(name, option);
    const known = opened.get(name) ?? openUpscaler(file);
    opened.set(name, known);
    return known;
  };
  return {
    ...hires && {
      hires: {
        ...hires,
        upscaler: hires.upscaler === "latent"
          ? "latent" as const
          : await open(hires.upscaler, "hiresUpscaler"),
      },
    },
    ...upscale && {
      upscale: {
        by: upscale.by,
        upscaler: await open(upscale.upscaler, "upscale"),
      },
    },
  };
}

/**
 * Requires that an upscaled image is not too large.
 *
 * @throws {MasterWeaverError} `bad-option`
 */
export function checkUpscaledSize(
  { width, height }: { readonly width: number; readonly height: number },
  by: number,
): void {
  if (Math.round(Math.max(width, height) * by) <= UPSCALED_SIDE) return;
  throw new MasterWeaverError(
    "bad-option",
    `Option upscaleBy must make images of at most ${UPSCALED_SIDE} pixels a side, got ${by} for ${width}x${height}`,
  );
}

/**
 * How an image is cut, with defaults filled in.
 *
 * @throws {MasterWeaverError} `bad-option` where nothing of a tile would be left
 */
export function upscaleTiles(
  { tile = UPSCALE_TILES.tile, overlap = UPSCALE_TILES.overlap }: Partial<
    UpscaleTiles
  >,
): UpscaleTiles {
  if (tile >= 2 * overlap + 16) return { tile, overlap };
  throw new MasterWeaverError(
    "bad-option",
    `Option tile must be at least 16 more than twice the overlap, got ${tile} and ${overlap}`,
  );
}

function unknown(name: string, option: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Option ${option} names the upscaler ${
      brief(name)
    }, which is not among those given; give its file as upscalers: { name: source }, or choose lanczos`,
  );
}
