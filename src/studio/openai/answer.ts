/**
 * Finished images as OpenAI's endpoints answer with them.
 *
 * @module
 */
import { answerWhenEnded, failureOf, type Wait } from "../compatible/ended.ts";
import type { Studio } from "../api/studio.ts";
import type { Job } from "../jobs/job.ts";
import type { ImageFields } from "./fields.ts";

/** What was used, in tokens: nothing, for nothing is counted or billed here. */
export const usage = {
  input_tokens: 0,
  input_tokens_details: { image_tokens: 0, text_tokens: 0 },
  output_tokens: 0,
  output_tokens_details: { image_tokens: 0, text_tokens: 0 },
  total_tokens: 0,
} as const;

/** What a request asked for, as answers and events repeat it. */
export interface Echo {
  /** `WIDTHxHEIGHT`. */
  readonly size: string;
  /** What was asked for; nothing here depends on it. */
  readonly quality: string;
  /** Images have no transparency here. */
  readonly background: "opaque";
  /** The files' format. */
  readonly output_format: "png" | "jpeg";
}

/** What events and answers repeat of a request. */
export function echoOf({ quality }: ImageFields, { request }: Job): Echo {
  const { settings: { width, height }, format } = request;
  return {
    size: `${width}x${height}`,
    quality: quality ?? "auto",
    background: "opaque",
    output_format: format,
  };
}

/** Now, as OpenAI's answers have it: seconds since 1970. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}

/**
 * Answers with a job's images once they are there.
 *
 * @param origin of this server, as the client calls it
 * @throws why there are none
 */
export async function imagesAnswer(
  studio: Studio,
  fields: ImageFields,
  wait: Wait,
  origin: string,
): Promise<Response> {
  const [job] = wait.jobs;
  return await answerWhenEnded(studio, wait, () => {
    const failure = failureOf(job);
    if (failure) throw failure;
    const { size, background, output_format } = echoOf(fields, job);
    const data = fields.response_format === "url"
      ? job.resource().images.map(({ url }) => ({ url: `${origin}${url}` }))
      : job.images.map(({ bytes }) => ({ b64_json: bytes.toBase64() }));
    return { created: now(), background, data, output_format, size, usage };
  });
}
