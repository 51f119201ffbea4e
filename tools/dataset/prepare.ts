/**
 * A dataset of photos: faces found, aligned and parsed by this project's own
 * networks.
 *
 * @module
 */
import { isAbsolute, relative, resolve } from "node:path";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { openComponents } from "../../src/components/networks.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { errorWithTools } from "../../src/host/advice.ts";
import { UsageError } from "../../src/host/exit.ts";
import { type ModelFolder, openModelFolder } from "../../src/host/files.ts";
import {
  counted,
  flag,
  option,
  printJson,
  repositoryFile,
  talk,
  text,
  toolMain,
  whole,
} from "../tool.ts";
import { cores } from "./cores.ts";
import { Journal } from "./journal.ts";
import { DatasetLayout } from "./layout.ts";
import { openCaptions } from "./prepare/captions.ts";

import { isPhotoEntry, type PhotoEntry, PHOTOS_FILE } from "./prepare/entry.ts";
import { withFaceParser } from "./prepare/masks.ts";
import { PhotoDataset } from "./prepare/photo_dataset.ts";
import type { PhotoAnswer, PhotoSetup } from "./prepare/photo_process.ts";
import { findPhotos, type FoundPhoto } from "./prepare/photos.ts";
import { spread } from "./processes.ts";
import { CountProgress } from "./progress.ts";

const USAGE = `Usage: deno run -A tools/dataset.ts prepare PHOTOS CAPTIONS OUT

Makes a dataset for training from photos and captions, in the layout of
Filtered-LAION-Face: each photo is cropped around its faces, which are aligned,
with landmarks and masks. Faces that do not fit beside the largest in the square
are left out. Needs the landmark model: run sh tools/setup.sh --with-landmarks.
A second run goes on where the first one stopped, and
makes again what has changed.

  PHOTOS           a folder with JPEG or PNG files, also in folders below it
  CAPTIONS         a folder of .txt files with the photos' names, a .jsonl file
                   of {"file": …, "caption": …}, a .csv file of file,caption, or
                   - for .txt files beside the photos
  OUT              the dataset's folder

  --model DIR      whose face parser makes the masks; photos need one that was
                   trained on photos (weights/mini, trained on drawings)
  --size N         pixels on a side of images (512)
  --min-face N     pixels on a side of the smallest face that is taken (64)
  --workers N      processes that find faces (one for each core)
  --json           one JSON object on stdout
  --quiet          no report, no progress
  -h, --help       this text

OUT/photos.jsonl says of every photo what became of it, and why.`;

/** What to prepare. */
export interface PrepareOptions {
  /** The folder of photos. */
  readonly photos: string;
  /** Where captions are. */
  readonly captions: string;
  /** The dataset's root; made where it is missing. */
  readonly output: string;
  /** The model's folder. */
  readonly model: string;
  /** Pixels on a side of images. */
  readonly size: number;
  /** Pixels on a side of the smallest face that is taken. */
  readonly minFace: number;
  /** Processes that find faces. */
  readonly workers: number;
  /** Takes a line that the user should see before the work begins. */
  readonly warn?: (line: string) => void;
  /** Shows no progress. */
  readonly quiet?: boolean;
}

/** What became of the photos. */
export interface PrepareSummary {
  readonly output: string;
  readonly photos: number;
  /** Photos in the dataset. */
  readonly prepared: number;
  /** Of these, made by this run. */
  readonly made: number;
  readonly faces: number;
  /** Faces of prepared photos that reach over the edge of the crop, and were left out. */
  readonly facesOutside: number;
  /** How many were not taken, by reason. */
  readonly rejected: Readonly<Record<string, number>>;
  /** One of each, with what was wrong. */
  readonly examples: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/**
 * Prepares photos, but for those that are there.
 *
 * @throws {MasterWeaverError} `cannot-read`, `cannot-write`, `bad-model`, `no-adapter`
 */
export async function preparePhotos(
  options: PrepareOptions,
): Promise<PrepareSummary> {
  const started = performance.now();
  checkApart(options);
  const photos = await findPhotos(options.photos);
  const captions = await openCaptions(options.captions);
  await using model = await openModelFolder(options.model);
  const { parser, adapter } = await openComponents(model.files);
  if (!adapter.config.alignFaces) options.warn?.(untrainedParser(options));
  const layout = new DatasetLayout(options.output);
  const { size, minFace } = options;
  const settings =
    `size ${size}, min-face ${minFace}, parser ${parser.file.hash}`;
  using journal = await Journal.open<PhotoEntry>(
    `${layout.root}/${PHOTOS_FILE}`,
    isPhotoEntry,
  );
  const processes = photoProcesses(layout, options, model);
  const dataset = new PhotoDataset(layout, journal, settings);
  using progress = new CountProgress(
    "Preparing",
    photos.length,
    options.quiet === true,
  );
  const missing: FoundPhoto[] = [];
  for (const photo of photos) {
    if (await dataset.isSettled(photo, captions)) progress.advance(1, true);
    else missing.push(photo);
  }
  if (missing.length > 0) {
    using gpu = await Gpu.open();
    await withFaceParser(
      gpu,
      { parser },
      (parse) =>
        spread<FoundPhoto, PhotoAnswer>(
          { ...processes, count: Math.min(processes.count, missing.length) },
          dataset.cleared(missing),
          async (answer, photo) => {
            await dataset.finish(photo, answer, parse);
            progress.advance(1);
          },
        ),
    );
  }
  journal.save();
  return {
    output: options.output,
    ...dataset.summary(photos),
    seconds: (performance.now() - started) / 1000,
  };
}

/** A model of drawings says of itself that faces need not be aligned. */
function untrainedParser({ model }: PrepareOptions): string {
  return `The model in ${model} does not align faces, as the mini model, whose face parser was trained on drawings: ` +
    "its masks of photos are poor; give --model DIR, a model converted with the face parser for photos (79999_iter.pth)";
}

/** Refuses a dataset among its photos: the next run would find its images. */
function checkApart({ photos, output }: PrepareOptions): void {
  const inside = relative(resolve(photos), resolve(output));
  if (/^\.\.(?:[/\\]|$)/.test(inside) || isAbsolute(inside)) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot make the dataset ${output} inside the photos ${photos}; give a folder outside`,
  );
}

function photoProcesses(
  { root }: DatasetLayout,
  { size, minFace, workers: count }: PrepareOptions,
  { files: { face_detector: detector, landmarks } }: ModelFolder,
) {
  if (!detector || !landmarks) {
    const [what, file] = detector
      ? ["align faces", "landmarks.weave"]
      : ["look for faces", "face_detector.weave"];
    throw errorWithTools(
      new MasterWeaverError(
        "bad-model",
        `Cannot ${what}: the model has no ${file}; give ${file} among the model's files`,
      ),
    );
  }
  const setup: PhotoSetup = {
    root,
    size,
    minFace,
    detector: detector.name,
    landmarks: landmarks.name,
  };
  return {
    title: "finds faces",
    script: repositoryFile("tools/dataset/prepare/photo_process.ts"),
    flags: ["-A", `--config=${repositoryFile("deno.json")}`],
    count,
    setup,
  };
}

/** What became of the photos, in lines. */
function describe(summary: PrepareSummary): string[] {
  const { photos, prepared, made, faces, rejected, examples } = summary;
  const { facesOutside } = summary;
  return [
    `${prepared} of ${counted(photos, "photo")} in ${summary.output}, with ${
      counted(faces, "face")
    }; ${made} of them made in ${summary.seconds.toFixed(1)} s`,
    ...facesOutside > 0
      ? [
        `${
          counted(facesOutside, "face")
        } left out, over the edge of the square around the largest (all in ${summary.output}/photos.jsonl)`,
      ]
      : [],
    ...Object.entries(rejected).map(([reason, count]) =>
      `${count} rejected, ${reason}: ${examples[reason]}${
        count > 1 ? ` … (all in ${summary.output}/photos.jsonl)` : ""
      }`
    ),
  ];
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {
    model: option(text),
    size: option(whole(64, 2048), "512"),
    "min-face": option(whole(16, 4096), "64"),
    workers: option(whole(1, 256)),
    json: flag,
    quiet: flag,
  },
  words: true,
  async run({ json, quiet, model, workers, size, ...values }, words) {
    if (words.length !== 3 || words.includes("")) {
      throw new UsageError(
        "Give three places: the photos, the captions (- for beside the photos), the dataset",
      );
    }
    const [photos, captions, output] = words;
    const { report } = talk(quiet);
    const summary = await preparePhotos({
      warn: (line) => report(`Note: ${line}`),
      photos,
      captions,
      output,
      model: model ?? repositoryFile("weights/mini"),
      size,
      minFace: values["min-face"],
      workers: workers ?? cores(),
      quiet,
    });
    for (const line of describe(summary)) report(line);
    if (json) printJson(summary);
    return summary.prepared > 0 ? 0 : 1;
  },
});
