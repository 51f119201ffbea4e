/**
 * JSON Schemas of what the API sends, named by their `title` in its document;
 * the types are in `wire/resources.ts`.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import type { Answer } from "../http/operation.ts";

const text: JsonSchema = { type: "string" };
const flag: JsonSchema = { type: "boolean" };
const count: JsonSchema = { type: "integer", minimum: 0 };
const texts: JsonSchema = { type: "array", items: text };
const time: JsonSchema = { type: "string", format: "date-time" };

/** An object with these fields, all of them there unless they are named. */
function object(
  title: string,
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema {
  return {
    title,
    type: "object",
    properties,
    required: Object.keys(properties).filter((name) =>
      !optional.includes(name)
    ),
  };
}

function orNull(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: "null" }] };
}

function listOf(items: JsonSchema): JsonSchema {
  return { type: "array", items };
}

const error = object("Error", { code: text, message: text, field: text }, [
  "field",
]);

/** The body of an error. */
export const errorSchema: JsonSchema = object("ErrorBody", { error });

/** An answer that is an error. */
export function errorAnswer(description: string): Answer {
  return { description, schema: errorSchema };
}

const image = object("Image", { url: text, width: count, height: count });

const progress = object("Progress", {
  stage: { enum: ["load", "prepare", "identity", "denoise", "decode"] },
  network: text,
  done: count,
  total: count,
  secondsLeft: orNull({ type: "number" }),
}, ["network"]);

/** A job. */
export const jobSchema: JsonSchema = object("Job", {
  id: text,
  state: { enum: ["waiting", "running", "done", "failed", "cancelled"] },
  position: orNull(count),
  progress: orNull(progress),
  settings: { type: "object" },
  images: listOf(image),
  references: listOf(image),
  warnings: texts,
  truncatedPrompt: text,
  error: orNull(error),
  createdAt: time,
  startedAt: orNull(time),
  endedAt: orNull(time),
});

const face = object("Face", {
  rect: {
    type: "object",
    properties: {
      left: { type: "number" },
      top: { type: "number" },
      right: { type: "number" },
      bottom: { type: "number" },
    },
  },
  score: { type: "number" },
  aligned: text,
}, ["aligned"]);

/** The faces of a photo. */
export const facesSchema: JsonSchema = object("Faces", {
  width: count,
  height: count,
  faces: listOf(face),
  aligns: flag,
});

/** An encoded person. */
export const identitySchema: JsonSchema = object("Identity", {
  id: text,
  faces: listOf(image),
  warnings: texts,
});

/** The model. */
export const modelSchema: JsonSchema = object("Model", {
  name: text,
  hash: text,
  adapterHash: orNull(text),
  dtype: orNull({ enum: ["f16", "f32"] }),
  gpu: orNull(text),
  size: {
    type: "object",
    properties: { own: count, multiple: count },
    required: ["own", "multiple"],
  },
  maxReferences: count,
  alignFaces: flag,
  faces: {
    type: "object",
    properties: { detects: flag, aligns: flag },
    required: ["detects", "aligns"],
  },
  previews: flag,
  taesd: flag,
});

/** The extra files. */
export const extrasSchema: JsonSchema = object("Extras", {
  loras: texts,
  embeddings: texts,
  controlnets: texts,
  upscalers: texts,
});

/** What health answers. */
export const healthSchema: JsonSchema = object("Health", {
  status: { const: "ok" },
  waiting: count,
  running: count,
  workers: count,
});
