/**
 * Other appearances of a dataset's faces: other photos of the same person, else
 * changes that need no generator.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { sha256 } from "../../src/base/sha256.ts";
import { openComponents } from "../../src/components/networks.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { UsageError } from "../../src/host/exit.ts";
import { openModelFolder } from "../../src/host/files.ts";
import {
  flag,
  option,
  printJson,
  type Reader,
  refuse,
  repositoryFile,
  talk,
  text,
  toolMain,
  whole,
} from "../tool.ts";
import { readMasked } from "./augment/face_files.ts";
import type { FaceAnswer, FaceJob, FaceSetup } from "./augment/face_process.ts";
import { type FoundFace, listFaces, nameOf } from "./augment/faces.ts";
import { withImageTower } from "./augment/image_tower.ts";
import { byFolder, type EmbeddedFace, matchFaces } from "./augment/people.ts";
import { type AugmentSummary, describe, summarize } from "./augment/summary.ts";
import { cores } from "./cores.ts";
import { Journal, readJournal } from "./journal.ts";
import { DatasetLayout } from "./layout.ts";
import { isPhotoEntry, type PhotoEntry, PHOTOS_FILE } from "./prepare/entry.ts";
import { spread } from "./processes.ts";
import { CountProgress } from "./progress.ts";
import { isThere } from "./whole_file.ts";

const USAGE = `Usage: deno run -A tools/dataset.ts augment ROOT

Fills images_cropped_face_aug: for each face, other photos of the same person
where the folder that its photo came from has some, else changes of the face:
its hair in another colour, blurred and hidden, glasses, colour and light. Faces
that have other appearances from elsewhere are left alone. A second run goes on
where the first one stopped.

  --threshold X  least cosine similarity of two photos of a person, by the
                 model's image tower (0.9)
  --model DIR    whose image tower (weights/mini)
  --seed N       of the changes (1)
  --workers N    processes that change faces (one for each core)
  --json         one JSON object on stdout
  --quiet        no report, no progress
  -h, --help     this text`;

/** What to augment. */
export interface AugmentOptions {
  /** The dataset's root. */
  readonly root: string;
  /** Least cosine similarity of two photos of a person. */
  readonly threshold: number;
  /** The model's folder. */
  readonly model: string;
  /** Of the changes. */
  readonly seed: number;
  /** Processes that change faces. */
  readonly workers: number;
  /** Shows no progress. */
  readonly quiet?: boolean;
}

/** What is recorded of a face, in `augmented.jsonl`. */
interface AugmentedEntry {
  readonly id: string;
  /** On what its files depend. */
  readonly made: string;
  readonly files: readonly string[];
  readonly fault?: string;
}

/**
 * Augments a dataset, but for what is there.
 *
 * @throws {MasterWeaverError} `cannot-read`, `cannot-write`, `bad-model`, `no-adapter`
 */
export async function augmentDataset(
  options: AugmentOptions,
): Promise<AugmentSummary> {
  const started = performance.now();
  const layout = new DatasetLayout(options.root);
  const faces = listFaces(layout);
  const wanted = faces.filter(({ isFilled }) => !isFilled);
  const groups = byFolder(wanted, await photoFiles(layout));
  const causes = await causesOf(wanted, groups, options);
  using journal = await openEntries(layout);
  const missing = wanted.filter((face) =>
    !isSettled(layout, face, journal, causes)
  );
  const unsettled = new Set(missing);
  const open = groups.filter((group) =>
    group.some((face) => unsettled.has(face))
  );
  const { same, similarities } = await matchGroups(layout, open, options);
  await writeFaces(layout, options, missing, same, (face, answer) => {
    const id = nameOf(face);
    const made = causes.get(id)!;
    journal.add({ id, made, files: [], ...answer });
  });
  journal.save();
  const entriesOf = (some: readonly FoundFace[]) =>
    some.map((face) => journal.get(nameOf(face))!);
  return {
    root: options.root,
    faces: faces.length,
    leftAlone: faces.length - wanted.length,
    made: entriesOf(missing).filter(({ fault }) => !fault).length,
    ...countEntries(entriesOf(wanted)),
    threshold: options.threshold,
    similarities: summarize(similarities, options.threshold),
    seconds: (performance.now() - started) / 1000,
  };
}

function openEntries(
  { root }: DatasetLayout,
): Promise<Journal<AugmentedEntry>> {
  return Journal.open(
    `${root}/augmented.jsonl`,
    ({ id, made, files }) =>
      [id, made].every((text) => typeof text === "string") &&
      Array.isArray(files),
  );
}

/** On what the files of each face depend: when it changes, they are made again. */
async function causesOf(
  faces: readonly FoundFace[],
  groups: readonly (readonly FoundFace[])[],
  { seed, threshold, model }: AugmentOptions,
): Promise<Map<string, string>> {
  const causes = new Map(
    faces.map((face) => [nameOf(face), `seed ${seed}, ${face.stamp}`]),
  );
  for (const group of groups) {
    // Whoever is in the same folder decides on a face's files, too.
    const members = group.map((face) => `${nameOf(face)} ${face.stamp}`);
    const hash = await shortHash([model, threshold, ...members].join("\n"));
    for (const face of group) {
      const name = nameOf(face);
      causes.set(name, `${causes.get(name)}, folder ${hash}`);
    }
  }
  return causes;
}

/** Whether a face has all its files, made from what there is now. */
function isSettled(
  layout: DatasetLayout,
  face: FoundFace,
  journal: Journal<AugmentedEntry>,
  causes: ReadonlyMap<string, string>,
): boolean {
  const known = journal.get(nameOf(face));
  const folder = layout.otherFaces(face.id, face.face);
  return known !== undefined && known.fault === undefined &&
    known.made === causes.get(nameOf(face)) &&
    known.files.every((file) => isThere(`${folder}/${file}`));
}

/** What faces got, and what was wrong with the others. */
function countEntries(entries: readonly AugmentedEntry[]) {
  const count = (start: string) =>
    entries.filter(({ files: [first] }) => first?.startsWith(start)).length;
  const faults = entries.flatMap(({ id, fault }) =>
    fault === undefined ? [] : [[id, fault]]
  );
  return {
    withPhotos: count("same-"),
    withChanges: count("changed-"),
    faults: Object.fromEntries(faults),
  };
}

/** Where the photo of each image was, by id; nothing in datasets from elsewhere. */
async function photoFiles(
  { root }: DatasetLayout,
): Promise<Map<string, string>> {
  const path = `${root}/${PHOTOS_FILE}`;
  if (!isThere(path)) return new Map();
  const entries = await readJournal<PhotoEntry>(path, isPhotoEntry);
  return new Map(entries.map(({ id, file }) => [id, file]));
}

/** Embeds the faces of folders and matches them. */
async function matchGroups(
  layout: DatasetLayout,
  groups: readonly (readonly FoundFace[])[],
  { model, threshold, quiet = false }: AugmentOptions,
) {
  const same = new Map<string, FaceJob["same"]>();
  const similarities: Float32Array[] = [];
  if (groups.length === 0) return { same, similarities };
  await using folder = await openModelFolder(model);
  const components = await openComponents(folder.files);
  using gpu = await Gpu.open();
  const total = groups.reduce((sum, group) => sum + group.length, 0);
  using progress = new CountProgress("Comparing", total, quiet);
  await withImageTower(gpu, components, async (embed) => {
    for (const group of groups) {
      const embedded: EmbeddedFace<FoundFace>[] = [];
      for (const face of group) {
        const image = await orNothing(() => readMasked(layout, face));
        if (image) embedded.push({ face, vector: await embed(image) });
        progress.advance(1);
      }
      const found = matchFaces(embedded, threshold);
      for (const [name, others] of found.same) same.set(name, others);
      similarities.push(found.similarities);
    }
  });
  return { same, similarities };
}

/** What is broken is reported where its own files are made. */
async function orNothing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof MasterWeaverError) return undefined;
    throw error;
  }
}

async function writeFaces(
  { root }: DatasetLayout,
  { seed, workers, quiet = false }: AugmentOptions,
  faces: readonly FoundFace[],
  same: ReadonlyMap<string, FaceJob["same"]>,
  onDone: (face: FaceJob, answer: FaceAnswer) => void,
): Promise<void> {
  const setup: FaceSetup = { root, seed };
  using progress = new CountProgress("Augmenting", faces.length, quiet);
  await spread<FaceJob, FaceAnswer>(
    {
      title: "changes faces",
      script: repositoryFile("tools/dataset/augment/face_process.ts"),
      flags: ["-A", `--config=${repositoryFile("deno.json")}`],
      count: Math.min(workers, faces.length),
      setup,
    },
    faces.map(({ id, face }) => ({
      id,
      face,
      same: same.get(nameOf({ id, face })) ?? [],
    })),
    (answer, face) => {
      onDone(face, answer);
      progress.advance(1);
    },
  );
}

async function shortHash(text: string): Promise<string> {
  return (await sha256(text)).slice(0, 16);
}

/** A cosine similarity. */
const similarity: Reader<number> = (value, name) => {
  const number = Number(value);
  if (/^-?\d*\.?\d+$/.test(value) && Math.abs(number) <= 1) return number;
  return refuse(name, value, "a number from -1 to 1");
};

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {
    threshold: option(similarity, "0.9"),
    model: option(text),
    seed: option(whole(0), "1"),
    workers: option(whole(1, 256)),
    json: flag,
    quiet: flag,
  },
  words: true,
  async run({ json, quiet, model, workers, ...values }, words) {
    const [root] = words;
    if (words.length !== 1 || root === "") {
      throw new UsageError("Give the folder of one dataset");
    }
    const summary = await augmentDataset({
      ...values,
      root,
      model: model ?? repositoryFile("weights/mini"),
      workers: workers ?? cores(),
      quiet,
    });
    const { report } = talk(quiet);
    for (const line of describe(summary)) report(line);
    if (json) printJson(summary);
  },
});
