/**
 * Who is in a data set, and who of them is evaluated.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { type DatasetFiles, FOLDERS, listIds } from "../data/layout.ts";

/** Names each line's id and person; data sets of photos have no such file. */
export const IDENTITIES = "identities.jsonl";

/** A person. */
export interface Person {
  /** The person's own name. */
  readonly identity: string;
  /** `male` or `female`, where the data set says. */
  readonly gender?: string;
  /** The ids of the images that show the person, in order; at least one. */
  readonly images: readonly string[];
}

/** A line of {@linkcode IDENTITIES}. */
interface Line {
  readonly id: string;
  readonly identity: string | number;
  readonly gender?: unknown;
}

/**
 * Lists the people of a data set. Without {@linkcode IDENTITIES} every image
 * shows a person of its own.
 *
 * @throws {MasterWeaverError} `bad-data` where there are no images, or a line cannot be read
 */
export async function listPeople(files: DatasetFiles): Promise<Person[]> {
  const ids = await listIds(files) ?? [];
  if (ids.length === 0) {
    throw bad(
      `the data set has no images: ${FOLDERS.images} is missing or without any <id>.jpg`,
    );
  }
  const text = await files.read(IDENTITIES);
  if (text === undefined) {
    return ids.map((id) => ({ identity: id, images: [id] }));
  }
  const known = new Set(ids);
  const people = new Map<string, Person & { readonly images: string[] }>();
  for (const { id, identity, gender } of readLines(text)) {
    // Portraits that were drawn again or taken out are no fault of the others.
    if (!known.has(id)) continue;
    const name = String(identity);
    const person = people.get(name) ?? {
      identity: name,
      ...typeof gender === "string" ? { gender } : {},
      images: [],
    };
    if (!person.images.includes(id)) person.images.push(id);
    people.set(name, person);
  }
  if (people.size > 0) return [...people.values()];
  throw bad(`${IDENTITIES} names none of the images in ${FOLDERS.images}`);
}

function readLines(bytes: Uint8Array<ArrayBuffer>): Line[] {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw bad(`${IDENTITIES} is not UTF-8`, cause);
  }
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const found = parse(line);
    if (isLine(found)) return [found];
    throw bad(
      `line ${
        i + 1
      } of ${IDENTITIES} is not JSON with a plain id and an identity, such as {"id": "000012_3", "identity": 12}`,
    );
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** An id becomes part of a path, so it must be a plain name. */
function isLine(value: unknown): value is Line {
  if (typeof value !== "object" || value === null) return false;
  const { id, identity } = value as Record<string, unknown>;
  return typeof id === "string" && /^[^./\\][^/\\]*$/.test(id) &&
    (typeof identity === "string" || Number.isFinite(identity));
}

/**
 * Chooses people at equal steps from the first one on: the same for the same data,
 * and not only its first ones.
 *
 * @param count how many; all where there are no more
 */
export function choosePeople(
  people: readonly Person[],
  count: number,
): readonly Person[] {
  if (count >= people.length) return people;
  const step = Math.floor(people.length / count);
  return people.filter((_, i) => i % step === 0).slice(0, count);
}

function bad(what: string, cause?: unknown): MasterWeaverError {
  return new MasterWeaverError("bad-data", `Cannot evaluate: ${what}`, {
    cause,
  });
}
