/**
 * Checks the settings of a job before it waits: against the model, and against what
 * it is made from.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { uprightSize } from "../../host/codecs/decode_image.ts";
import { callSettings } from "../../options/call_settings.ts";
import { withoutIdScale } from "../../options/options.ts";
import type { Settings } from "../../options/settings.ts";
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
  const { settings } = callSettings(given, size, {
    // Where a file's header says no size, decoding says what is wrong with it.
    initImage: initImage &&
      (uprightSize(initImage.bytes) ?? { width: size.own, height: size.own }),
    hasMask: mask !== undefined,
  });
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
