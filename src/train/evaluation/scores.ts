/**
 * What an image is worth: whether it shows what was asked for, and who.
 *
 * @module
 */
import { clusterBootstrap, type Estimate } from "./bootstrap.ts";
import type { ImageEmbedding } from "./embedder.ts";
import { cosine, rankAmong } from "./similarity.ts";

/** What is measured, in the order of reports. */
export const MEASURES = [
  "clipT",
  "clipI",
  "faceSimilarity",
  "featureSimilarity",
  "editFirst",
] as const;

/**
 * A measure. `clipT`: cosine of CLIP's embeddings of an image and of its prompt.
 * `clipI`: of those of two images. `faceSimilarity`: cosine of two images'
 * faces' identity embeddings. `featureSimilarity`: of the faces' mean patch tokens
 * of the image tower's penultimate layer, where there is no identity head; it tells
 * images apart, not people. `editFirst`: 1 where the asked edit's prompt is closer to the
 * image than those of the other edits.
 */
export type Measure = typeof MEASURES[number];

/** Scores by measure; those that the model cannot give are missing. */
export type Scores = Readonly<Partial<Record<Measure, number>>>;

/** Estimates by measure. */
export type Summary = Readonly<Partial<Record<Measure, Estimate>>>;

/** An image, by the embeddings of everything it is compared with. */
export interface Compared {
  /** The image's own. */
  readonly image: ImageEmbedding;
  /** The reference's. */
  readonly reference: ImageEmbedding;
  /** CLIP's embeddings of every edit's prompt, if images can be compared with texts. */
  readonly prompts?: readonly Float32Array[];
  /** Which of the prompts the image was made from. */
  readonly asked: number;
}

/** How alike two images are. */
export function compareImages(a: ImageEmbedding, b: ImageEmbedding): Scores {
  return {
    ...a.clip && b.clip ? { clipI: cosine(a.clip, b.clip) } : {},
    ...a.identity && b.identity
      ? { faceSimilarity: cosine(a.identity, b.identity) }
      : { featureSimilarity: cosine(a.features, b.features) },
  };
}

/** The scores of an image, and the asked edit's place among all, from 1. */
export function scoreImage(
  { image, reference, prompts, asked }: Compared,
): { readonly scores: Scores; readonly rank?: number } {
  const alike = compareImages(image, reference);
  const { clip } = image;
  if (!prompts || !clip) return { scores: alike };
  const closeness = prompts.map((prompt) => cosine(prompt, clip));
  const clipT = closeness[asked];
  const rank = rankAmong(clipT, closeness.filter((_, i) => i !== asked));
  return { scores: { clipT, ...alike, editFirst: Number(rank === 1) }, rank };
}

/**
 * The mean of every measure, with its confidence interval.
 *
 * @param people each person's images' scores
 * @param seed of the intervals
 */
export function summarise(
  people: readonly (readonly Scores[])[],
  seed: number,
): Summary {
  const summary: Partial<Record<Measure, Estimate>> = {};
  for (const measure of MEASURES) {
    const groups = people.map((scores) =>
      scores.flatMap((score) => score[measure] ?? [])
    );
    if (groups.some(({ length }) => length > 0)) {
      summary[measure] = clusterBootstrap(groups, { seed });
    }
  }
  return summary;
}

/**
 * How much a second set of images of the same people and prompts scores above the
 * first, image by image: its interval is narrower than those of the two means.
 *
 * @param first each person's images' scores
 * @param second as many, in the same order
 */
export function summariseGain(
  first: readonly (readonly Scores[])[],
  second: readonly (readonly Scores[])[],
  seed: number,
): Summary {
  const gains = second.map((scores, p) =>
    scores.map((score, i) => {
      const before = first[p][i];
      return Object.fromEntries(MEASURES.flatMap((measure) => {
        const [a, b] = [before[measure], score[measure]];
        return a === undefined || b === undefined ? [] : [[measure, b - a]];
      })) as Scores;
    })
  );
  return summarise(gains, seed);
}
