/**
 * `/api/jobs`: what became of jobs, and stopping them.
 *
 * @module
 */
import type { ImageFile } from "../engine/engine.ts";
import { ApiError } from "../errors.ts";
import type { Operation } from "../http/operation.ts";
import { errorAnswer, jobSchema } from "./schemas.ts";
import type { Studio } from "./studio.ts";

const noJob = errorAnswer("There is no such job, or not any more");
const imageAnswer = { description: "The file", mediaType: "image/*" };

/** The operations. */
export function jobOperations({ jobs, queue }: Studio): Operation[] {
  return [{
    method: "get",
    path: "/api/jobs",
    tag: "Jobs",
    summary: "The jobs of this client, the newest first",
    answers: {
      200: {
        description: "At most 100 jobs",
        schema: { type: "array", items: jobSchema },
      },
    },
    handle: ({ client }) =>
      Response.json(
        [...jobs.all()].filter((job) => job.client === client).reverse()
          .slice(0, 100).map((job) => job.resource()),
      ),
  }, {
    method: "get",
    path: "/api/jobs/:id",
    tag: "Jobs",
    summary: "A job as it is now",
    answers: { 200: { description: "The job", schema: jobSchema }, 404: noJob },
    handle: ({ params }) => Response.json(jobs.get(params.id).resource()),
  }, {
    method: "delete",
    path: "/api/jobs/:id",
    tag: "Jobs",
    summary: "Stop a job",
    description:
      "A job that waits ends at once, one that runs within about a second; one that has ended stays as it is.",
    answers: {
      200: { description: "The job as it is now", schema: jobSchema },
      404: noJob,
    },
    async handle({ params }) {
      const job = jobs.get(params.id);
      await queue.cancel(job, "Stopped on request");
      return Response.json(job.resource());
    },
  }, {
    method: "get",
    path: "/api/jobs/:id/images/:index",
    tag: "Jobs",
    summary: "An image of a job that is done",
    answers: { 200: imageAnswer, 404: errorAnswer("There is no such image") },
    handle: ({ params }) =>
      fileResponse(jobs.get(params.id).images, params.index),
  }, {
    method: "get",
    path: "/api/jobs/:id/references/:index",
    tag: "Jobs",
    summary: "A reference photo as the encoder saw it",
    answers: {
      200: imageAnswer,
      404: errorAnswer("There is no such reference"),
    },
    handle: ({ params }) =>
      fileResponse(jobs.get(params.id).faces, params.index),
  }];
}

/**
 * Answers with one of some files.
 *
 * @throws {ApiError} 404 `not-found`
 */
export function fileResponse(
  files: readonly ImageFile[],
  index: string,
): Response {
  const file = /^\d{1,3}$/.test(index) ? files[Number(index)] : undefined;
  if (!file) {
    throw new ApiError(404, "not-found", "There is no such image here");
  }
  return new Response(file.bytes, {
    headers: {
      "content-type": file.mediaType,
      // It never changes: its path has the hash or the job's own id.
      "cache-control": "private, max-age=3600, immutable",
    },
  });
}
