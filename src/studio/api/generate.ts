/**
 * `POST /api/generate`: takes in a job that makes images.
 *
 * @module
 */
import { optionsSchema } from "../../options/schema.ts";
import type { IdentityChoices, Settings } from "../../options/settings.ts";
import { optionsOf } from "../../options/table.ts";
import type { JsonSchema } from "../../options/types.ts";
import type { EncodedIdentity, Person, Photo } from "../engine/engine.ts";
import { ApiError, badField } from "../errors.ts";
import type { Operation } from "../http/operation.ts";
import { Job } from "../jobs/job.ts";
import { MAX_PROMPT, type ModelResource } from "../wire/resources.ts";
import { checkPerson } from "./person.ts";
import { listed, photoSchema, readPhotos } from "./photos.ts";
import { errorAnswer, jobSchema } from "./schemas.ts";
import { checkJobSettings } from "./settings.ts";
import { readSources, type SourceFields, sourceSchemas } from "./sources.ts";
import type { Studio } from "./studio.ts";

/** A request's body, as {@linkcode generateSchema} lets it through. */
type GenerateBody =
  & Partial<IdentityChoices>
  & Partial<Settings>
  & SourceFields
  & {
    readonly prompt: string;
    readonly seed?: number | string;
    readonly references?: readonly string[];
    readonly identity?: string;
    readonly format?: "png" | "jpeg";
    readonly preview?: boolean;
  };

/** The header with a job's id, where the client chooses it. */
const KEY = "idempotency-key";
const keySchema: JsonSchema = {
  type: "string",
  pattern: "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
  description:
    "A new UUID for each job, which becomes its id: a request that is sent again, because its answer was lost, gets the same job",
};

/** The operation. */
export function generateOperation(studio: Studio): Operation {
  const { model } = studio.queue;
  const once = oncePerId(studio);
  return {
    method: "post",
    path: "/api/generate",
    tag: "Images",
    summary: "Make images, of a person or of nobody in particular",
    description:
      "Answers as soon as the job is taken in; its events tell the rest. For images of a person give either `references` or an `identity`; without them they are plain Stable Diffusion's. An initial image, its mask and all control images may have 100 megapixels together.",
    headers: { [KEY]: keySchema },
    body: { schema: generateSchema(model), multipart: true },
    answers: {
      202: { description: "The job, which waits now", schema: jobSchema },
      404: errorAnswer("There is no such identity"),
      503: errorAnswer("Too many jobs wait; see `Retry-After`"),
    },
    async handle({ body, client, headers }) {
      const job = await once(
        headers[KEY]?.toLowerCase(),
        client,
        (id) => take(body as GenerateBody, studio, client, id),
      );
      return Response.json(job.resource(), {
        status: 202,
        headers: { location: `/api/jobs/${job.id}` },
      });
    },
  };
}

/** Takes a job in. */
async function take(
  given: GenerateBody,
  studio: Studio,
  client: string,
  id?: string,
): Promise<Job> {
  const { format = "png", preview = false } = given;
  const { model } = studio.queue;
  const photos = await readPhotos(
    listed(given.references ?? [], "references"),
  );
  const person = personOf(given, photos, studio);
  const sources = await readSources(given, photos);
  const hasPerson = person !== null;
  const settings = checkJobSettings(
    settingsIn(given),
    { sources, hasPerson, model },
  );
  const modelHash = model.hash;
  const request = { settings, person, sources, format, preview, modelHash };
  const job = new Job(client, request, id);
  await studio.queue.add(job);
  studio.jobs.add(job);
  studio.log("generate", job);
  return job;
}

/** Takes a job in unless there is one of its id, or one that is being taken in. */
function oncePerId({ jobs }: Studio) {
  const coming = new Map<string, Promise<Job>>();
  return async (
    id: string | undefined,
    client: string,
    take: (id?: string) => Promise<Job>,
  ): Promise<Job> => {
    if (id === undefined) return await take();
    let job = jobs.find(id) ?? coming.get(id);
    if (!job) {
      job = take(id).finally(() => coming.delete(id));
      coming.set(id, job);
    }
    const known = await job;
    if (known.client === client) return known;
    throw new ApiError(
      400,
      "bad-request",
      `Field ${KEY} is the id of another client's job; make a new UUID for each job`,
      { field: KEY },
    );
  };
}

/** The schema of its body: the table's options, and what only the API has. */
function generateSchema(model: ModelResource): JsonSchema {
  const { properties, ...schema } = optionsSchema(model.size);
  const prompt = { maxLength: MAX_PROMPT };
  return {
    ...schema,
    properties: {
      references: referencesSchema(model),
      identity: {
        type: "string",
        description: "The id of an identity, in place of `references`",
      },
      ...sourceSchemas,
      ...properties,
      prompt: { ...properties.prompt, ...prompt },
      negativePrompt: { ...properties.negativePrompt, ...prompt },
      format: {
        enum: ["png", "jpeg"],
        default: "png",
        description: "the format of the images' files",
      },
      preview: {
        type: "boolean",
        default: false,
        description: "whether events show what the images look like so far",
      },
    },
  };
}

/** The schema of reference photos. */
export function referencesSchema({ maxReferences }: ModelResource): JsonSchema {
  return {
    type: "array",
    items: photoSchema,
    minItems: 1,
    // A model that follows nobody says so itself.
    maxItems: Math.max(1, maxReferences),
    description: "Photos of one person",
  };
}

/** The options of one kind that a body has. */
function optionsIn(
  given: GenerateBody,
  kind: "identity" | "image",
): Partial<IdentityChoices & Settings> {
  const names = optionsOf(kind).map(({ name }) => name);
  return Object.fromEntries(
    Object.entries(given).filter(([given]) =>
      names.some((name) => name === given)
    ),
  );
}

/** The settings among the fields. */
function settingsIn(
  given: GenerateBody,
): Partial<Settings> & { prompt: string } {
  const { prompt, seed } = given;
  return {
    ...optionsIn(given, "image"),
    prompt,
    seed: typeof seed === "string" ? BigInt(seed) : seed,
  };
}

/** Who the images show; null for nobody in particular. */
function personOf(
  given: GenerateBody,
  photos: readonly Photo[],
  studio: Studio,
): Person | EncodedIdentity | null {
  const { identity } = given;
  const choices = optionsIn(given, "identity");
  if (photos.length > 0) {
    if (identity !== undefined) {
      throw badField(
        "identity",
        "and references were given: give either references, which are photos, or an identity",
      );
    }
    const person = { photos, choices };
    checkPerson(person, studio.queue.model);
    return person;
  }
  const [field] = Object.keys(choices);
  if (field !== undefined) {
    throw badField(
      field,
      identity === undefined
        ? "belongs to photos: give references, too, or leave it out"
        : "belongs to photos: give it where the identity is made",
    );
  }
  return identity === undefined ? null : studio.identities.get(identity);
}
