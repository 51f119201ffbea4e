/**
 * What the settings of a second pass, and of upscaling, say together.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { SizeRule } from "./options.ts";
import type { Settings } from "./settings.ts";
import { HIRES_SIDE } from "./pass_options.ts";

/** A second pass, as settings ask for it. */
export interface HiresSettings {
  /** Columns of the finished image. */
  readonly width: number;
  /** Rows of the finished image. */
  readonly height: number;
  /** `latent`, `lanczos`, or the name of an upscaler. */
  readonly upscaler: string;
  /** Share of the steps that is run again. */
  readonly strength: number;
  /** Steps of its whole schedule. */
  readonly steps: number;
}

/** What is used where it is not given. */
const UPSCALER = "latent", STRENGTH = 0.7, UPSCALE_BY = 2;

/** Settings that mean nothing without a second pass. */
const WITHOUT_SIZE = ["hiresUpscaler", "hiresStrength", "hiresSteps"] as const;

/**
 * The second pass that settings ask for; undefined where they ask for none.
 *
 * @param settings checked, with defaults filled in
 * @param size the sides that the model's images may have
 * @throws {MasterWeaverError} `bad-option` where they contradict each other
 */
export function hiresSettings(
  settings: Settings,
  { multiple }: Pick<SizeRule, "multiple">,
): HiresSettings | undefined {
  const { width, height, steps, hiresScale, hiresWidth, hiresHeight } =
    settings;
  const hasSide = hiresWidth !== undefined || hiresHeight !== undefined;
  if (hiresScale === undefined && !hasSide) {
    const lone = WITHOUT_SIZE.find((name) => settings[name] !== undefined);
    if (lone === undefined) return undefined;
    throw bad(
      `Option ${lone} needs a larger size: give hiresScale, or hiresWidth and hiresHeight`,
    );
  }
  if (hiresScale !== undefined && hasSide) {
    throw bad("Give hiresScale, or hiresWidth and hiresHeight, not both");
  }
  const scale = hiresScale ??
    (hiresWidth !== undefined ? hiresWidth / width : hiresHeight! / height);
  const whole = (side: number) => Math.floor(side / multiple) * multiple;
  const sides = {
    width: whole(hiresWidth ?? width * scale),
    height: whole(hiresHeight ?? height * scale),
  };
  for (const [name, side] of Object.entries(sides)) {
    const own = name === "width" ? width : height;
    if (side >= own && side <= HIRES_SIDE) continue;
    throw bad(
      `The second pass must be at least as large as the first and at most ${HIRES_SIDE} pixels a side, got a ${name} of ${side} after ${own}`,
    );
  }
  const strength = settings.hiresStrength ?? STRENGTH;
  const all = settings.hiresSteps || steps;
  if (Math.floor(all * strength) < 1) {
    throw bad(
      `Option hiresStrength must leave the second pass a step, got ${strength} of ${all} steps; give at least ${
        (1 / all).toFixed(3)
      }`,
    );
  }
  return {
    ...sides,
    upscaler: settings.hiresUpscaler ?? UPSCALER,
    strength,
    steps: all,
  };
}

/** How finished images are made larger. */
export interface UpscaleSettings {
  /** `lanczos`, or the name of an upscaler. */
  readonly upscaler: string;
  /** By how much. */
  readonly by: number;
}

/**
 * The upscaling that settings ask for; undefined where they ask for none.
 *
 * @throws {MasterWeaverError} `bad-option` where a factor has no upscaler
 */
export function upscaleSettings(
  { upscale, upscaleBy }: Settings,
): UpscaleSettings | undefined {
  if (upscale !== undefined) {
    return { upscaler: upscale, by: upscaleBy ?? UPSCALE_BY };
  }
  if (upscaleBy === undefined) return undefined;
  throw bad(
    "Option upscaleBy needs the option upscale: give an upscaler's name, or lanczos",
  );
}

/**
 * Checks what settings say about later passes.
 *
 * @param hasSource whether the image starts from another
 * @throws {MasterWeaverError} `bad-option`
 */
export function checkPasses(
  settings: Settings,
  size: Pick<SizeRule, "multiple">,
  hasSource: boolean,
): void {
  const hires = hiresSettings(settings, size);
  upscaleSettings(settings);
  if (!hires || !hasSource) return;
  throw bad(
    "A second pass follows an image made from noise alone: give hiresScale, hiresWidth and hiresHeight without initImage, or a larger width and height",
  );
}

/** Columns and rows of the finished images. */
export function finishedSize(
  settings: Settings,
  size: Pick<SizeRule, "multiple">,
): { readonly width: number; readonly height: number } {
  const { width, height } = hiresSettings(settings, size) ?? settings;
  const by = upscaleSettings(settings)?.by ?? 1;
  return { width: Math.round(width * by), height: Math.round(height * by) };
}

/** The names of upscalers that settings ask for, each once; those that are no file are left out. */
export function upscalerNames(
  { upscale, hiresUpscaler }: Partial<Settings>,
): string[] {
  const names = [upscale, hiresUpscaler].filter((name) => name !== undefined);
  return [...new Set(names)]
    .filter((name) => name !== "lanczos" && name !== "latent");
}

function bad(message: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", message);
}
