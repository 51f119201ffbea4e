/**
 * `POST /api/upscale`: takes in a job that makes an image larger.
 *
 * @module
 */
import { nearestNames } from "../../base/nearest.ts";
import { checkUpscaledSize } from "../../components/passes.ts";
import { uprightSize } from "../../host/codecs/decode_image.ts";
import { checkSettings } from "../../options/options.ts";
import { table } from "../../options/table.ts";
import { type ApiError, badField } from "../errors.ts";
import type { Operation } from "../http/operation.ts";
import { Job, type JobRequest } from "../jobs/job.ts";
import { photoSchema, readPhoto } from "./photos.ts";
import { errorAnswer, jobSchema } from "./schemas.ts";
import type { Studio } from "./studio.ts";

/** What is to be made larger, and how. */
export interface UpscaleFields {
  /** The image: a data URL or base64. */
  readonly image: string;
  /** `lanczos`, or an upscaler's name; `lanczos` where not given. */
  readonly upscaler?: string;
  /** By how much; 2 where not given. */
  readonly upscaleBy?: number;
  /** The format of the file; `png` where not given. */
  readonly format?: "png" | "jpeg";
}

const LANCZOS = "lanczos";

/** The operation. */
export function upscaleOperation(studio: Studio): Operation {
  return {
    method: "post",
    path: "/api/upscale",
    tag: "Images",
    summary: "Make an image larger",
    description:
      "Answers as soon as the job is taken in; its events tell the rest. Nothing else of the image changes.",
    body: { schema: upscaleSchema, multipart: true },
    answers: {
      202: { description: "The job, which waits now", schema: jobSchema },
      503: errorAnswer("Too many jobs wait; see `Retry-After`"),
    },
    async handle({ body, client }) {
      const request = await upscaleRequest(studio, body as UpscaleFields);
      const job = new Job(client, request);
      await studio.queue.add(job);
      studio.jobs.add(job);
      studio.log("upscale", job);
      return Response.json(job.resource(), {
        status: 202,
        headers: { location: `/api/jobs/${job.id}` },
      });
    },
  };
}

const upscaleSchema = {
  type: "object",
  properties: {
    image: photoSchema,
    upscaler: {
      type: "string",
      default: LANCZOS,
      description: "lanczos, or a name that `/api/extras` lists",
    },
    upscaleBy: { ...table.upscaleBy.type.schema, default: 2 },
    format: { enum: ["png", "jpeg"], default: "png" },
  },
  required: ["image"],
  additionalProperties: false,
};

/**
 * Checks what is to be made larger.
 *
 * @param field what messages call the image
 * @throws {ApiError} 400 `bad-request`, 413 `too-large`, 415 `unsupported-type`; {MasterWeaverError} `bad-option`
 */
export async function upscaleRequest(
  { queue }: Studio,
  { image, upscaler = LANCZOS, upscaleBy = 2, format = "png" }: UpscaleFields,
  field = "image",
): Promise<JobRequest> {
  const { model } = queue;
  const { upscalers } = await queue.extras();
  if (upscaler !== LANCZOS && !upscalers.includes(upscaler)) {
    throw unknownUpscaler("upscaler", upscaler, [LANCZOS, ...upscalers]);
  }
  const initImage = await readPhoto(image, field);
  const size = uprightSize(initImage.bytes);
  if (size) checkUpscaledSize(size, upscaleBy);
  return {
    settings: checkSettings(
      { prompt: "", upscale: upscaler, upscaleBy },
      model.size,
    ),
    person: null,
    sources: { initImage, controls: [] },
    format,
    preview: false,
    only: "upscale",
    modelHash: model.hash,
  };
}

/** The error of an upscaler that is not here, with those whose names are nearest. */
export function unknownUpscaler(
  field: string,
  name: string,
  names: readonly string[],
): ApiError {
  const near = nearestNames(name.slice(0, 60), names, 4, Infinity);
  return badField(
    field,
    `must be an upscaler that is here, such as ${near.join(", ")}, got ${
      name.slice(0, 60)
    }`,
  );
}
