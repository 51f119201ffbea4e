/**
 * The whole evaluation: every adapter's images of the same people, from the same
 * prompts and noise.
 *
 * @module
 */
import { openComponents } from "../../src/components/networks.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import {
  checkWritable,
  openModelFolder,
  writePng,
} from "../../src/host/files.ts";
import type { Image } from "../../src/image/image.ts";
import { NINE_EDITS } from "../../src/train/evaluation/nine_edits.ts";
import { choosePeople, listPeople } from "../../src/train/evaluation/people.ts";
import {
  type Scores,
  summarise,
  summariseGain,
  type Summary,
} from "../../src/train/evaluation/scores.ts";
import { formatDuration } from "../../src/train/report/format.ts";
import { drawGrid } from "../../src/train/report/grid.ts";
import { filesWithAdapter } from "../convert/adapter_files.ts";
import { counted } from "../tool.ts";
import { FolderFiles } from "../train/data/folder.ts";
import {
  ImageMaker,
  type MeasuredImage,
  type PersonImages,
  RNG,
} from "./images.ts";
import { type OpenedEmbedder, openEmbedder } from "./model.ts";
import {
  type Baselines,
  baselines,
  readReferences,
  type Reference,
  type Skipped,
} from "./references.ts";
import type { Protocol, Request } from "./request.ts";

/** What an adapter reached. */
export interface AdapterEvaluation {
  /** Its file, or the model's folder. */
  readonly adapter: string;
  /** SHA-256 of its header. */
  readonly hash: string;
  /** Means over all images. */
  readonly summary: Summary;
  /** How much it scores above the first adapter, image by image. */
  readonly gain?: Summary;
  /** Every image. */
  readonly images: readonly MeasuredImage[];
}

/** What the evaluation found. */
export interface Evaluation {
  /** The model's folder. */
  readonly model: string;
  /** The data set's root. */
  readonly data: string;
  /** How images were made. */
  readonly protocol: Omit<Protocol, "edits"> & {
    /** The edits that were asked for. */
    readonly edits: readonly string[];
    /** All that competed. */
    readonly among: readonly string[];
    /** Whose noise the seeds are of. */
    readonly rng: typeof RNG;
    /** Storage of activations. */
    readonly dtype: string;
  };
  /** The people, and their references. */
  readonly people: readonly Pick<Reference, "identity" | "id" | "word">[];
  /** People who are left out. */
  readonly skipped: readonly Skipped[];
  /** What is not measured, and what that would need. */
  readonly missing: OpenedEmbedder["missing"];
  /** How alike references are. */
  readonly baselines: Baselines;
  /** In the order they were given. */
  readonly adapters: readonly AdapterEvaluation[];
  /** The contact sheet: its file, and what its columns show. */
  readonly sheet?: {
    readonly file: string;
    readonly columns: readonly string[];
  };
  /** How long it took. */
  readonly seconds: number;
}

/** Takes a line about what happens. */
type Report = (line: string) => void;

/**
 * Evaluates one or several adapters.
 *
 * @throws {MasterWeaverError} `bad-data`, `bad-model`, `bad-checkpoint`, `cannot-read`, `cannot-write`, and what making images throws
 */
export async function evaluate(
  request: Request,
  report: Report,
): Promise<Evaluation> {
  const started = performance.now();
  const { model, data, dtype, sheet, protocol } = request;
  if (sheet !== undefined) await checkWritable(sheet);
  await using stack = new AsyncDisposableStack();
  const files = new FolderFiles(data);
  const people = choosePeople(await listPeople(files), protocol.identities);
  if (people.length < protocol.identities) {
    report(`${data} has ${counted(people.length, "person", "people")}`);
  }
  const folder = stack.use(await openModelFolder(model));
  const components = await openComponents(folder.files);
  const { embedder, missing } = await openEmbedder(
    model,
    folder,
    components,
    stack,
  );
  const { alignFaces } = components.adapter.config;
  const source = { files, alignFaces, embedder };
  const { references, skipped } = await readReferences(people, source);
  for (const { id, reason } of skipped) report(`${id} is left out: ${reason}`);

  const adapters: AdapterEvaluation[] = [];
  const pictures: PersonImages[][] = [];
  let storage = "";
  for (const path of request.adapters.length > 0 ? request.adapters : [null]) {
    const adapter = path ?? `${model}/identity_adapter.weave`;
    await using own = new AsyncDisposableStack();
    const given = path === null
      ? folder.files
      : await filesWithAdapter(folder, path, own);
    const weaver = own.use(
      await MasterWeaver.load(given, {
        dtype,
        keepLoaded: true,
        // Kernels chosen by timing differ from run to run, and their last bits.
        tune: "off",
      }),
    );
    storage = weaver.dtype;
    const maker = new ImageMaker(weaver, embedder, protocol);
    const made = await makeAll(
      maker,
      references,
      (count, left) =>
        report(`${adapter}: ${count} of ${references.length} people${left}`),
    );
    const first = pictures[0];
    adapters.push({
      adapter,
      hash: made[0].adapterHash,
      summary: summarise(scoresOf(made), protocol.seed),
      ...first
        ? {
          gain: summariseGain(scoresOf(first), scoresOf(made), protocol.seed),
        }
        : {},
      images: made.flatMap(({ measured }) => measured),
    });
    pictures.push(made);
  }

  const edits = NINE_EDITS.slice(0, protocol.edits);
  const columns = ["reference"].concat(
    ...adapters.map(({ adapter }) =>
      edits.map((edit) => `${adapter}: ${edit}`)
    ),
  );
  if (sheet !== undefined) {
    const grid = await drawSheet(references, pictures);
    await writePng(sheet, grid, { columns: columns.join("\n") });
  }
  return {
    model,
    data,
    protocol: {
      ...protocol,
      identities: references.length,
      edits,
      among: NINE_EDITS,
      rng: RNG,
      dtype: storage,
    },
    people: references.map(({ identity, id, word }) => ({
      identity,
      id,
      word,
    })),
    skipped,
    missing,
    baselines: baselines(references, protocol.seed),
    adapters,
    ...sheet === undefined ? {} : { sheet: { file: sheet, columns } },
    seconds: (performance.now() - started) / 1000,
  };
}

/** Makes everyone's images with one adapter. */
async function makeAll(
  maker: ImageMaker,
  references: readonly Reference[],
  report: (done: number, left: string) => void,
): Promise<PersonImages[]> {
  const started = performance.now();
  const made: PersonImages[] = [];
  for (const [index, reference] of references.entries()) {
    made.push(await maker.make(reference, index));
    const each = (performance.now() - started) / made.length / 1000;
    const left = references.length - made.length;
    report(
      made.length,
      left > 0 ? `, ${formatDuration(each * left)} left` : "",
    );
  }
  return made;
}

/** Scores by person. */
function scoresOf(people: readonly PersonImages[]): (readonly Scores[])[] {
  return people.map(({ measured }) => measured);
}

/** A row for each person: the reference, then each adapter's images. */
function drawSheet(
  references: readonly Reference[],
  pictures: readonly (readonly PersonImages[])[],
): Promise<Image> {
  const [{ images: [first] }] = pictures[0];
  const rows = references.map(({ image }, person) => ({
    images: [
      image,
      ...pictures.flatMap((made) => made[person].images),
    ],
  }));
  return drawGrid(rows, Math.max(first.width, first.height));
}
