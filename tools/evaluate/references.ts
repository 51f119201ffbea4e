/**
 * The people's references, read and embedded; and how alike the references of one
 * person and of two are, which any adapter's figures lie between.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { decodeImage } from "../../src/host/codecs/codec.ts";
import type { Image } from "../../src/image/image.ts";
import {
  type DatasetFiles,
  facePath,
  imagePath,
  listFaces,
} from "../../src/train/data/layout.ts";
import type {
  Embedder,
  ImageEmbedding,
} from "../../src/train/evaluation/embedder.ts";
import { wordFor } from "../../src/train/evaluation/nine_edits.ts";
import type { Person } from "../../src/train/evaluation/people.ts";
import {
  compareImages,
  type Scores,
  summarise,
  type Summary,
} from "../../src/train/evaluation/scores.ts";

/** A person whose reference is read. */
export interface Reference {
  /** The person's name. */
  readonly identity: string;
  /** The image's id. */
  readonly id: string;
  /** What prompts call the person. */
  readonly word: string;
  /** The image. */
  readonly image: Image;
  /** Whether it is an aligned face already. */
  readonly isAligned: boolean;
  /** Its embedding. */
  readonly embedding: ImageEmbedding;
  /** The embedding of another image of the same person, where there is one. */
  readonly other?: ImageEmbedding;
}

/** A person who is left out. */
export interface Skipped {
  /** The image that cannot be used. */
  readonly id: string;
  /** Why. */
  readonly reason: string;
}

/** Where references come from. */
export interface ReferenceSource {
  /** The data set. */
  readonly files: DatasetFiles;
  /** Whether the model's references are aligned faces. */
  readonly alignFaces: boolean;
  /** Embeds them. */
  readonly embedder: Embedder;
}

/**
 * Reads the first image of everyone; people whose image cannot be read are left
 * out.
 *
 * @throws {MasterWeaverError} `bad-data` where nobody is left
 */
export async function readReferences(
  people: readonly Person[],
  source: ReferenceSource,
): Promise<{ references: Reference[]; skipped: Skipped[] }> {
  const references: Reference[] = [];
  const skipped: Skipped[] = [];
  for (const { identity, gender, images } of people) {
    const [id, second] = images;
    try {
      const found = await readOne(id, source);
      const other = second === undefined
        ? undefined
        : await readOne(second, source);
      const embed = (image: Image) => source.embedder.embedImage(image);
      references.push({
        identity,
        id,
        word: wordFor(gender),
        ...found,
        embedding: await embed(found.image),
        ...other ? { other: await embed(other.image) } : {},
      });
    } catch (error) {
      if (!isFault(error)) throw error;
      skipped.push({ id, reason: error.message });
    }
  }
  if (references.length > 0) return { references, skipped };
  throw new MasterWeaverError(
    "bad-data",
    `Cannot evaluate: none of ${skipped.length} references can be used; the first: ${
      skipped[0].reason
    }`,
  );
}

/** Whether an image is at fault, not the machine. */
function isFault(error: unknown): error is MasterWeaverError {
  return error instanceof MasterWeaverError &&
    ["bad-data", "bad-image", "cannot-read"].includes(error.code);
}

/** The aligned face, where the model was trained on those and there is one; else the image. */
async function readOne(
  id: string,
  { files, alignFaces }: ReferenceSource,
): Promise<{ image: Image; isAligned: boolean }> {
  const [face] = alignFaces ? await listFaces(files, id) : [];
  const path = face === undefined ? imagePath(id) : facePath(id, face);
  const bytes = await files.read(path);
  if (!bytes) {
    throw new MasterWeaverError("bad-data", `${path} is missing`);
  }
  const image = await decodeImage(bytes, path);
  return { image, isAligned: face !== undefined };
}

/** How alike references are. */
export interface Baselines {
  /** Two images of one person; nothing where everyone has one. */
  readonly samePerson: Summary;
  /** Images of two people; nothing where there is one person. */
  readonly otherPerson: Summary;
}

/** Compares the references with each other. */
export function baselines(
  references: readonly Reference[],
  seed: number,
): Baselines {
  const same = references.map(({ embedding, other }): Scores[] =>
    other ? [compareImages(embedding, other)] : []
  );
  const others = references.map((one) =>
    references.filter((two) => two !== one)
      .map((two) => compareImages(one.embedding, two.embedding))
  );
  return {
    samePerson: summarise(same, seed),
    otherPerson: summarise(others, seed),
  };
}
