/**
 * `GET /openapi.json`: the API as an OpenAPI 3.1 document, made of the same
 * objects that route and check requests.
 *
 * @module
 */
import { version } from "../../base/version.ts";
import type { JsonSchema } from "../../options/types.ts";
import type { Answer, Body, Operation } from "./operation.ts";

/** What the document says beside the operations. */
export interface DocumentOptions {
  /** The name of the cookie that stands for the token; undefined where none is needed. */
  readonly cookie?: string;
  /** The schema of the API's own errors. */
  readonly errorSchema: JsonSchema;
}

/** An object in JSON. */
export type Json = Record<string, unknown>;

/** Makes the document. */
export function openapiDocument(
  operations: readonly Operation[],
  { cookie, errorSchema }: DocumentOptions,
): Json {
  const needsToken = cookie !== undefined;
  const schemas: Json = {};
  const hoist = (schema: JsonSchema) => hoisted(schema, schemas);
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[operation.method] = described(operation, {
      hoist,
      cookie,
      errorSchema,
    });
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "MasterWeaver Studio",
      version,
      description: "Images of a person from one to three photos and a prompt.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    tags: [...new Set(operations.map(({ tag }) => tag))]
      .map((name) => ({ name })),
    paths,
    components: {
      schemas,
      ...needsToken && {
        securitySchemes: {
          token: { type: "http", scheme: "bearer" },
          cookie: { type: "apiKey", in: "cookie", name: cookie },
        },
      },
    },
    ...needsToken && { security: [{ token: [] }, { cookie: [] }] },
  };
}

interface Context extends DocumentOptions {
  readonly hoist: (schema: JsonSchema) => unknown;
}

function described(operation: Operation, context: Context): Json {
  const { method, path, tag, summary, description, body } = operation;
  const { hoist } = context;
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const optional = (place: string, schemas = {}) =>
    Object.entries(schemas).map(([name, schema]) => ({
      name,
      in: place,
      required: false,
      schema,
    }));
  const parameters = [
    ...inPath,
    ...optional("query", operation.query),
    ...optional("header", operation.headers),
  ];
  return {
    operationId: method +
      path.replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase()),
    tags: [tag],
    summary,
    ...description && { description },
    ...parameters.length > 0 && { parameters },
    ...body && { requestBody: requestBody(body, hoist) },
    responses: Object.fromEntries(
      Object.entries({
        ...usualErrors(operation, context),
        ...operation.answers,
      })
        .flatMap(([status, answer]) =>
          answer ? [[status, response(answer, hoist)]] : []
        ),
    ),
    ...operation.open && { security: [] },
  };
}

function requestBody(
  { schema, multipart, optional }: Body,
  hoist: Context["hoist"],
): Json {
  return {
    required: !optional,
    content: {
      "application/json": { schema: hoist(schema) },
      ...multipart && {
        "multipart/form-data": { schema: hoist(asForm(schema)) },
      },
    },
  };
}

/** The schema of a form: its photos are files. */
function asForm(schema: JsonSchema): JsonSchema {
  const properties: Record<string, JsonSchema> = Object(schema.properties);
  const file = { type: "string", contentMediaType: "application/octet-stream" };
  const isPhoto = (schema: unknown) => Object(schema).format === "photo";
  return {
    ...schema,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [
        name,
        isPhoto(property)
          ? file
          : isPhoto(property.items)
          ? { ...property, items: file }
          : property,
      ]),
    ),
  };
}

function response(
  { description, schema, mediaType = "application/json" }: Answer,
  hoist: Context["hoist"],
): Json {
  if (!schema && mediaType === "application/json") return { description };
  return {
    description,
    content: {
      [mediaType.split(";")[0]]: schema ? { schema: hoist(schema) } : {},
    },
  };
}

/** Errors that an operation may answer with, whatever it does. */
function usualErrors(
  { body, query, path, open, sayError }: Operation,
  { cookie, errorSchema }: Context,
): Readonly<Partial<Record<number, Answer>>> {
  const error = (description: string): Answer => ({
    description,
    // Other programs' APIs say errors their own way.
    schema: sayError ? {} : errorSchema,
  });
  return {
    400: error(
      body || query
        ? "The request is not as described; `field` says where"
        : "The request is not as described",
    ),
    ...cookie !== undefined && !open &&
      { 401: error("The token is missing or wrong") },
    403: error("The request comes from another site or names another host"),
    ...path.includes(":") && { 404: error("There is nothing at this path") },
    405: error("The path does not take this method; see `Allow`"),
    ...body && {
      408: error("The body came too slowly"),
      413: error("The body, a photo or its size in pixels is too large"),
      415: error("The body or a photo is of another type"),
      422: error("A photo cannot be used"),
    },
    500: error("A bug of this server"),
    503: error("The server has too much to do; see `Retry-After`"),
  };
}

/** A schema with those that have a title moved to where all can refer to them. */
function hoisted(schema: JsonSchema, schemas: Json): unknown {
  const inner = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inner);
    if (typeof value !== "object" || value === null) return value;
    const { $schema: _, ...fields } = value as Json;
    const copy = Object.fromEntries(
      Object.entries(fields).map(([key, part]) => [key, inner(part)]),
    );
    const { title } = copy;
    if (typeof title !== "string") return copy;
    schemas[title] = copy;
    return { $ref: `#/components/schemas/${title}` };
  };
  return inner(schema);
}
