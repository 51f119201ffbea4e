/**
 * Upscalers by the names that AUTOMATIC1111's web UI has for them.
 *
 * @module
 */
import {
  LATENT_MODES,
  UPSCALER_FILES,
} from "../../options/other_second_pass.ts";
import { unknownUpscaler } from "../api/upscale.ts";

/** The upscalers as they are listed there. */
export function listedUpscalers(
  files: readonly string[],
): Readonly<Record<string, unknown>>[] {
  return ["None", "Lanczos", ...files].map((name) => ({
    name,
    model_name: null,
    model_path: null,
    model_url: null,
    scale: 4,
  }));
}

/**
 * The upscaler of finished images, by our name.
 *
 * @param files names of those that there are
 * @throws {ApiError} 400 `bad-request` naming the nearest names
 */
export function readUpscaler(
  name: string,
  files: readonly string[],
  field: string,
): string {
  const own = find(name, files);
  if (own !== undefined) return own;
  throw unknownUpscaler(field, name, ["Lanczos", ...files]);
}

/**
 * The upscaler of a second pass, by our name; there, `None` resizes with Lanczos.
 *
 * @throws {ApiError} 400 `bad-request` naming the nearest names
 */
export function readHiresUpscaler(
  name: string | null | undefined,
  files: readonly string[],
  field: string,
): string {
  if (name == null || LATENT_MODES.includes(name)) return "latent";
  const own = name === "None" ? "lanczos" : find(name, files);
  if (own !== undefined) return own;
  throw unknownUpscaler(field, name, [
    ...LATENT_MODES,
    "None",
    "Lanczos",
    ...files,
  ]);
}

function find(name: string, files: readonly string[]): string | undefined {
  if (files.includes(name)) return name;
  if (name.toLowerCase() === "lanczos") return "lanczos";
  const file = Object.hasOwn(UPSCALER_FILES, name)
    ? UPSCALER_FILES[name]
    : undefined;
  return file !== undefined && files.includes(file) ? file : undefined;
}
