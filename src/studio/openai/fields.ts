/**
 * The fields of OpenAI's image requests: which are used, which change nothing
 * here, and which are refused.
 *
 * @module
 */
import type { Settings } from "../../options/settings.ts";
import type { JsonSchema } from "../../options/types.ts";
import { photoSchema } from "../api/photos.ts";
import { MAX_PROMPT, ownFieldsSchema } from "../compatible/own_fields.ts";
import { ApiError, badField } from "../errors.ts";
import type { ModelResource } from "../wire/resources.ts";

/** A request that passed its schema; null stands for a field that is left out. */
export interface ImageFields {
  /** What the images show. */
  readonly prompt: string;
  /** How many images. */
  readonly n?: number | null;
  /** `WxH`, or `auto`: the model's own. */
  readonly size?: string | null;
  /** A file in base64, or where it can be fetched for a while. */
  readonly response_format?: "b64_json" | "url" | null;
  /** The files' format. */
  readonly output_format?: string | null;
  /** The model's name. */
  readonly model?: string | null;
  /** Whether to answer with events. */
  readonly stream?: boolean | null;
  /** How many previews an answer with events has, at most. */
  readonly partial_images?: number | null;
  /** What the client asked for; nothing here depends on it. */
  readonly quality?: string | null;
  /** Reference photos, of an edit. */
  readonly image?: readonly string[];
  /** Our own options. */
  readonly masterweaver?: unknown;
}

const MOST_IMAGES = 10;

/** The name of a field of a form that stands for one of our own options. */
const OWN_IN_FORM = "^masterweaver\\[(\\w+)\\]$";
const TYPED = ["string", "number", "boolean", "array"];
/** An option that is a list, whose members clients write one by one. */
const inForm: JsonSchema = {
  type: "array",
  items: { type: "string" },
  description: "As in `masterweaver`",
};

/** Words that are taken, and change nothing here. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  quality: ["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"],
  background: ["auto", "opaque"],
  moderation: ["auto", "low"],
  complexity: ["low", "medium", "high"],
};

/** Fields that would change the image, and why they are refused. */
const refused: Readonly<Record<string, string>> = {
  style: "describe the style in the prompt",
  svg: "ask for png or jpeg",
  frame_count: "ask for png or jpeg",
  frame_duration_ms: "ask for png or jpeg",
  mask:
    "image holds photos of a person; to repaint a part of an image, give masterweaver.initImage and masterweaver.mask, where white is repainted",
  markup: "say what the image shows in the prompt",
  // What clients made for other servers send beside OpenAI's own.
  seed: "give it in masterweaver",
  steps: "give it in masterweaver",
  negative_prompt: "give it in masterweaver",
};

/** Describes a request, for the check and the OpenAPI document. */
export function imageSchema(
  { size, maxReferences }: ModelResource,
  of: "generations" | "edits",
): JsonSchema {
  const text = (description: string) => ({
    type: ["string", "null"],
    description,
  });
  const words = (values: readonly string[]) => ({ enum: [...values, null] });
  const isEdit = of === "edits";
  return {
    type: "object",
    properties: {
      prompt: {
        type: "string",
        maxLength: MAX_PROMPT,
        description: "What the image shows",
      },
      n: whole(1, MOST_IMAGES, "Images at once"),
      size: text("WIDTHxHEIGHT, or auto: the model's own size"),
      response_format: words(["b64_json", "url"]),
      output_format: words(["png", "jpeg", "webp", "gif", "svg"]),
      output_compression: whole(0, 100, "100 only"),
      model: text("This model's name; may be left out"),
      user: text("Not used"),
      safety_identifier: text("Not used"),
      stream: { type: ["boolean", "null"] },
      partial_images: whole(0, 3, "The most previews of a stream"),
      ...Object.fromEntries(
        Object.entries(harmless).map(([name, values]) => [
          name,
          name === "background"
            ? words([...values, "transparent"])
            : { ...words(values), description: "Changes nothing here" },
        ]),
      ),
      ...Object.fromEntries(
        Object.keys(refused).map((name) => [name, {
          description: "Not supported",
        }]),
      ),
      ...isEdit && {
        image: {
          type: "array",
          items: photoSchema,
          minItems: 1,
          // A model that follows nobody says so itself.
          ...maxReferences > 0 && { maxItems: maxReferences },
          description: "Reference photos of one person; `image[]` in a form",
        },
        input_fidelity: words(["high", "low"]),
      },
      masterweaver: ownFieldsSchema(size),
      ...isEdit && { "masterweaver[guidance_range]": inForm },
      ...isEdit && { "masterweaver[guidanceRange]": inForm },
    },
    // In a form, clients write an object as a field for each of its own.
    ...isEdit && { patternProperties: { [OWN_IN_FORM]: { type: TYPED } } },
    required: isEdit ? ["prompt", "image"] : ["prompt"],
    additionalProperties: false,
  };
}

/** Our own options as a request has them: an object, or fields of a form. */
export function ownFieldsOf(fields: ImageFields): unknown {
  const inForm = Object.entries(fields).flatMap(([name, value]) => {
    const key = new RegExp(OWN_IN_FORM).exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  if (inForm.length === 0) return fields.masterweaver;
  const { masterweaver } = fields;
  if (masterweaver != null) throw badField("masterweaver", "is given twice");
  return Object.fromEntries(inForm);
}

/**
 * Reads the settings, and refuses what would need something that is not here.
 *
 * @throws {ApiError} 400 `bad-request` naming the field, 404 `not-found` for another model
 */
export function settingsOf(
  fields: ImageFields,
  model: ModelResource,
): Partial<Settings> & { readonly prompt: string } {
  const given: Readonly<Record<string, unknown>> = { ...fields };
  for (const [name, why] of Object.entries(refused)) {
    if (given[name] != null) {
      throw badField(name, `is not supported here: ${why}`);
    }
  }
  if (given.background === "transparent") {
    throw badField("background", "must be opaque or auto here");
  }
  if ((given.output_compression ?? 100) !== 100) {
    throw badField("output_compression", "must be 100 here");
  }
  checkModel(fields.model, model);
  return {
    prompt: fields.prompt,
    numImages: fields.n ?? 1,
    // Each request has images of its own: there is no field for a seed.
    seed: crypto.getRandomValues(new Uint32Array(1))[0],
    ...sizeOf(fields.size),
  };
}

/**
 * The format of the files.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export function formatOf({ output_format }: ImageFields): "png" | "jpeg" {
  const format = output_format ?? "png";
  if (format === "png" || format === "jpeg") return format;
  throw badField("output_format", `must be png or jpeg here, got ${format}`);
}

/** Refuses a model that is not this one. */
export function checkModel(
  name: string | null | undefined,
  model: Pick<ModelResource, "name">,
): void {
  if (name == null || name === "" || name === model.name) return;
  throw new ApiError(
    404,
    "not-found",
    `The model ${
      name.slice(0, 60)
    } does not exist here; this server has ${model.name}, and takes requests that name none`,
    { field: "model" },
  );
}

function sizeOf(size: string | null | undefined): Partial<Settings> {
  if (size == null || size === "auto") return {};
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(size) ?? [];
  if (width === undefined) {
    throw badField(
      "size",
      `must be auto or WIDTHxHEIGHT, such as 512x512, got ${size.slice(0, 40)}`,
    );
  }
  return { width: Number(width), height: Number(height) };
}

function whole(minimum: number, maximum: number, description: string) {
  return { type: ["integer", "null"], minimum, maximum, description };
}
