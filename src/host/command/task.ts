/**
 * What the images are made from: the flags, and below them the settings of an
 * image to repeat.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Settings, SizeRule } from "../../options/options.ts";
import { callSettings } from "../../options/call_settings.ts";
import { type HiresOption, hiresOptions } from "../../options/pass_options.ts";
import type { IdentityChoices, LoadChoices } from "../../options/settings.ts";
import { otherProgramWarnings } from "../../options/other_program_warnings.ts";
import {
  fromText,
  missingWarnings,
  type Recorded,
} from "../../options/settings_text.ts";
import { needsMask, sourceNames } from "../../options/source_settings.ts";
import { table } from "../../options/table.ts";
import { keptBeside } from "../../samplers/sampler_names.ts";
import type { ImageSize } from "../../image/resize_whole.ts";
import type { ImageText } from "../codecs/image_text.ts";
import { asUsage, wrongOption } from "../exit.ts";
import { readImageText } from "../files.ts";
import { type Flags, typedKeys } from "./flags.ts";
import { checkOutputs, type Outputs, planOutputs } from "./outputs.ts";

/** What the images are made from, before a model is loaded. */
export interface Task {
  /** What was typed. */
  readonly flags: Flags;
  /** What is repeated; empty where nothing is. */
  readonly recorded: Recorded;
  /** The text of the image to repeat, where there is one. */
  readonly imageText?: ImageText;
  /** What is repeated, overridden by the flags. */
  readonly settings: Partial<Settings> & { prompt: string };
  /** Where everything goes. */
  readonly outputs: Outputs;
}

/**
 * Reads the image to repeat, and decides where everything goes.
 *
 * @throws {UsageError} where the outputs rule each other out
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`, `cannot-write`, `bad-option`
 */
export async function readTask(flags: Flags): Promise<Task> {
  const from = flags.fromImage;
  const imageText = from === undefined ? undefined : await readImageText(from);
  const recorded = from === undefined || imageText === undefined
    ? { settings: {}, provenance: {} }
    : fromText(imageText.text, from);
  const settings = {
    prompt: "",
    ...usable(recorded.settings, flags),
    ...flags.settings,
  };
  const outputs = await planOutputs(flags, settings.numImages ?? 1);
  const { initImage, mask, controlImage = [] } = flags;
  const others = [initImage, mask, ...controlImage];
  await checkOutputs(
    outputs,
    flags.ref,
    others.filter((path) => path !== undefined),
  );
  return { flags, recorded, imageText, settings, outputs };
}

/**
 * What is repeated: without what needs an initial image or a mask that is not given,
 * without a second pass that what was typed rules out, and without what a sampler
 * that is typed does not have.
 */
function usable(
  recorded: Partial<Settings>,
  { initImage, mask, settings }: Flags,
): Partial<Settings> {
  const kept = { ...recorded };
  for (const name of ruledOut(settings, initImage !== undefined)) {
    delete kept[name];
  }
  const outpaint = settings.outpaint ?? recorded.outpaint;
  for (const name of sourceNames) {
    const isUseless = initImage === undefined ||
      (needsMask(name) && mask === undefined && outpaint === undefined);
    if (isUseless) delete kept[name];
  }
  if (settings.sampler === undefined) return kept;
  const { schedule: _, eta: __, ...others } = kept;
  return { ...others, ...keptBeside(settings.sampler, kept) };
}

/** The settings of a second pass that are not repeated beside what was typed. */
function ruledOut(
  typed: Partial<Settings>,
  hasInitImage: boolean,
): readonly HiresOption[] {
  if (hasInitImage) return hiresOptions;
  if (typed.hiresScale !== undefined) return ["hiresWidth", "hiresHeight"];
  const hasSide = typed.hiresWidth !== undefined ||
    typed.hiresHeight !== undefined;
  return hasSide ? ["hiresScale"] : [];
}

/**
 * All settings, checked against the model; without references, an identity scale of
 * 0.
 *
 * @param initImage the size of the image to start from
 * @throws {UsageError} about what was typed
 * @throws {MasterWeaverError} `bad-image` about what comes from the image
 */
export function checkedSettings(
  { flags, recorded, settings }: Task,
  size: SizeRule,
  initImage?: ImageSize,
): Settings {
  try {
    const { settings: checked } = callSettings(settings, size, {
      initImage,
      hasMask: flags.mask !== undefined,
    });
    // A scale that is only repeated goes with its references.
    return flags.ref.length > 0 ? checked : { ...checked, idScale: 0 };
  } catch (error) {
    const name = wrongOption(error) ?? "";
    const isTyped = Object.hasOwn(flags.settings, name);
    if (!isTyped && Object.hasOwn(recorded.settings, name)) {
      throw asImageFault(error, flags);
    }
    return asUsage<never>(() => {
      throw error;
    }, flags);
  }
}

/** Blames the image to repeat for an option it gave, where the error is about one. */
export function asImageFault(error: unknown, { fromImage }: Flags): unknown {
  if (!(error instanceof MasterWeaverError) || error.code !== "bad-option") {
    return error;
  }
  return new MasterWeaverError(
    "bad-image",
    `The settings in ${fromImage} cannot be used here: ${error.message}`,
    { cause: error },
  );
}

/** How the model is loaded: what is repeated, overridden by the flags. */
export function loadChoices(
  { flags, recorded: { provenance } }: Pick<Task, "flags" | "recorded">,
): Pick<LoadChoices, "tune"> & Partial<Pick<LoadChoices, "dtype" | "taesd">> {
  return {
    dtype: flags.dtype ?? provenance.dtype,
    taesd: flags.taesd ?? provenance.taesd,
    tune: flags.tune ?? provenance.tune ?? table.tune.default,
  };
}

/** How references are prepared: what is repeated, overridden by the flags. */
export function identityChoices(
  { flags, recorded: { provenance } }: Pick<Task, "flags" | "recorded">,
): Partial<IdentityChoices> & Pick<IdentityChoices, "parse" | "requireFace"> {
  // --face aligns whatever was recorded; without alignment there is no choice.
  const isChosen = flags.face !== undefined;
  const align = flags.align ?? (isChosen ? undefined : provenance.align);
  return {
    parse: flags.parse ?? provenance.parse ?? table.parse.default,
    requireFace: flags.requireFace ?? provenance.requireFace ??
      table.requireFace.default,
    align,
    face: flags.face ?? (align === false ? undefined : provenance.face),
    fit: flags.fit ?? provenance.fit,
  };
}

/**
 * Warns of what the image to repeat does not say, and of what it names that is
 * not available here.
 *
 * @param text the settings of the image that is made now
 */
export function repeatWarnings(
  { flags, recorded, imageText }: Task,
  text: Readonly<Record<string, string>>,
): string[] {
  if (!imageText) return [];
  const { fromImage = "the image", align, face, ref } = flags;
  const hasReferences = ref.length > 0;
  const typed = typedKeys(flags);
  const hadSecondPass = hiresOptions.some((name) =>
    recorded.settings[name] !== undefined
  );
  const { align: wasAligned, face: wasFace } = recorded.provenance;
  // A face is chosen only to align it: whoever says both meant one of them.
  const isContradiction = hasReferences && wasAligned === false &&
    wasFace !== undefined &&
    align === undefined && face === undefined;
  return [
    ...imageText.warnings,
    ...otherProgramWarnings(
      recorded,
      fromImage,
      text.model,
      typed,
      hasReferences,
    ),
    ...missingWarnings(recorded, imageText.text, text, typed),
    ...hadSecondPass && flags.initImage !== undefined
      ? [
        "The image will differ: its second pass is not repeated, which follows an image made from noise alone",
      ]
      : [],
    ...isContradiction
      ? [
        `The image says both face ${wasFace} and align false: faces are not aligned, and none is chosen`,
      ]
      : [],
  ];
}
