/**
 * ControlNets of the command: their files, found by path or by name, and the images
 * that they see.
 *
 * @module
 */
import type { ControlUse } from "../../generate/control_input.ts";
import { readControlNet } from "../../generate/controlnet_file.ts";
import type { Provenance } from "../../options/settings_text.ts";
import { printable } from "../../weights/brief.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import { UsageError } from "../exit.ts";
import { type ExtraPlaces, openExtra } from "../extras.ts";
import { checkWithoutNets, type Flags } from "./flags.ts";
import { type Photo, readPhotos } from "./photos.ts";
import type { Task } from "./task.ts";

/** What an image records of its ControlNets. */
export type ControlProvenance = Pick<
  Provenance,
  | "controlnet"
  | "controlScale"
  | "controlRange"
  | "controlPreprocess"
  | "controlnetHashes"
  | "controlImageHashes"
>;

/** The ControlNets of a run; `await using` closes their files. */
export interface OpenControls extends AsyncDisposable {
  /** As the library takes them. */
  readonly controls: readonly ControlUse[];
  /** What made the images; empty without ControlNets. */
  readonly provenance: ControlProvenance;
  /** What differs from the image to repeat. */
  readonly warnings: readonly string[];
}

/** What was typed, or is repeated, of ControlNets. */
type Given = Pick<
  Flags,
  "controlnet" | "controlScale" | "controlRange" | "controlPreprocess"
>;

/**
 * Opens the ControlNets that were asked for, else those that made the image to repeat
 * where their images are given.
 *
 * @param photos the references, of which the first stands in for an image that is missing
 * @throws {UsageError} where what was typed does not go together
 * @throws {MasterWeaverError} `bad-option`, `bad-model`, `cannot-read`, `bad-image`
 */
export async function openControls(
  { flags, recorded: { provenance } }: Task,
  places: ExtraPlaces,
  photos: readonly Photo[],
): Promise<OpenControls> {
  const given: Given = {
    controlnet: flags.controlnet ?? provenance.controlnet,
    controlScale: flags.controlScale ?? provenance.controlScale,
    controlRange: flags.controlRange ?? provenance.controlRange,
    controlPreprocess: flags.controlPreprocess ?? provenance.controlPreprocess,
  };
  const { controlnet: nets } = given;
  if (nets === undefined) {
    checkWithoutNets(flags);
    return nothing([]);
  }
  const isTyped = flags.controlnet !== undefined;
  const images = await controlImages(given, nets, flags, photos, isTyped);
  if (images === undefined) return nothing([missingImages(nets)]);
  await using stack = new AsyncDisposableStack();
  const opened = [];
  for (const net of nets) {
    try {
      const source = stack.use(await openExtra("controlnets", net, places));
      opened.push(await readControlNet(source));
    } catch (error) {
      if (isTyped || !(error instanceof MasterWeaverError)) throw error;
      return nothing([
        `The image will differ: it was made with a ControlNet that cannot be used. ${error.message}`,
      ]);
    }
  }
  const controls = opened.map((net, i): ControlUse => {
    const [start, end] = each(given.controlRange, i) ?? [0, 1];
    return {
      net,
      image: images[i].image,
      scale: each(given.controlScale, i),
      start,
      end,
      preprocess: each(given.controlPreprocess, i),
    };
  });
  const used: ControlProvenance = {
    ...given,
    controlnetHashes: opened.map(({ hash }) => hash),
    controlImageHashes: images.map(({ hash }) => hash),
  };
  const files = stack.move();
  return {
    controls,
    provenance: used,
    warnings: isTyped ? [] : differences(provenance, used),
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

/** No ControlNets. */
function nothing(warnings: readonly string[]): OpenControls {
  return {
    controls: [],
    provenance: {},
    warnings,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The value for one of several ControlNets: its own, or the one for all. */
function each<T>(
  values: readonly T[] | undefined,
  index: number,
): T | undefined {
  return values?.length === 1 ? values[0] : values?.[index];
}

/** The image of each ControlNet; undefined where they are only repeated and missing. */
async function controlImages(
  given: Given,
  nets: readonly string[],
  { controlImage = [] }: Flags,
  photos: readonly Photo[],
  isTyped: boolean,
): Promise<readonly Photo[] | undefined> {
  for (
    const [flag, values] of [
      ["control-scale", given.controlScale],
      ["control-range", given.controlRange],
      ["control-preprocess", given.controlPreprocess],
    ] as const
  ) {
    if (values && values.length !== 1 && values.length !== nets.length) {
      throw new UsageError(
        `Option --${flag} takes one value, or one for each --controlnet, got ${values.length} for ${nets.length}`,
      );
    }
  }
  if (controlImage.length > nets.length) {
    throw new UsageError(
      `Option --control-image takes one file for each --controlnet, got ${controlImage.length} for ${nets.length}`,
    );
  }
  const preprocessed = nets.map((_, i) =>
    (each(given.controlPreprocess, i) ?? "none") !== "none"
  );
  const missing = nets.findIndex((_, i) =>
    i >= controlImage.length && !(preprocessed[i] && photos.length > 0)
  );
  if (missing >= 0) {
    if (!isTyped && controlImage.length === 0) return undefined;
    throw new UsageError(
      `Give an image for the ControlNet ${
        printable(nets[missing])
      } with --control-image FILE${
        preprocessed[missing] ? ", or a photo with --ref FILE" : ""
      }; got ${controlImage.length} for ${nets.length} ControlNet${
        nets.length === 1 ? "" : "s"
      }`,
    );
  }
  const images = await readPhotos(controlImage);
  return nets.map((_, i) => images[i] ?? photos[0]);
}

function missingImages(nets: readonly string[]): string {
  return `The image will differ: it was made with the ControlNet${
    nets.length === 1 ? "" : "s"
  } ${
    nets.map(printable).join(" and ")
  }, whose control images no image holds; give ${
    nets.length === 1 ? "its" : "each"
  } with --control-image FILE`;
}

/** How repeated ControlNets and their images differ from those that made the image. */
function differences(
  was: Partial<Provenance>,
  now: ControlProvenance,
): string[] {
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
