/**
 * Opens the upscalers that an image's settings name.
 *
 * @module
 */
import { upscalerNames } from "../options/hires_settings.ts";
import { hiresOptions } from "../options/pass_options.ts";
import type { Settings } from "../options/settings.ts";
import { type ExtraLookup, leaveOut } from "./extra_lookup.ts";
import { type ExtraPlaces, findExtra } from "./extras.ts";
import { openConverted } from "./converted_file.ts";
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
 * @param lookup where it leaves an upscaler out, so are the settings that ask for it
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`
 */
export async function openUpscalers(
  settings: Settings,
  places: ExtraPlaces,
  lookup: ExtraLookup = {},
): Promise<OpenedUpscalers> {
  const { find = findExtra } = lookup;
  await using stack = new AsyncDisposableStack();
  const files: Record<string, FileSource> = {};
  let used = settings;
  for (const name of upscalerNames(settings)) {
    try {
      const path = await find("upscalers", name, places);
      files[name] = stack.use(await openConverted(path, places));
    } catch (error) {
      leaveOut(error, lookup);
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
