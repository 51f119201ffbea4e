/**
 * What a training sample is made of, drawn before any image is decoded.
 *
 * @module
 */
import { type Augmentation, drawAugmentation, drawFlip } from "./augment.ts";
import type { MaskKind } from "./masks.ts";
import type { RandomStream } from "./random.ts";

/** How often the identity alone is dropped. */
export const DROP_IDENTITY = 0.05;
/** How often the text alone is dropped. */
export const DROP_TEXT = 0.05;
/** How often both are. */
export const DROP_BOTH = 0.05;
/** How often references that are missing are filled with copies of the first face. */
export const FILL_PROBABILITY = 0.1;
/** References of a sample. */
export const MAX_REFERENCES = 3;

/** The two stages of training. */
export type Stage = 1 | 2;

/**
 * Whose faces the references are: `own`: those in the image; `appearance`: those,
 * with hair and mouth masked, and another appearance of the person; `other`: that
 * other appearance alone.
 */
export type SampleType = "own" | "appearance" | "other";

/** Types of a stage's samples, each as likely as the others. */
export const SAMPLE_TYPES: Readonly<Record<Stage, readonly SampleType[]>> = {
  1: ["own"],
  2: ["own", "appearance", "appearance", "appearance", "other", "other"],
};

/** A face in the image, or another appearance of the person. */
export type FaceSource =
  | { readonly kind: "own"; readonly face: string; readonly mask: MaskKind }
  | {
    readonly kind: "augmented";
    readonly face: string;
    readonly file: string;
  };

/** A reference: a face and what is done to it. */
export interface PlannedReference {
  /** Which face. */
  readonly source: FaceSource;
  /** What is done to it. */
  readonly augmentation: Augmentation;
}

/** What a sample is made of. */
export interface SamplePlan {
  /** Whose faces the references are. */
  readonly type: SampleType;
  /** Whether the caption is replaced by an empty text. */
  readonly dropText: boolean;
  /** Whether all references are zero. */
  readonly dropIdentity: boolean;
  /** Always {@linkcode MAX_REFERENCES}; null: zero. */
  readonly references: readonly (PlannedReference | null)[];
}

/** A face of an id and the person's other appearances. */
export interface ListedFace {
  /** Its name, without ending. */
  readonly face: string;
  /** Files in its folder of other appearances. */
  readonly augmented: readonly string[];
}

/**
 * Draws what a sample is made of.
 *
 * The other appearance is one of the last face that has any. Where there is none,
 * `appearance` is the own faces alone and `other` has no references, as if the
 * identity were dropped.
 *
 * @param stream the sample's own
 * @param faces the faces of its id, in order
 */
export function drawSamplePlan(
  stream: RandomStream,
  stage: Stage,
  faces: readonly ListedFace[],
): SamplePlan {
  const type = stream.choice(SAMPLE_TYPES[stage]);
  const augmented = type === "own" ? undefined : drawAugmented(stream, faces);
  const drop = stream.uniform();
  const dropIdentity = drop < DROP_IDENTITY ||
    (drop >= DROP_IDENTITY + DROP_TEXT &&
      drop < DROP_IDENTITY + DROP_TEXT + DROP_BOTH);
  const dropText = drop >= DROP_IDENTITY &&
    drop < DROP_IDENTITY + DROP_TEXT + DROP_BOTH;
  const sources = sourcesOf(type, faces, augmented);
  const references = drawReferences(stream, sources);
  const none = references.map(() => null);
  return {
    type,
    dropText,
    dropIdentity,
    references: dropIdentity ? none : references,
  };
}

function drawAugmented(
  stream: RandomStream,
  faces: readonly ListedFace[],
): FaceSource | undefined {
  const last = faces.findLast(({ augmented }) => augmented.length > 0);
  return last && {
    kind: "augmented",
    face: last.face,
    file: stream.choice(last.augmented),
  };
}

function sourcesOf(
  type: SampleType,
  faces: readonly ListedFace[],
  augmented: FaceSource | undefined,
): FaceSource[] {
  const others = augmented === undefined ? [] : [augmented];
  if (type === "other") return others;
  const mask = type === "appearance" ? "appearance" : "background";
  const own = faces.map(({ face }) => ({ kind: "own", face, mask } as const));
  return [...own, ...others];
}

function drawReferences(
  stream: RandomStream,
  sources: readonly FaceSource[],
): (PlannedReference | null)[] {
  const references: (PlannedReference | null)[] = sources
    .slice(0, MAX_REFERENCES)
    .map((source) => ({ source, augmentation: drawFlip(stream) }));
  const isFilled = stream.chance(FILL_PROBABILITY);
  while (references.length < MAX_REFERENCES) {
    references.push(
      isFilled && sources.length > 0
        ? { source: sources[0], augmentation: drawAugmentation(stream) }
        : null,
    );
  }
  return references;
}
