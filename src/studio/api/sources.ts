/**
 * What an image is made from besides a person, as requests carry it: an image to
 * start from, a mask, and ControlNets with their images. The fields are the
 * command's options of these names; files are uploaded instead of named.
 *
 * @module
 */
import { imageSize } from "../../host/codecs/image_size.ts";
import { controlChoices } from "../../options/control_choices.ts";
import { CONTROL_PREPROCESSORS } from "../../options/control_types.ts";
import type { CommandChoices } from "../../options/settings.ts";
import { table } from "../../options/table.ts";
import { fractions, type JsonSchema, number } from "../../options/types.ts";
import type { ControlSource, Photo, Sources } from "../engine/engine.ts";
import { ApiError, badField } from "../errors.ts";
import { listed, photoSchema, readPhoto, readPhotos } from "./photos.ts";

/** The fields that lists of ControlNets are given in. */
export type ControlFields = Partial<
  Pick<
    CommandChoices,
    "controlnet" | "controlScale" | "controlRange" | "controlPreprocess"
  >
>;

/** The fields, as {@linkcode sourceSchemas} lets them through. */
export interface SourceFields extends ControlFields {
  /** The image to start from: a data URL or base64. */
  readonly initImage?: string;
  /** What of it is repainted. */
  readonly mask?: string;
  /** What the ControlNets see, in order. */
  readonly controlImage?: readonly string[];
}

/** The most ControlNets of a request. */
const MOST_CONTROLS = 8;
/** The most pixels of all images: four bytes each, and the library copies some. */
const MAX_ALL_PIXELS = 100_000_000;

const name: JsonSchema = { type: "string", minLength: 1, maxLength: 200 };

/** Describes the fields. */
export const sourceSchemas: Readonly<
  Record<keyof SourceFields, JsonSchema>
> = {
  initImage: { ...photoSchema, description: table.initImage.help },
  mask: { ...photoSchema, description: table.mask.help },
  controlnet: list(
    name,
    "ControlNets by name, as `/api/extras` lists them; what several say is added up",
  ),
  controlImage: list(
    photoSchema,
    "What the ControlNets see, in order; the first reference photo where one is missing and is to be preprocessed",
  ),
  controlScale: list(number(-10, 10).schema!, table.controlScale.help),
  controlRange: list(fractions.schema!, table.controlRange.help),
  controlPreprocess: list(
    { enum: CONTROL_PREPROCESSORS },
    table.controlPreprocess.help,
  ),
};

/** The names of the fields. */
export const sourceFields = Object.keys(
  sourceSchemas,
) as readonly (keyof SourceFields)[];

function list(items: JsonSchema, description: string): JsonSchema {
  return {
    type: "array",
    items,
    minItems: 1,
    maxItems: MOST_CONTROLS,
    description,
  };
}

/**
 * Reads the fields.
 *
 * @param references the photos of the person, of which the first stands in for a control image
 * @throws {ApiError} 400 `bad-request`, 413 `too-large`, 415 `unsupported-type`
 * @throws {MasterWeaverError} `bad-option` where lists do not go together
 */
export async function readSources(
  { initImage, mask, controlImage = [], ...lists }: SourceFields,
  references: readonly Photo[],
): Promise<Sources> {
  checkCount("controlnet", lists.controlnet);
  checkCount("controlImage", controlImage);
  const images = await readPhotos(listed(controlImage, "controlImage"));
  const sources = {
    ...initImage !== undefined &&
      { initImage: await readPhoto(initImage, "initImage") },
    ...mask !== undefined && { mask: await readPhoto(mask, "mask") },
    controls: controlSources(lists, images, references),
  };
  checkPixels(sources);
  return sources;
}

/** Refuses more ControlNets than there may be, for not all requests are checked against a schema. */
function checkCount(
  field: keyof SourceFields,
  list: readonly string[] = [],
): void {
  if (list.length <= MOST_CONTROLS) return;
  throw badField(
    field,
    `has ${list.length} entries, at most ${MOST_CONTROLS} are possible`,
  );
}

/** Refuses images that are too large together: all of them are decoded at a time. */
function checkPixels({ initImage, mask, controls }: Sources): void {
  const files: readonly (readonly [field: string, file?: Photo])[] = [
    ["initImage", initImage],
    ["mask", mask],
    ...controls.map(({ image }, i) => [`controlImage.${i}`, image] as const),
  ];
  let pixels = 0;
  for (const [field, file] of files) {
    const { width, height } = (file && imageSize(file.bytes)) ??
      { width: 0, height: 0 };
    pixels += width * height;
    if (pixels <= MAX_ALL_PIXELS) continue;
    throw new ApiError(
      413,
      "too-large",
      `Field ${field} has ${width}x${height} pixels, with which the images of the request have more than ${
        MAX_ALL_PIXELS / 1e6
      } million; give smaller ones`,
      { field },
    );
  }
}

/** Gives each ControlNet its values and its image. */
function controlSources(
  lists: ControlFields,
  images: readonly Photo[],
  [reference]: readonly Photo[],
): ControlSource[] {
  const without = sourceFields.find((field) =>
    field in lists && lists[field as keyof ControlFields] !== undefined
  );
  if (lists.controlnet === undefined && (without || images.length > 0)) {
    const field = without ?? "controlImage";
    throw badField(field, "needs controlnet: name the ControlNets");
  }
  const choices = controlChoices(lists);
  if (images.length > choices.length) {
    throw badField(
      "controlImage",
      `takes one image for each ControlNet, got ${images.length} for ${choices.length}`,
    );
  }
  return choices.map((choice, i) => {
    const isPrepared = (choice.preprocess ?? "none") !== "none";
    const image = images[i] ?? (isPrepared ? reference : undefined);
    if (image) return { ...choice, image };
    throw badField(
      `controlImage.${i}`,
      `is missing: give an image for the ControlNet ${choice.name}${
        isPrepared ? ", or a reference photo" : ""
      }`,
    );
  });
}
