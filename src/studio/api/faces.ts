/**
 * `POST /api/faces`: the faces of a photo.
 *
 * @module
 */
import type { Operation } from "../http/operation.ts";
import { photoSchema, readPhoto } from "./photos.ts";
import { errorAnswer, facesSchema } from "./schemas.ts";
import type { Studio } from "./studio.ts";

/** The operation. */
export function facesOperation({ photos }: Studio): Operation {
  return {
    method: "post",
    path: "/api/faces",
    tag: "Identities",
    summary: "Find and align the faces of a photo",
    description:
      "The best face comes first; its place in the list is what the option `face` takes.",
    body: {
      schema: {
        type: "object",
        properties: { photo: photoSchema },
        required: ["photo"],
        additionalProperties: false,
      },
      multipart: true,
      maxBytes: 28_000_000,
    },
    answers: {
      200: { description: "The faces", schema: facesSchema },
      422: errorAnswer("The photo cannot be decoded"),
    },
    async handle({ body, client, signal }) {
      const { photo } = body as { photo: string };
      const file = await readPhoto(photo, "photo");
      return Response.json(await photos.faces(file, client, signal));
    },
  };
}
