/**
 * AUTOMATIC1111's operations, for programs that are made for its web UI.
 *
 * @module
 */
import type { JsonSchema } from "../../options/types.ts";
import { fromBase64, photoSchema } from "../api/photos.ts";
import type { Studio } from "../api/studio.ts";
import { ApiError } from "../errors.ts";
import type { Operation } from "../http/operation.ts";
import { controlNetListings } from "./controlnet_listings.ts";
import { sayA1111Error } from "./errors.ts";
import { taskSchema } from "./fields.ts";
import { extrasSchema, makeLarger } from "./extras.ts";
import { makeImages } from "./images.ts";
import { listings } from "./listings.ts";
import { checkKept, optionsOfServer } from "./options.ts";
import { pngInfo } from "./png_info.ts";
import { progressOf } from "./progress.ts";
import { Tasks } from "./tasks.ts";

/** An operation without what all of these share. */
type Part = Omit<Operation, "tag" | "path" | "sayError" | "answers"> & {
  /** Below `/sdapi/v1/`; with a slash before it, below nothing. */
  readonly name: string;
  /** What a good answer is. */
  readonly answer: string;
};

const IMAGES =
  "Reference photos go into `masterweaver.references`, or `alwayson_scripts.masterweaver.args`; ControlNets into `alwayson_scripts.controlnet.args`. What would change the image and is not done here is refused by name.";

/**
 * All of them.
 *
 * @param period milliseconds between signs of life while a client waits
 */
export function a1111Operations(studio: Studio, period: number): Operation[] {
  const { queue } = studio;
  const { model } = queue;
  const tasks = new Tasks(queue);
  const parts: Part[] = [
    {
      name: "txt2img",
      method: "post",
      summary: "Make images, of a person where reference photos are given",
      description: IMAGES,
      body: { schema: taskSchema("txt2img", model) },
      answer: "The images",
      handle: (request) =>
        makeImages(studio, { name: "txt2img", tasks, period }, request),
    },
    {
      name: "img2img",
      method: "post",
      summary: "Make images from an image, or repaint a part of it",
      description: IMAGES,
      body: { schema: taskSchema("img2img", model) },
      answer: "The images",
      handle: (request) =>
        makeImages(studio, { name: "img2img", tasks, period }, request),
    },
    ...(["extra-single-image", "extra-batch-images"] as const).map((
      name,
      several,
    ): Part => ({
      name,
      method: "post",
      summary: several ? "Make images larger" : "Make an image larger",
      body: { schema: extrasSchema(several ? "several" : "one") },
      answer: several ? "The images" : "The image",
      handle: (request) => makeLarger(studio, { tasks, period }, request),
    })),
    ...taskParts(tasks),
    ...optionParts(studio),
    {
      name: "png-info",
      method: "post",
      summary: "Read the settings inside an image file",
      body: { schema: imageSchema, maxBytes: 28_000_000 },
      answer: "The settings",
      handle({ body }) {
        const { image } = body as { readonly image: string };
        return Response.json(pngInfo(fromBase64(image, "image")));
      },
    },
    ...missingParts(),
    ...Object.entries({ ...listings(model), ...controlNetListings }).map((
      [name, [summary, answer]],
    ): Part => ({
      name,
      method: "get",
      summary,
      answer: "The list",
      handle: async () => Response.json(answer(await queue.extras())),
    })),
  ];
  return parts.map(({ name, answer, ...part }) => ({
    ...part,
    path: name.startsWith("/") ? name : `/sdapi/v1/${name}`,
    tag: "AUTOMATIC1111",
    answers: {
      200: { description: answer },
      404: { description: "There is no such model, or no such feature" },
      422: { description: "A field cannot be used; `detail` says which" },
    },
    sayError: sayA1111Error,
    anyQuery: true,
  }));
}

function taskParts(tasks: Tasks): Part[] {
  return [
    {
      name: "progress",
      method: "get",
      summary: "How far the client's request is",
      query: {
        skip_current_image: {
          // Python's clients send a capital letter.
          enum: ["true", "false", "True", "False", "1", "0"],
        },
      },
      answer: "Progress, and what the image looks like so far",
      handle({ client, query }) {
        const skips = /^(true|1)$/i.test(query.skip_current_image ?? "");
        return Response.json(progressOf(tasks.current(client), skips));
      },
    },
    {
      name: "interrupt",
      method: "post",
      summary: "Stop the client's request; it answers with what is finished",
      answer: "Nothing",
      async handle({ client }) {
        await tasks.interrupt(client);
        return Response.json({});
      },
    },
    {
      name: "skip",
      method: "post",
      summary: "Leave out the image that is being made",
      answer: "Nothing",
      async handle({ client }) {
        await tasks.skip(client);
        return Response.json({});
      },
    },
  ];
}

function optionParts({ queue: { model } }: Studio): Part[] {
  return [
    {
      name: "options",
      method: "get",
      summary: "The options, as far as they matter to an image",
      answer: "The options",
      handle: () => Response.json(optionsOfServer(model)),
    },
    {
      name: "options",
      method: "post",
      summary: "Check options: nothing is kept from one request to another",
      body: { schema: { type: "object" } },
      answer: "Nothing",
      handle({ body }) {
        const given = body as Readonly<Record<string, unknown>>;
        checkKept(given, model);
        return Response.json(null);
      },
    },
    ...["checkpoints", "vae", "loras", "embeddings"].map((what): Part => ({
      name: `refresh-${what}`,
      method: "post",
      summary: "Does nothing: the model stays, and other files are found anew",
      answer: "Nothing",
      handle: () => Response.json(null),
    })),
  ];
}

/** What programs may ask for and is not here, so that they are told so. */
function missingParts(): Part[] {
  const missing = ["interrogate", "/controlnet/detect"];
  return missing.map((name) => ({
    name,
    method: "post",
    summary: "Not supported",
    answer: "Never given",
    handle() {
      throw new ApiError(
        404,
        "not-found",
        `${name} is not supported here; /openapi.json lists what is`,
      );
    },
  }));
}

const imageSchema: JsonSchema = {
  type: "object",
  properties: { image: photoSchema },
  required: ["image"],
};
