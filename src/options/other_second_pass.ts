/**
 * The second pass of an image that AUTOMATIC1111's web UI made, as its text says it.
 *
 * @module
 */

/** The web UI's names of upscalers' files that others call as they are downloaded. */
export const UPSCALER_FILES: Readonly<Record<string, string>> = {
  "R-ESRGAN 4x+": "RealESRGAN_x4plus",
  "R-ESRGAN 4x+ Anime6B": "RealESRGAN_x4plus_anime_6B",
  "R-ESRGAN 2x+": "RealESRGAN_x2plus",
};

/**
 * Ways of enlarging latents there: both are bilinear, and the second differs only where
 * something is made smaller.
 */
export const LATENT_MODES: readonly string[] = [
  "Latent",
  "Latent (antialiased)",
];

/** A second pass that can be repeated. */
export interface OtherSecondPass {
  /** Our text chunks by key. */
  readonly text: Readonly<Record<string, string>>;
  /** The names of the pairs that say it. */
  readonly names: ReadonlySet<string>;
}

const SCALE = "Hires upscale", SIZE = "Hires resize";
const STEPS = "Hires steps", UPSCALER = "Hires upscaler";
const STRENGTH = "Denoising strength";

/**
 * Reads a second pass.
 *
 * @param pairs names and values of the text
 * @returns undefined where there is none, or one that is not computed here
 */
export function otherSecondPass(
  pairs: readonly (readonly [name: string, value: string])[],
): OtherSecondPass | undefined {
  const said = new Map(pairs);
  const size = sizeOf(said.get(SCALE), said.get(SIZE));
  const upscaler = upscalerOf(said.get(UPSCALER));
  const strength = said.get(STRENGTH) ?? "";
  const isUsable = size && upscaler !== undefined && isNumber(strength) &&
    Number(strength) > 0 && Number(strength) <= 1;
  if (!isUsable) return undefined;
  const steps = Number(said.get(STEPS) ?? 0);
  return {
    text: {
      ...size,
      hires_upscaler: upscaler,
      hires_strength: strength,
      // There so many steps are run; here the schedule has as many as make them so.
      ...steps > 0 &&
        { hires_steps: String(Math.ceil(steps / Number(strength))) },
    },
    names: new Set([SCALE, SIZE, STEPS, UPSCALER, STRENGTH]),
  };
}

function sizeOf(
  scale: string | undefined,
  size: string | undefined,
): Record<string, string> | undefined {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(size ?? "") ?? [];
  if (width !== undefined) return { hires_width: width, hires_height: height };
  if (scale === undefined || !isNumber(scale)) return undefined;
  return Number(scale) >= 1 && Number(scale) <= 8
    ? { hires_scale: scale }
    : undefined;
}

/** Our name; undefined for ways of enlarging latents that are not computed here. */
function upscalerOf(name = LATENT_MODES[0]): string | undefined {
  if (LATENT_MODES.includes(name)) return "latent";
  if (name.startsWith("Latent")) return undefined;
  // There, `None` resizes with Lanczos, too.
  if (name === "None" || name === "Lanczos") return "lanczos";
  return Object.hasOwn(UPSCALER_FILES, name) ? UPSCALER_FILES[name] : name;
}

function isNumber(text: string): boolean {
  return /^\d{1,4}(\.\d{1,10})?$/.test(text);
}
