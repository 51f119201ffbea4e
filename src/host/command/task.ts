/**
 * What the images are made from: what was typed, over what an image to repeat
 * says.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import {
  checkSettings,
  type Settings,
  type SizeRule,
} from "../../options/options.ts";
import type { IdentityChoices } from "../../options/settings.ts";
import {
  foreignWarnings,
  fromText,
  missingWarnings,
  type Recorded,
} from "../../options/settings_text.ts";
import { table } from "../../options/table.ts";
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
  /** Its words, where something is repeated. */
  readonly said?: ImageText;
  /** The flags over what is repeated. */
  readonly settings: Partial<Settings> & { prompt: string };
  /** Where everything goes. */
  readonly outputs: Outputs;
}

/**
 * Reads the image to repeat, and says where everything goes.
 *
 * @throws {UsageError} where it cannot go there
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`, `cannot-write`, `bad-option`
 */
export async function readTask(flags: Flags): Promise<Task> {
  const from = flags.fromImage;
  const said = from === undefined ? undefined : await readImageText(from);
  const recorded = from === undefined || said === undefined
    ? { settings: {}, provenance: {} }
    : fromText(said.text, from);
  const settings = { prompt: "", ...recorded.settings, ...flags.settings };
  const outputs = await planOutputs(flags, settings.numImages ?? 1);
  await checkOutputs(outputs, flags.ref);
  return { flags, recorded, said, settings, outputs };
}

/**
 * All settings, as the model takes them.
 *
 * @throws {UsageError} about what was typed
 * @throws {MasterWeaverError} `bad-image` about what comes from the image
 */
export function checkedSettings(
  { flags, recorded, settings }: Task,
  size: SizeRule,
): Settings {
  try {
    return checkSettings(settings, size);
  } catch (error) {
    const name = wrongOption(error) ?? "";
    const isTyped = Object.hasOwn(flags.settings, name);
    if (!isTyped && Object.hasOwn(recorded.settings, name)) {
      throw notTyped(error, flags);
    }
    return asUsage<never>(() => {
      throw error;
    }, flags);
  }
}

/** A wrong option that an image gave is no wrong usage. */
export function notTyped(error: unknown, { fromImage }: Flags): unknown {
  if (!(error instanceof MasterWeaverError) || error.code !== "bad-option") {
    return error;
  }
  return new MasterWeaverError(
    "bad-image",
    `The settings in ${fromImage} cannot be used here: ${error.message}`,
    { cause: error },
  );
}

/** How faces are looked at: what is typed goes over what is repeated. */
export function chosenLooks(
  { flags, recorded: { provenance } }: Pick<Task, "flags" | "recorded">,
): Partial<IdentityChoices> & Pick<IdentityChoices, "parse" | "requireFace"> {
  // A face that is chosen is cut out, and none is where nothing is aligned.
  const isChosen = flags.face !== undefined;
  const isLeft = flags.align === false;
  return {
    parse: flags.parse ?? provenance.parse ?? table.parse.default,
    requireFace: flags.requireFace ?? provenance.requireFace ??
      table.requireFace.default,
    align: flags.align ?? (isChosen ? undefined : provenance.align),
    face: flags.face ?? (isLeft ? undefined : provenance.face),
    fit: flags.fit ?? provenance.fit,
  };
}

/**
 * What the image to repeat does not say, or says of what is not here.
 *
 * @param text what is said of the image that is made now
 */
export function repeatWarnings(
  { flags, recorded: { foreign }, said }: Task,
  text: Readonly<Record<string, string>>,
): string[] {
  if (!said) return [];
  const { fromImage = "the image" } = flags;
  const warnings = foreign
    ? foreignWarnings(foreign, fromImage, text.model)
    : missingWarnings(said.text, text, typedKeys(flags));
  return [...said.warnings, ...warnings];
}
