/**
 * ControlNets of the command: what was asked of each, and the images that they see.
 *
 * @module
 */
import {
  type ControlChoice,
  controlChoices,
  type ControlLists,
} from "../../options/control_choices.ts";
import type { Provenance } from "../../options/settings_text.ts";
import { printable } from "../../weights/brief.ts";
import { UsageError } from "../exit.ts";
import { checkWithoutNets, type Flags } from "./flags.ts";
import { type Photo, readPhotos } from "./photos.ts";
import type { Task } from "./task.ts";

/** The ControlNets of a run, whose files are not opened yet. */
export interface AskedControls {
  /** Their names, and how they are used. */
  readonly choices: readonly ControlChoice[];
  /** What each sees. */
  readonly images: readonly Photo[];
  /** The lists they were asked for with, which images record. */
  readonly lists: ControlLists;
  /** Why those of the image to repeat are left out. */
  readonly warnings: readonly string[];
}

/**
 * Reads what was asked for, else what made the image to repeat where its control
 * images are given.
 *
 * @param photos the references, of which the first stands in for an image that is missing
 * @throws {UsageError} where what was typed does not go together
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`, `bad-image`
 */
export async function readControls(
  { flags, recorded: { provenance } }: Task,
  photos: readonly Photo[],
): Promise<AskedControls> {
  const lists: ControlLists = {
    controlnet: flags.controlnet ?? provenance.controlnet,
    controlScale: flags.controlScale ?? provenance.controlScale,
    controlRange: flags.controlRange ?? provenance.controlRange,
    controlPreprocess: flags.controlPreprocess ?? provenance.controlPreprocess,
  };
  if (lists.controlnet === undefined) {
    checkWithoutNets(flags);
    return { ...NOTHING, warnings: [] };
  }
  const choices = controlChoices(lists);
  const images = await controlImages(choices, flags, photos);
  return images === undefined
    ? { ...NOTHING, warnings: [missingImages(lists.controlnet)] }
    : { choices, images, lists, warnings: [] };
}

/** No ControlNets. */
const NOTHING: Omit<AskedControls, "warnings"> = {
  choices: [],
  images: [],
  lists: {},
};

/** The image of each ControlNet; undefined where they are only repeated and missing. */
async function controlImages(
  choices: readonly ControlChoice[],
  { controlnet, controlImage = [] }: Flags,
  photos: readonly Photo[],
): Promise<readonly Photo[] | undefined> {
  if (controlImage.length > choices.length) {
    throw new UsageError(
      `Option --control-image takes one file for each --controlnet, got ${controlImage.length} for ${choices.length}`,
    );
  }
  const isPreprocessed = ({ preprocess = "none" }: ControlChoice) =>
    preprocess !== "none";
  const missing = choices.find((choice, i) =>
    i >= controlImage.length && !(isPreprocessed(choice) && photos.length > 0)
  );
  if (missing) {
    if (controlnet === undefined && controlImage.length === 0) return undefined;
    throw new UsageError(
      `Give an image for the ControlNet ${
        printable(missing.name)
      } with --control-image FILE${
        isPreprocessed(missing) ? ", or a photo with --ref FILE" : ""
      }; got ${controlImage.length} for ${choices.length} ControlNet${
        choices.length === 1 ? "" : "s"
      }`,
    );
  }
  const images = await readPhotos(controlImage);
  return choices.map((_, i) => images[i] ?? photos[0]);
}

function missingImages(nets: readonly string[]): string {
  return `The image will differ: it was made with the ControlNet${
    nets.length === 1 ? "" : "s"
  } ${
    nets.map(printable).join(" and ")
  }, whose control images no image holds; give ${
    nets.length === 1 ? "it" : "each"
  } with --control-image FILE`;
}

/**
 * Says how repeated ControlNets and their images differ from those that made the
 * image; nothing of those that were asked for.
 */
export function controlWarnings(
  { flags, recorded: { provenance: was } }: Task,
  now: Pick<Provenance, "controlnetHashes" | "controlImageHashes">,
): string[] {
  if (flags.controlnet !== undefined) return [];
  const changed = (
    what: string,
    before?: readonly string[],
    after?: readonly string[],
  ) =>
    (after ?? []).flatMap((hash, i) =>
      before?.[i] === undefined || before[i] === hash ? [] : [
        `The image will differ: ${what} ${
          i + 1
        } is another than it was made with (SHA-256 ${hash.slice(0, 10)}, was ${
          printable(before[i].slice(0, 10))
        })`,
      ]
    );
  return [
    ...changed("ControlNet", was.controlnetHashes, now.controlnetHashes),
    ...changed("control image", was.controlImageHashes, now.controlImageHashes),
  ];
}
