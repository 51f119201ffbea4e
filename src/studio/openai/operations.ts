/**
 * OpenAI's operations: images from a prompt, images of the person in photos, and
 * the list of models.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import type { Studio } from "../api/studio.ts";
import { requestOf, submit } from "../compatible/order.ts";
import { givenPhotos, readOwnFields } from "../compatible/own_fields.ts";
import type { Answer, ApiRequest, Operation } from "../http/operation.ts";
import { imagesAnswer } from "./answer.ts";
import { sayOpenAiError } from "./errors.ts";
import {
  checkModel,
  formatOf,
  type ImageFields,
  imageSchema,
  ownFieldsOf,
  settingsOf,
} from "./fields.ts";
import { streamAnswer, type StreamKind } from "./stream.ts";

const tag = "OpenAI";

/**
 * All of them.
 *
 * @param period milliseconds between signs of life while a client waits
 */
export function openaiOperations(
  studio: Studio,
  period: number,
): Operation[] {
  const { model } = studio.queue;
  return [
    {
      method: "post",
      path: "/v1/images/generations",
      tag,
      summary: "Make images from a prompt",
      description:
        "As OpenAI's. Without `masterweaver.references` or `masterweaver.identity` the images show nobody in particular.",
      body: { schema: imageSchema(model, "generations") },
      answers: { 200: images, ...faults },
      sayError: sayOpenAiError,
      anyQuery: true,
      handle: (request) => make(studio, request, "image_generation", period),
    },
    {
      method: "post",
      path: "/v1/images/edits",
      tag,
      summary: "Make images of the person in photos",
      description: "As OpenAI's: the images to edit are the reference photos.",
      body: { schema: imageSchema(model, "edits"), multipart: true },
      answers: { 200: images, ...faults },
      sayError: sayOpenAiError,
      anyQuery: true,
      handle: (request) => make(studio, request, "image_edit", period),
    },
    ...modelOperations(studio),
  ];
}

const openAiErrorSchema: JsonSchema = {
  type: "object",
  properties: {
    error: {
      type: "object",
      properties: {
        message: { type: "string" },
        type: { type: "string" },
        param: { type: ["string", "null"] },
        code: { type: "string" },
      },
    },
  },
};
const images: Answer = {
  description: "The images, or with `stream` their events",
  schema: {
    type: "object",
    properties: {
      created: { type: "integer" },
      data: {
        type: "array",
        items: {
          type: "object",
          properties: {
            b64_json: { type: "string" },
            url: { type: "string" },
          },
        },
      },
    },
  },
};
const faults: Readonly<Record<number, Answer>> = {
  400: {
    description: "A field or a photo cannot be used",
    schema: openAiErrorSchema,
  },
  404: { description: "There is no such model", schema: openAiErrorSchema },
  503: { description: "Too many jobs wait", schema: openAiErrorSchema },
};

async function make(
  studio: Studio,
  { body, client, raw, signal }: ApiRequest,
  kind: StreamKind,
  period: number,
): Promise<Response> {
  const fields = body as ImageFields;
  const isEdit = kind === "image_edit";
  const own = readOwnFields(ownFieldsOf(fields), "masterweaver");
  const photos = givenPhotos(fields.image ?? [], "image");
  const request = await requestOf(studio, {
    settings: settingsOf(fields, studio.queue.model),
    own: { ...own, photos: [...photos, ...own.photos] },
    format: formatOf(fields),
    preview: fields.stream === true && (fields.partial_images ?? 0) > 0,
  }, {
    photos: isEdit ? "image" : "masterweaver.references",
    options: { width: "size", height: "size", numImages: "n" },
  });
  const [job] = await submit(studio, { name: kind, client }, [request]);
  if (fields.stream) return streamAnswer(studio, job, fields, { kind, period });
  return await imagesAnswer(
    studio,
    fields,
    { jobs: [job], signal, period },
    originOf(raw),
  );
}

/** This server's origin, as the client calls it: a proxy may have taken TLS off. */
function originOf({ url, headers }: Request): string {
  const { protocol, host } = new URL(url);
  const isTls = headers.get("x-forwarded-proto") === "https";
  return `${isTls ? "https:" : protocol}//${host}`;
}

function modelOperations({ queue }: Studio): Operation[] {
  const model = {
    id: queue.model.name,
    object: "model",
    created: Math.floor(Date.now() / 1000),
    owned_by: "masterweaver",
  };
  return [
    {
      method: "get",
      path: "/v1/models",
      tag,
      summary: "List the models: the one that is loaded",
      answers: { 200: { description: "The list" } },
      sayError: sayOpenAiError,
      anyQuery: true,
      handle: () => Response.json({ object: "list", data: [model] }),
    },
    {
      method: "get",
      path: "/v1/models/:id",
      tag,
      summary: "A model",
      answers: {
        200: { description: "The model" },
        404: {
          description: "There is no such model",
          schema: openAiErrorSchema,
        },
      },
      sayError: sayOpenAiError,
      anyQuery: true,
      handle({ params }) {
        checkModel(params.id, queue.model);
        return Response.json(model);
      },
    },
  ];
}
