/**
 * A dataset of drawn portraits: people in several appearances, with captions,
 * exact masks and landmarks.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { UsageError } from "../../src/host/exit.ts";
import { readShortFile } from "../../src/host/files.ts";
import {
  counted,
  flag,
  option,
  printJson,
  repositoryFile,
  talk,
  toolMain,
  whole,
} from "../tool.ts";
import { DatasetLayout } from "./layout.ts";
import { cores } from "./cores.ts";
import type {
  DrawAnswer,
  DrawJob,
  DrawSetup,
} from "./portraits/draw_process.ts";
import { planPeople } from "./portraits/people.ts";
import { portraitId } from "./portraits/person_files.ts";
import { spread } from "./processes.ts";
import { CountProgress } from "./progress.ts";
import { isThere, writeWholeText } from "./whole_file.ts";

const USAGE =
  `Usage: deno run -A tools/dataset.ts portraits OUT --count N --seed S

Draws portraits for training: N people in several appearances, in the layout of
Filtered-LAION-Face, with captions, masks and landmarks from the drawing. The
same seed draws the same people; a second run goes on where the first one
stopped, and adds people where N is larger; it removes none.

  --count N        how many people
  --seed S         who they are (1)
  --appearances N  portraits of each (4)
  --size N         pixels on a side (128)
  --workers N      processes that draw (one for each core)
  --json           one JSON object on stdout
  --quiet          no report, no progress
  -h, --help       this text

OUT/identities.jsonl has a line for each portrait, to tell people apart.`;

/** What to draw. */
export interface PortraitsOptions {
  /** The dataset's root; made where it is missing. */
  readonly output: string;
  /** How many people. */
  readonly count: number;
  /** Who they are, 0..2³²−1. */
  readonly seed: number;
  /** Portraits of each person. */
  readonly appearances: number;
  /** Pixels on a side. */
  readonly size: number;
  /** Processes that draw. */
  readonly workers: number;
  /** Shows no progress. */
  readonly quiet?: boolean;
}

/** What a dataset of portraits has afterwards. */
export interface PortraitsSummary {
  readonly output: string;
  readonly identities: number;
  readonly portraits: number;
  /** Of these, drawn by this run. */
  readonly drawn: number;
  readonly seconds: number;
}

/** What must not change between runs, and is recorded in the root. */
const FIXED = ["seed", "appearances", "size"] as const;
type Recorded = Readonly<Record<typeof FIXED[number] | "count", number>>;

/**
 * Draws portraits, but for those that are there.
 *
 * @throws {MasterWeaverError} `bad-option` where the folder has other data, `cannot-write`, `cannot-read`
 */
export async function makePortraits(
  options: PortraitsOptions,
): Promise<PortraitsSummary> {
  const started = performance.now();
  const { seed, appearances, size, quiet = false } = options;
  const layout = new DatasetLayout(options.output);
  const before = await checkFolder(layout, options);
  const count = Math.max(options.count, before?.count ?? 0);
  const record = `${layout.root}/portraits.json`;
  const recorded: Recorded = { seed, appearances, size, count };
  writeWholeText(record, `${JSON.stringify(recorded)}\n`);
  let drawn = 0;
  const lines: string[] = [];
  {
    using progress = new CountProgress("Drawing", count * appearances, quiet);
    await spread<DrawJob, DrawAnswer>(
      drawers(layout, options, count),
      plans(recorded, lines),
      ({ isNew }) => {
        if (isNew) drawn += appearances;
        progress.advance(appearances, !isNew);
      },
    );
  }
  writeWholeText(`${layout.root}/identities.jsonl`, lines.join(""));
  return {
    output: options.output,
    identities: count,
    portraits: count * appearances,
    drawn,
    seconds: (performance.now() - started) / 1000,
  };
}

/** Plans people, and adds the lines of `identities.jsonl` as it goes. */
function* plans(
  { seed, count, appearances }: Recorded,
  lines: string[],
): Generator<DrawJob> {
  let person = 0;
  for (const plan of planPeople(seed, count, appearances)) {
    for (const [k, { appearance, captions }] of plan.portraits.entries()) {
      const line = {
        id: portraitId(person, k),
        identity: person,
        gender: plan.identity.gender,
        appearance,
        captions,
      };
      lines.push(`${JSON.stringify(line)}\n`);
    }
    yield { person: person++, ...plan };
  }
}

function drawers(
  { root }: DatasetLayout,
  { size, workers }: PortraitsOptions,
  count: number,
) {
  const setup: DrawSetup = { root, size };
  return {
    title: "draws portraits",
    script: repositoryFile("tools/dataset/portraits/draw_process.ts"),
    // What is in the project's own lock is downloaded by everyone.
    flags: [
      "-A",
      "--no-config",
      "--unstable-raw-imports",
      `--lock=${repositoryFile("tools/dataset/portraits/deno.lock")}`,
      "--frozen",
    ],
    count: Math.min(workers, count),
    setup,
  };
}

/**
 * Refuses a folder with portraits of another kind, or none.
 *
 * @returns what an earlier run recorded
 */
async function checkFolder(
  { root }: DatasetLayout,
  options: PortraitsOptions,
): Promise<Recorded | undefined> {
  const path = `${root}/portraits.json`;
  if (!isThere(path)) {
    if (!await hasData(root)) return undefined;
    throw new MasterWeaverError(
      "bad-option",
      `${root} holds a dataset already, which is not of drawn portraits; give another folder`,
    );
  }
  const recorded = parse(
    new TextDecoder().decode(await readShortFile(path, 65536)),
    path,
  );
  for (const name of FIXED) {
    if (recorded[name] === options[name]) continue;
    throw new MasterWeaverError(
      "bad-option",
      `${root} holds portraits of --${name} ${recorded[name]}, got ${
        options[name]
      }; give that, or another folder`,
    );
  }
  return recorded;
}

function parse(text: string, path: string): Recorded {
  try {
    const recorded: Record<string, unknown> = JSON.parse(text);
    if ([...FIXED, "count"].every((name) => Number.isInteger(recorded[name]))) {
      return recorded as Recorded;
    }
  } catch {
    // Said below.
  }
  throw new MasterWeaverError(
    "cannot-read",
    `Cannot read ${path}: it does not say seed, appearances, size and count; give another folder`,
  );
}

async function hasData(root: string): Promise<boolean> {
  try {
    for await (const { name } of Deno.readDir(root)) {
      if (/^(images_cropped|captions|identities\.jsonl$)/.test(name)) {
        return true;
      }
    }
  } catch {
    // There is no such folder: it will be made.
  }
  return false;
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {
    count: option(whole(1, 999_999)),
    seed: option(whole(0), "1"),
    appearances: option(whole(1, 99), "4"),
    size: option(whole(32, 2048), "128"),
    workers: option(whole(1, 256)),
    json: flag,
    quiet: flag,
  },
  words: true,
  async run({ json, quiet, count, workers, ...values }, words) {
    const [output] = words;
    if (words.length !== 1 || output === "") {
      throw new UsageError("Give one folder");
    }
    if (count === undefined) throw new UsageError("Give --count");
    const summary = await makePortraits({
      ...values,
      output,
      count,
      workers: workers ?? cores(),
      quiet,
    });
    const { report } = talk(quiet);
    report(
      `${counted(summary.portraits, "portrait")} of ${
        counted(summary.identities, "person", "people")
      } in ${output}, ${summary.drawn} of them drawn in ${
        summary.seconds.toFixed(1)
      } s`,
    );
    if (json) printJson(summary);
  },
});
