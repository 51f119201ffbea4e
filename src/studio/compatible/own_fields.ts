/**
 * Our own options in another program's request: `masterweaver: { steps, … }`.
 *
 * @module
 */
import { nearest } from "../../base/nearest.ts";
import type { IdentityChoices, Settings } from "../../options/settings.ts";
import type { SizeRule } from "../../options/options.ts";
import { optionsSchema } from "../../options/schema.ts";
import {
  type NamedOption,
  type Option,
  optionsOf,
  table,
} from "../../options/table.ts";
import type { JsonSchema } from "../../options/types.ts";
import { type GivenPhoto, photoSchema } from "../api/photos.ts";
import {
  type SourceFields,
  sourceFields,
  sourceSchemas,
} from "../api/sources.ts";
import { badField } from "../errors.ts";

/** What is under `masterweaver`. */
export interface OwnFields {
  /** Settings of the images. */
  readonly settings: Partial<Settings>;
  /** How the photos are looked at. */
  readonly choices: Partial<IdentityChoices>;
  /** Reference photos; they are read once their number is known to be right. */
  readonly photos: readonly GivenPhoto[];
  /** What else the images are made from. */
  readonly sources: SourceFields;
  /** An identity that was encoded before. */
  readonly identity?: string;
}

/** All options but those that the other program's request has in a field of its own. */
const options = optionsOf("image", "identity")
  .filter(({ name }) => name !== "prompt" && name !== "numImages");

/** The longest prompt, as OpenAI has it: many times what a text encoder reads. */
export const MAX_PROMPT = 32_000;

/** The options by each of their names: the library's, and the one in image files. */
const byName: ReadonlyMap<string, NamedOption> = new Map(
  options.flatMap((option) =>
    [option.name, option.key].flatMap((name) =>
      name === undefined ? [] : [[name, option] as const]
    )
  ),
);

/** What images are made from besides a person, by each of its names. */
const sourceNames: ReadonlyMap<string, keyof SourceFields> = new Map(
  sourceFields.flatMap((field) =>
    [field, snakeCase(field)].map((name) => [name, field] as const)
  ),
);

/** All names, to suggest one. */
const allNames = [
  ...byName.keys(),
  ...sourceNames.keys(),
  "references",
  "identity",
];

/** As image files spell it: `initImage` is `init_image`. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A list, or its only member alone. */
function orOne({ items, description, ...schema }: JsonSchema): JsonSchema {
  return items === undefined
    ? { ...schema, description }
    : { anyOf: [{ ...schema, items }, Object(items)], description };
}

/** Describes the fields. */
export function ownFieldsSchema(size: SizeRule): JsonSchema {
  const properties: Record<string, JsonSchema> = {
    ...optionsSchema(size).properties,
  };
  properties.negativePrompt = {
    ...properties.negativePrompt,
    maxLength: MAX_PROMPT,
  };
  return {
    type: ["object", "null"],
    description:
      "Options of this server's own, by the library's names or those in image files (`idScale` or `id_scale`)",
    properties: {
      ...Object.fromEntries(
        [...byName].map(([name, option]) => [name, properties[option.name]]),
      ),
      ...Object.fromEntries(
        [...sourceNames].map(([name, field]) => [
          name,
          orOne(sourceSchemas[field]),
        ]),
      ),
      references: {
        type: "array",
        items: photoSchema,
        description: "Reference photos of one person",
      },
      identity: {
        type: "string",
        description: "An identity that was encoded before, by its id",
      },
    },
    additionalProperties: false,
  };
}

/**
 * Reads the fields.
 *
 * @param given what the request has; nothing where undefined
 * @param at where it is in the request, for messages
 * @throws {ApiError} 400 `bad-request`
 */
export function readOwnFields(given: unknown, at: string): OwnFields {
  const values: Record<string, Record<string, unknown>> = {
    image: {},
    identity: {},
  };
  const fields = given ?? {};
  if (typeof fields !== "object" || Array.isArray(fields)) {
    throw badField(at, "must be an object");
  }
  let photos: GivenPhoto[] = [];
  let identity: string | undefined;
  const sources: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    const field = `${at}.${name.slice(0, 60)}`;
    const option = byName.get(name);
    const source = sourceNames.get(name);
    if (name === "references") {
      photos = givenPhotos(value, field);
    } else if (name === "identity") {
      if (typeof value !== "string") throw badField(field, "must be a string");
      identity = value;
    } else if (option) {
      values[option.group][option.name] = read(option, value, field);
    } else if (source) {
      sources[source] = readSource(source, value, field);
    } else {
      const near = nearest(name.slice(0, 60), allNames);
      throw badField(
        field,
        `is unknown${near ? `; did you mean ${near}?` : ""}`,
      );
    }
  }
  return {
    settings: values.image,
    choices: values.identity,
    photos,
    sources,
    identity,
  };
}

/** A file in base64, several of them, or a list about ControlNets. */
function readSource(
  name: keyof SourceFields,
  value: unknown,
  field: string,
): unknown {
  if (name === "initImage" || name === "mask") {
    return givenPhotos([value], field)[0].text;
  }
  if (name === "controlImage") {
    return givenPhotos(value, field).map(({ text }) => text);
  }
  // One is a list, too.
  const isText = typeof value === "string";
  return read(
    table[name],
    isText || Array.isArray(value) ? value : [value],
    field,
  );
}

/** A seed beyond what JSON's numbers hold is a string, and so is all of a form. */
function read(
  { type }: Pick<Option, "type">,
  value: unknown,
  field: string,
): unknown {
  const isTexts = Array.isArray(value) &&
    value.every((one) => typeof one === "string");
  const text = isTexts ? value.join(",") : value;
  const parsed = typeof text === "string" ? type.parse(text) : text;
  const fault = type.fault(parsed);
  if (fault !== undefined) {
    throw badField(field, `must be ${fault}, got ${type.show(value)}`);
  }
  // Not all of these fields have been checked against the schema.
  if (typeof parsed === "string" && parsed.length > MAX_PROMPT) {
    throw badField(
      field,
      `must not have more than ${MAX_PROMPT} characters, got ${parsed.length}`,
    );
  }
  return parsed;
}

/**
 * Photos in a request: a list, or one alone.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export function givenPhotos(given: unknown, field: string): GivenPhoto[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  return list.map((text, i) => {
    const own = `${field}.${i}`;
    if (typeof text === "string") return { text, field: own };
    throw badField(own, "must be a PNG or JPEG file in base64");
  });
}
