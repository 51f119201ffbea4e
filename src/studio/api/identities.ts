/**
 * `/api/identities`: people encoded once, for many jobs.
 *
 * @module
 */
import { optionsSchema } from "../../options/schema.ts";
import type { IdentityChoices } from "../../options/settings.ts";
import { optionsOf } from "../../options/table.ts";
import type { EncodedIdentity } from "../engine/engine.ts";
import type { Operation } from "../http/operation.ts";
import type { IdentityResource } from "../wire/resources.ts";
import { referencesSchema } from "./generate.ts";
import { fileResponse } from "./jobs.ts";
import { checkPerson } from "./person.ts";
import { listed, readPhotos } from "./photos.ts";
import { errorAnswer, identitySchema } from "./schemas.ts";
import type { Studio } from "./studio.ts";

const noIdentity = errorAnswer("There is no such identity, or not any more");

/** The operations. */
export function identityOperations(
  { queue, identities, log }: Studio,
): Operation[] {
  const { properties } = optionsSchema();
  const options = optionsOf("identity").map(({ name }) =>
    [name, properties[name]] as const
  );
  return [{
    method: "post",
    path: "/api/identities",
    tag: "Identities",
    summary: "Encode photos of a person, to make many images of them",
    description:
      "Waits until it is done, ahead of jobs that wait. The same photos and options have the same id.",
    body: {
      schema: {
        type: "object",
        properties: {
          references: referencesSchema(queue.model),
          ...Object.fromEntries(options),
        },
        required: ["references"],
        additionalProperties: false,
      },
      multipart: true,
    },
    answers: {
      201: { description: "The identity", schema: identitySchema },
      422: errorAnswer(
        "A photo cannot be decoded, or has no face where one is required",
      ),
      503: errorAnswer("Too many jobs wait; see `Retry-After`"),
    },
    async handle({ body, signal }) {
      const { references, ...choices } = body as Partial<IdentityChoices> & {
        references: readonly string[];
      };
      const photos = await readPhotos(listed(references, "references"));
      const person = { photos, choices };
      checkPerson(person, queue.model);
      const identity = await queue.encode(person, signal);
      identities.add(identity);
      log(`identity ${identity.id.slice(0, 16)}`);
      return Response.json(resourceOf(identity), {
        status: 201,
        headers: { location: `/api/identities/${identity.id}` },
      });
    },
  }, {
    method: "get",
    path: "/api/identities/:id",
    tag: "Identities",
    summary: "An identity",
    answers: {
      200: { description: "The identity", schema: identitySchema },
      404: noIdentity,
    },
    handle: ({ params }) =>
      Response.json(resourceOf(identities.get(params.id))),
  }, {
    method: "get",
    path: "/api/identities/:id/faces/:index",
    tag: "Identities",
    summary: "A reference photo as the encoder saw it",
    answers: {
      200: { description: "The file", mediaType: "image/png" },
      404: noIdentity,
    },
    handle: ({ params }) =>
      fileResponse(identities.get(params.id).faces, params.index),
  }];
}

function resourceOf(
  { id, faces, warnings }: EncodedIdentity,
): IdentityResource {
  return {
    id,
    faces: faces.map(({ width, height }, i) => ({
      url: `/api/identities/${id}/faces/${i}`,
      width,
      height,
    })),
    warnings,
  };
}
