/**
 * `extra-single-image` and `extra-batch-images`: images are made larger.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { JsonSchema } from "../../options/types.ts";
import { type GivenPhoto, photoSchema } from "../api/photos.ts";
import type { Studio } from "../api/studio.ts";
import { upscaleRequest } from "../api/upscale.ts";
import { answerWhenEnded } from "../compatible/ended.ts";
import { submit } from "../compatible/order.ts";
import type { ApiRequest } from "../http/operation.ts";
import type { JobRequest } from "../jobs/job.ts";
import { Task, type Tasks } from "./tasks.ts";
import { readUpscaler } from "./upscalers.ts";
import { badField } from "../errors.ts";

/** The fields that both share, as {@linkcode extrasSchema} lets them through. */
interface ExtrasFields {
  /** By a factor (0), or to a size. */
  readonly resize_mode?: number | null;
  /** By how much. */
  readonly upscaling_resize?: number | null;
  /** The upscaler. */
  readonly upscaler_1?: string | null;
  /** Another, mixed in. */
  readonly upscaler_2?: string | null;
  /** The share of the other. */
  readonly extras_upscaler_2_visibility?: number | null;
  /** The image of one operation. */
  readonly image?: string;
  /** The images of the other. */
  readonly imageList?: readonly { readonly data: string }[];
}

/** The most images of a request. */
const MOST_IMAGES = 16;

/** That program's own default. */
const BY = 2;

/** Fields that would change the image, and are not done here. */
const refused = [
  "gfpgan_visibility",
  "codeformer_visibility",
  "extras_upscaler_2_visibility",
] as const;

const number = { type: ["number", "null"] };
const text = { type: ["string", "null"] };
const anything = { description: "Not used" };

/** Describes a request. */
export function extrasSchema(of: "one" | "several"): JsonSchema {
  const zero = { ...number, description: "Not supported: 0 only" };
  return {
    type: "object",
    properties: {
      ...of === "one" ? { image: photoSchema } : {
        imageList: {
          type: "array",
          minItems: 1,
          maxItems: MOST_IMAGES,
          items: {
            type: "object",
            properties: { data: photoSchema, name: text },
            required: ["data"],
          },
        },
      },
      resize_mode: { ...number, description: "Not supported: 0 only" },
      upscaling_resize: { ...number, description: "By how much, 1..8" },
      upscaler_1: { ...text, description: "As `upscalers` lists them" },
      upscaler_2: { ...text, description: "Not supported: None only" },
      ...Object.fromEntries(refused.map((name) => [name, zero])),
      codeformer_weight: anything,
      upscale_first: anything,
      show_extras_results: anything,
      upscaling_resize_w: anything,
      upscaling_resize_h: anything,
      upscaling_crop: anything,
    },
    required: [of === "one" ? "image" : "imageList"],
    additionalProperties: true,
  };
}

/** Answers a request once its images are there. */
export async function makeLarger(
  studio: Studio,
  { tasks, period }: { readonly tasks: Tasks; readonly period: number },
  { body, client, signal }: ApiRequest,
): Promise<Response> {
  const fields = body as ExtrasFields;
  const requests = await requestsOf(studio, fields);
  const name = "upscale";
  const task = new Task(await submit(studio, { name, client }, requests));
  tasks.add(client, task);
  const wait = { jobs: task.jobs, signal, period };
  return await answerWhenEnded(studio, wait, () => {
    if (task.failure) throw task.failure;
    const images = task.jobs.flatMap(({ images }) =>
      images.map(({ bytes }) => bytes.toBase64())
    );
    const html_info = "";
    return fields.imageList
      ? { html_info, images }
      : { html_info, image: images[0] ?? null };
  });
}

function imagesOf({ image, imageList }: ExtrasFields): GivenPhoto[] {
  return imageList?.map(({ data }, i) => ({
    text: data,
    field: `imageList.${i}.data`,
  })) ?? [{ text: image!, field: "image" }];
}

async function requestsOf(
  studio: Studio,
  fields: ExtrasFields,
): Promise<JobRequest[]> {
  for (const name of [...refused, "resize_mode"] as const) {
    const given = Object(fields)[name];
    if (!given) continue;
    throw badField(name, "is not supported here, except as 0");
  }
  if (fields.upscaler_2 && fields.upscaler_2 !== "None") {
    throw badField("upscaler_2", "is not supported here, except as None");
  }
  const { upscalers } = await studio.queue.extras();
  const upscaler = readUpscaler(
    fields.upscaler_1 ?? "None",
    upscalers,
    "upscaler_1",
  );
  const upscaleBy = fields.upscaling_resize ?? BY;
  if (!(upscaleBy >= 1 && upscaleBy <= 8)) {
    throw badField("upscaling_resize", `must be in 1..8, got ${upscaleBy}`);
  }
  const requests: JobRequest[] = [];
  for (const { text: image, field } of imagesOf(fields)) {
    try {
      requests.push(
        await upscaleRequest(studio, { image, upscaler, upscaleBy }, field),
      );
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      // All else was checked: the image would be too large.
      throw badField(
        "upscaling_resize",
        error.message.replace(/^Option \w+ /, ""),
      );
    }
  }
  return requests;
}
