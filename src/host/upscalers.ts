/**
 * Opens the upscalers that an image's settings name.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { upscalerNames } from "../options/hires_settings.ts";
import { hiresOptions } from "../options/pass_options.ts";
import type { Settings } from "../options/settings.ts";
import { type ExtraPlaces, openExtra } from "./extras.ts";
import type { FileSource } from "./files.ts";

/** Upscalers whose files are open. */
export interface OpenedUpscalers extends AsyncDisposable {
  /** By the names in the settings, as the library takes them. */
  readonly files: Readonly<Record<string, FileSource>>;
  /** The settings, without what asks for an upscaler that is missing. */
  readonly settings: Settings;
}

/**
 * Finds and opens upscalers.
 *
 * @param places where they are looked up by name
 * @param onMissing takes the message of one that is not found, and what asks for it is
 *   left out; without it that is an error
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`
 */
export async function openUpscalers(
  settings: Settings,
  places: ExtraPlaces,
  onMissing?: (message: string) => void,
): Promise<OpenedUpscalers> {
  await using stack = new AsyncDisposableStack();
  const files: Record<string, FileSource> = {};
  let used = settings;
  for (const name of upscalerNames(settings)) {
    try {
      files[name] = stack.use(await openExtra("upscalers", name, places));
    } catch (error) {
      if (!onMissing || !(error instanceof MasterWeaverError)) throw error;
      onMissing(error.message);
      used = without(used, name);
    }
  }
  const owned = stack.move();
  return {
    files,
    settings: used,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The settings without what asks for an upscaler. */
function without(settings: Settings, name: string): Settings {
  const left = { ...settings };
  if (left.upscale === name) {
    left.upscale = undefined;
    left.upscaleBy = undefined;
  }
  if (left.hiresUpscaler === name) {
    for (const option of hiresOptions) left[option] = undefined;
  }
  return left;
}
