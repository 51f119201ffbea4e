/**
 * The settings of a call, checked with what is given beside them.
 *
 * @module
 */
import { checkPasses } from "./hires_settings.ts";
import { checkSettings, type SizeRule, withoutUndefined } from "./options.ts";
import type { Settings } from "./settings.ts";
import {
  sizeOfSource,
  type SourceSettings,
  sourceSettings,
  withStrength,
} from "./source_settings.ts";

/** What a call is given beside its settings. */
export interface GivenImages {
  /** The size of the image to start from. */
  readonly initImage?: { readonly width: number; readonly height: number };
  /** Whether there is a mask. */
  readonly hasMask: boolean;
}

/** Settings that go together. */
export interface CallSettings {
  /** All settings, with defaults filled in. */
  readonly settings: Settings;
  /** Those of a start from an image; undefined where there is none. */
  readonly source?: SourceSettings;
}

/**
 * Fills in defaults, and checks that the settings go together.
 *
 * @throws {MasterWeaverError} `bad-option`
 */
export function callSettings(
  given: Partial<Settings> & { prompt: string },
  size: SizeRule,
  { initImage, hasMask }: GivenImages,
): CallSettings {
  const hasImage = initImage !== undefined;
  const own = sizeOfSource(initImage, given.outpaint, size);
  const checked = checkSettings({ ...own, ...withoutUndefined(given) }, size);
  const source = sourceSettings(checked, {
    initImage: hasImage,
    mask: hasMask,
  });
  const settings = withStrength(checked, source);
  checkPasses(settings, size, hasImage);
  return { settings, source };
}
