/**
 * Checks the settings of a job before it waits: against the model, and against what
 * it is made from.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { uprightSize } from "../../host/codecs/decode_image.ts";
import { checkPasses } from "../../options/hires_settings.ts";
import { checkSettings, withoutIdScale } from "../../options/options.ts";
import type { Settings } from "../../options/settings.ts";
import {
  sizeOfSource,
  sourceSettings,
  withStrength,
} from "../../options/source_settings.ts";
import type { Sources } from "../engine/engine.ts";
import type { ModelResource } from "../wire/resources.ts";

/** What decides which settings make sense. */
export interface JobContext {
  /** What the images are made from. */
  readonly sources: Sources;
  /** Whether they show a person. */
  readonly hasPerson: boolean;
  /** The model. */
  readonly model: Pick<ModelResource, "size" | "taesd">;
}

/**
 * Fills in defaults and checks every value, as `MasterWeaver.generate` does.
 *
 * @throws {MasterWeaverError} `bad-option` naming the option
 */
export function checkJobSettings(
  given: Partial<Settings> & { prompt: string },
  { sources, hasPerson, model: { size, taesd } }: JobContext,
): Settings {
  const { initImage, mask, controls } = sources;
  // Where a file's header says no size, decoding says what is wrong with it.
  const own = initImage && uprightSize(initImage.bytes);
  const sized = checkSettings(
    { ...sizeOfSource(own, given.outpaint, size), ...given },
    size,
  );
  const used = sourceSettings(sized, {
    initImage: initImage !== undefined,
    mask: mask !== undefined,
  });
  const settings = withStrength(sized, used);
  checkPasses(settings, size, initImage !== undefined);
  if (settings.decoder === "taesd" && !taesd) {
    throw bad(
      "Option decoder must be vae with this model, which has no TAESD, got taesd",
    );
  }
  if (settings.guessMode && controls.length === 0) {
    throw bad(
      "Option guessMode needs a ControlNet: give one in controlnet, or leave guessMode out",
    );
  }
  return hasPerson ? settings : withoutIdScale(settings, given);
}

function bad(message: string): MasterWeaverError {
  return new MasterWeaverError("bad-option", message);
}
