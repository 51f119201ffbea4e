/**
 * The options of an image as a JSON Schema, for requests in JSON.
 *
 * @module
 */
import { sideOf, type SizeRule } from "./options.ts";
import { optionsOf } from "./table.ts";
import type { JsonSchema } from "./types.ts";

/**
 * Describes an object with the settings of an image and how its references are
 * prepared, by the library's names. A seed beyond ±(2⁵³ − 1) is a string.
 *
 * @param size which sides images may have, where the model is known
 * @returns a schema of JSON Schema's draft 2020-12
 *
 * @example
 * ```ts
 * import { optionsSchema } from "./schema.ts";
 *
 * const { properties } = optionsSchema({ own: 512, multiple: 8 });
 * console.log(properties.steps); // { type: "integer", minimum: 1, … }
 * ```
 */
export function optionsSchema(size?: SizeRule): JsonSchema & {
  readonly properties: Readonly<Record<string, JsonSchema>>;
} {
  const properties = optionsOf("image", "identity").map((option) => {
    const { name, help, defaultText } = option;
    const isSide = name === "width" || name === "height";
    const { schema } = size && isSide ? sideOf(size) : option.type;
    const fallback = size && isSide ? size.own : option.default;
    const description = fallback === undefined && defaultText !== undefined
      ? `${help} (${defaultText})`
      : help;
    return [name, {
      ...schema,
      ...fallback !== undefined && { default: fallback },
      description,
    }];
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: Object.fromEntries(properties),
    required: ["prompt"],
    additionalProperties: false,
  };
}
