/**
 * What a run of `augment` reports.
 *
 * @module
 */
import { counted } from "../../tool.ts";

/** What the dataset has afterwards. */
export interface AugmentSummary {
  readonly root: string;
  readonly faces: number;
  /** Faces with other photos of the person. */
  readonly withPhotos: number;
  /** Faces that were changed. */
  readonly withChanges: number;
  /** Faces with appearances from elsewhere. */
  readonly leftAlone: number;
  /** Faces whose files were made by this run. */
  readonly made: number;
  /** What was wrong with some faces, by face. */
  readonly faults: Readonly<Record<string, string>>;
  readonly threshold: number;
  /** Cosine similarities of the pairs that this run compared. */
  readonly similarities?: Similarities;
  readonly seconds: number;
}

/** How alike photos of a folder are. */
export interface Similarities {
  readonly pairs: number;
  readonly least: number;
  readonly median: number;
  readonly most: number;
  /** How many reach the threshold. */
  readonly same: number;
}

/** How alike pairs were; nothing where none was compared. */
export function summarize(
  lists: readonly Float32Array[],
  threshold: number,
): Similarities | undefined {
  const all = Float32Array.from(lists.flatMap((list) => [...list])).toSorted();
  if (all.length === 0) return undefined;
  return {
    pairs: all.length,
    least: all[0],
    median: all[all.length >> 1],
    most: all[all.length - 1],
    same: all.filter((value) => value >= threshold).length,
  };
}

/** What was done, in lines. */
export function describe(summary: AugmentSummary): string[] {
  const { faces, withPhotos, withChanges, leftAlone, similarities } = summary;
  const lines = [
    `${
      counted(faces, "face")
    }: ${withPhotos} with other photos of the person, ${withChanges} changed, ${leftAlone} left alone as they have others; ${summary.made} made in ${
      summary.seconds.toFixed(1)
    } s`,
  ];
  if (similarities) {
    const { pairs, least, median, most, same } = similarities;
    const [a, b, c] = [least, median, most].map((value) => value.toFixed(3));
    lines.push(
      `Similarity of ${
        counted(pairs, "pair")
      } of photos in one folder: ${a} to ${c}, median ${b}; ${same} reach --threshold ${summary.threshold}`,
    );
  }
  const faults = Object.entries(summary.faults);
  for (const [face, fault] of faults.slice(0, 3)) {
    lines.push(`Face ${face} was skipped: ${fault}`);
  }
  if (faults.length > 3) lines.push(`… and ${faults.length - 3} more`);
  return lines;
}
