/**
 * Checks what a client sent against a JSON Schema.
 *
 * @module
 */
// No import map: it would not apply where mod.ts is imported from elsewhere.
// deno-lint-ignore no-import-prefix
import { Ajv2020, type ErrorObject, str } from "npm:ajv@8.20.0/dist/2020.js";
import { nearest, nearestNames } from "../../base/nearest.ts";
import type { JsonSchema } from "../../options/types.ts";
import { type ApiError, badField, WHOLE_BODY } from "../errors.ts";

/** More allowed values than this only make a line hard to read. */
const MOST_NAMES = 20;

const ajv = new Ajv2020({
  strict: false,
  allErrors: false,
  useDefaults: false,
  // Told to people and tools; what it stands for is checked where it is read.
  formats: { photo: true },
});

// Ajv's own counts the characters of 28 MB one by one, though few are short enough to matter.
ajv.removeKeyword("maxLength");
ajv.addKeyword({
  keyword: "maxLength",
  type: "string",
  schemaType: "number",
  error: {
    message: ({ schemaCode }) =>
      str`must NOT have more than ${schemaCode} characters`,
  },
  validate: (most: number, text: string) =>
    text.length <= most || text.length <= 2 * most && [...text].length <= most,
});

/**
 * Makes a check.
 *
 * @returns throws an {@linkcode ApiError} 400 that names the field, what it must be and what it was
 */
export function validator(schema: JsonSchema): (value: unknown) => void {
  const validate = ajv.compile(schema);
  return (value) => {
    if (validate(value)) return;
    throw faultOf(validate.errors![0], schema, value);
  };
}

function faultOf(
  error: ErrorObject,
  schema: JsonSchema,
  value: unknown,
): ApiError {
  const at = error.instancePath.slice(1).replaceAll("/", ".");
  const params: Readonly<Record<string, unknown>> = error.params;
  if (error.keyword === "additionalProperties") {
    const name = String(params.additionalProperty).slice(0, 60);
    const field = at ? `${at}.${name}` : name;
    const properties = at === "" ? schema.properties : undefined;
    const near = nearest(name, Object.keys(properties ?? {}));
    return badField(
      field,
      `is unknown${near ? `; did you mean ${near}?` : ""}`,
    );
  }
  if (error.keyword === "required") {
    const name = String(params.missingProperty);
    return badField(at ? `${at}.${name}` : name, "is missing");
  }
  if (Array.isArray(params.allowedValues)) {
    const names = params.allowedValues.filter((name) => name !== null);
    const got = shown(value, error.instancePath);
    return badField(at, `must be ${oneOf(names.map(String), got)}, got ${got}`);
  }
  const must = error.keyword === "type"
    ? error.message?.replaceAll(",", " or ")
    : error.message;
  return badField(
    at || WHOLE_BODY,
    `${must}, got ${shown(value, error.instancePath)}`,
  );
}

/** Allowed values: all of a few, of many those that are most alike. */
function oneOf(names: readonly string[], got: string): string {
  if (names.length <= MOST_NAMES) return `one of ${names.join(", ")}`;
  const near = nearestNames(got, names, 3, Infinity).join(", ");
  return `one of ${names.length} names that /openapi.json lists, such as ${near}`;
}

/** The value at a JSON pointer, short. */
function shown(value: unknown, pointer: string): string {
  let found: unknown = value;
  for (const key of pointer.split("/").slice(1)) {
    const name = key.replaceAll("~1", "/").replaceAll("~0", "~");
    found = Object(found)[name];
  }
  const text = JSON.stringify(found, shortened) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** For `JSON.stringify`: of photos, no more than is shown. */
function shortened(_: string, value: unknown): unknown {
  return typeof value === "string" ? value.slice(0, 61) : value;
}
