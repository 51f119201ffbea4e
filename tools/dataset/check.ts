/**
 * `check`: reads every file of a training data set and reports what there is, what
 * is broken and what is missing.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import { print } from "../../src/host/streams.ts";
import { FOLDERS, listIds } from "../../src/train/data/layout.ts";
import type { IdCheck } from "../../src/train/data/check_id.ts";
import { printable } from "../../src/weights/brief.ts";
import { ProgressLine } from "../convert/progress.ts";
import {
  counted,
  flag,
  option,
  type Options,
  printJson,
  talk,
  toolMain,
  type Values,
  whole,
} from "../tool.ts";
import { FolderFiles } from "../train/data/folder.ts";
import { missingParts } from "../train/data/loader.ts";
import { Workers } from "../train/data/workers.ts";
import { CHECK_WORKERS } from "./id_checker.ts";

const USAGE = `Usage: deno run -A tools/dataset.ts check ROOT

Reads every file of a training data set: images, faces, landmarks, masks, other
appearances, captions. Says how many there are, which are broken and why, and
which parts are missing.

  --workers N  Workers that read side by side (4); 0: none
  --json       one JSON object on stdout
  --quiet      no progress
  -h, --help   this text

Exit code: 1 where something is broken or missing that both stages need, 2 for
wrong usage, else 0.`;

const OPTIONS = {
  workers: option(whole(0, 256), "4"),
  json: flag,
  quiet: flag,
} satisfies Options;

/** What a data set has. */
export interface DatasetReport {
  /** Its folder, as it was given. */
  readonly root: string;
  /** How many there are of each. */
  readonly counts: {
    readonly images: number;
    readonly faces: number;
    readonly masks: number;
    readonly landmarks: number;
    readonly augmented: number;
    readonly captions: number;
  };
  /** Folders of faces whose image is missing: training does not see them. */
  readonly withoutImage: number;
  /** Parts that are missing or empty; without other appearances, stage 1 alone can be trained. */
  readonly missing: readonly string[];
  /** Ids with broken files, and what is wrong. */
  readonly broken: readonly {
    readonly id: string;
    readonly faults: readonly string[];
  }[];
}

/**
 * Checks a data set.
 *
 * @param root its folder
 * @param workers Workers that read side by side; 0: none
 * @param advance told after each id how many there are
 */
export async function checkDataset(
  root: string,
  workers: number,
  advance: (total: number) => void = () => {},
): Promise<DatasetReport> {
  const files = new FolderFiles(root);
  const ids = await listIds(files) ?? [];
  using pool = new Workers(CHECK_WORKERS, root, Math.min(workers, ids.length));
  const checks: IdCheck[] = [];
  // Each in turn takes the next: as many are under way as there are Workers.
  let next = 0;
  const lane = async () => {
    while (next < ids.length) {
      const at = next++;
      checks[at] = await pool.run(ids[at]);
      advance(ids.length);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, workers) }, lane));
  const known = new Set(ids);
  const folders = await files.list(FOLDERS.faces) ?? [];
  const sum = (count: (check: IdCheck) => number) =>
    checks.reduce((total, check) => total + count(check), 0);
  return {
    root,
    counts: {
      images: ids.length,
      faces: sum(({ faces }) => faces),
      masks: sum(({ masks }) => masks),
      landmarks: sum(({ landmarks }) => landmarks),
      augmented: sum(({ augmented }) => augmented),
      captions: sum(({ caption }) => caption ? 1 : 0),
    },
    withoutImage: folders
      .filter((name) => !name.startsWith(".") && !known.has(name)).length,
    missing: await missingParts(root, 2),
    broken: checks
      .filter(({ faults }) => faults.length > 0)
      .map(({ id, faults }) => ({ id, faults })),
  };
}

/**
 * Runs `check`.
 *
 * @param words what stands after `check`: the data set's folder
 * @returns the exit code
 * @throws {UsageError} where there is not one folder
 */
export async function runCheck(
  { workers = 4, json, quiet }: Values<typeof OPTIONS>,
  words: readonly string[],
): Promise<number> {
  const [root] = words;
  if (words.length !== 1) {
    throw new UsageError(
      `Give the data set's folder, got ${words.length} words`,
    );
  }
  const { progress } = talk(quiet);
  let line: ProgressLine | undefined;
  const report = await checkDataset(root, workers, (total) => {
    line ??= new ProgressLine(`Checking ${root}`, total, progress);
    line.advance(1);
  }).finally(() => line?.[Symbol.dispose]());
  if (json) printJson(report);
  else print(`${reportText(report)}\n`);
  const lacks = report.missing
    .filter((part) => !part.startsWith(FOLDERS.augmented));
  return report.broken.length + lacks.length > 0 ? 1 : 0;
}

/** The command's `main`. */
export const main: (args: readonly string[]) => Promise<number> = toolMain({
  usage: USAGE,
  options: OPTIONS,
  words: true,
  run: runCheck,
});

/** A report for people. */
export function reportText(report: DatasetReport): string {
  const { counts, withoutImage, missing, broken } = report;
  const without = (count: number, what: string) =>
    count < counts.faces
      ? `, ${counted(counts.faces - count, "face")} without ${what}`
      : "";
  const lines = [
    `${report.root}:`,
    `  images     ${counts.images}`,
    `  captions   ${counts.captions}`,
    `  faces      ${counts.faces}${
      withoutImage > 0
        ? `, and ${counted(withoutImage, "folder")} without an image`
        : ""
    }`,
    `  landmarks  ${counts.landmarks}${without(counts.landmarks, "them")}`,
    `  masks      ${counts.masks}${without(counts.masks, "one")}`,
    `  other appearances  ${counts.augmented}`,
    ...missing.map((part) => `Missing: ${part}`),
    ...broken.flatMap(({ id, faults }) =>
      faults.map((fault) => `Broken: ${id}: ${fault}`)
    ),
    broken.length > 0
      ? `${broken.length} of ${counts.images} ids are broken; training skips them`
      : missing.length > 0
      ? "No file is broken"
      : "All is well",
  ];
  return lines.map(printable).join("\n");
}
