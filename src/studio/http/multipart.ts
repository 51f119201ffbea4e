/**
 * Reads `multipart/form-data` as the JSON that it stands for: files become data
 * URLs, texts what the schema says of their field.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import { ApiError } from "../errors.ts";
import { formParts } from "./form_parts.ts";
import { JsonLimits } from "./json_limits.ts";
import { pause } from "./pause.ts";

/**
 * Reads a form. A field that may be a list is one, be it named `x`, `x[]` or
 * given several times.
 *
 * @throws {ApiError} 400 `bad-request`
 */
export async function readForm(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  schema: JsonSchema,
): Promise<Record<string, unknown>> {
  // Without a prototype: a field may be called anything.
  const values: Record<string, unknown[]> = Object.create(null);
  for (const { name: key, value } of formParts(bytes, contentType)) {
    const name = key.replace(/\[\]$/, "");
    const kinds = kindsOf(propertyOf(schema, name));
    const isText = typeof value === "string";
    (values[name] ??= []).push(
      isText ? typedValue(value, kinds) : dataUrl(value),
    );
    if (!isText) await pause();
  }
  const body: Record<string, unknown> = Object.create(null);
  for (const [name, given] of Object.entries(values)) {
    const { isList, isSingle, items } = kindsOf(propertyOf(schema, name));
    const [first] = given;
    // A list in one text; of lists, it may be the first of them.
    const isSplit = given.length === 1 && Array.isArray(first) &&
      (!items?.isList || Array.isArray(first[0]));
    if (isSplit) body[name] = given[0];
    else if (isList && (!isSingle || given.length > 1)) body[name] = given;
    else if (given.length === 1) body[name] = given[0];
    else throw bad(`Field ${name.slice(0, 60)} is given several times`, name);
  }
  return body;
}

/** What a field may be. */
interface Kinds {
  readonly isList: boolean;
  /** Whether it may also be no list. */
  readonly isSingle: boolean;
  readonly isNumber: boolean;
  readonly isBoolean: boolean;
  readonly isObject: boolean;
  /** Of a list's members. */
  readonly items?: Kinds;
}

function propertyOf(schema: JsonSchema, name: string): JsonSchema {
  const properties = Object(schema.properties);
  return Object.hasOwn(properties, name) ? properties[name] : {};
}

function kindsOf(schema: JsonSchema): Kinds {
  const choices = [schema, ...list(schema.anyOf)];
  const types = choices.flatMap(({ type }) => list<string>(type));
  const items = choices.find(({ items }) => items !== undefined)?.items;
  const isList = types.includes("array");
  return {
    isList,
    isSingle: !isList || types.some((type) => type !== "array"),
    isNumber: types.includes("integer") || types.includes("number"),
    isBoolean: types.includes("boolean"),
    isObject: types.includes("object"),
    items: items === undefined ? undefined : kindsOf(Object(items)),
  };
}

function list<T = JsonSchema>(value: unknown): T[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value as T];
}

/** A text as the value that it stands for; as it is where it stands for none. */
function typedValue(text: string, kinds: Kinds): unknown {
  const { isNumber, isBoolean, isObject, isList, items } = kinds;
  if (isBoolean && /^(true|false)$/.test(text)) return text === "true";
  if (isNumber && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    const number = Number(text);
    // A whole number that does not fit stays text, as a seed in JSON is.
    if (!Number.isInteger(number) || Number.isSafeInteger(number)) {
      return number;
    }
  }
  if (isObject && text.startsWith("{")) return parsed(text);
  if (isList && items) {
    if (items.isList && text.startsWith("[")) return parsed(text);
    // As the command takes it: 0,0.5.
    if (items.isNumber) {
      return text.replace(/^\[|\]$/g, "").split(",").map((part) =>
        typedValue(part.trim(), items)
      );
    }
    return typedValue(text, items);
  }
  return text;
}

function parsed(text: string): unknown {
  new JsonLimits().take(new TextEncoder().encode(text));
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function dataUrl(bytes: Uint8Array): string {
  return `data:application/octet-stream;base64,${bytes.toBase64()}`;
}

function bad(message: string, field?: string): ApiError {
  return new ApiError(400, "bad-request", message, { field });
}
