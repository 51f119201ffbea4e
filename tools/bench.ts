/**
 * Times ops, pictures and the face pipeline.
 *
 *     deno task bench                # all of them
 *     deno task bench --picture --model weights/mini --steps 30
 *     deno task bench --ops --only conv --json > old.json
 *     deno task bench --ops --only conv --compare old.json
 *     deno task bench --roofline --peers
 *
 * @module
 */
import { MasterWeaverError } from "../src/errors.ts";
import { chooseDtype, Gpu } from "../src/gpu/gpu.ts";
import { USUAL } from "./bench/clock.ts";
import { compareLines, compareReports } from "./bench/compare.ts";
import { benchFaces, faceLines } from "./bench/faces.ts";
import {
  type BenchFlags,
  parseFlags,
  USAGE,
  UsageError,
} from "./bench/flags.ts";
import { benchOps, opLines } from "./bench/ops.ts";
import { peerLines, runPeers } from "./bench/peers.ts";
import { benchPicture, pictureLines } from "./bench/picture.ts";
import { measureRoofline, rooflineLines } from "./bench/roofline.ts";
import { batched, describeWork, type Row, ROWS } from "./bench/rows.ts";

/** What `--json` prints: a key for each part that was asked for. */
type Report = Record<string, unknown>;

/**
 * Runs the bench.
 *
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const flags = parseFlags(args);
    if (flags.help) {
      console.log(USAGE.trimEnd());
      return 0;
    }
    // Before anything is timed: a wrong name must not cost the run.
    const old = flags.compare && await readReport(flags.compare);
    const print = (lines: readonly string[]) => {
      if (!flags.json) console.log(lines.join("\n"));
    };
    const report: Report = { deno: Deno.version.deno };
    await timeParts(flags, report, print);
    if (old && flags.compare) {
      const compared = compareReports(old, report);
      print(compareLines(compared, flags.compare));
      report.compared = compared;
    }
    if (flags.json) console.log(JSON.stringify(report));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}; see --help`);
      return 2;
    }
    if (error instanceof MasterWeaverError) {
      console.error(error.message);
      return 1;
    }
    throw error;
  }
}

/** Times what was asked for, one part after the other. */
async function timeParts(
  flags: BenchFlags,
  report: Report,
  print: (lines: readonly string[]) => void,
): Promise<void> {
  const { sections } = flags;
  const { dtype, rounds } = flags;
  const rows = chosenRows(flags);
  if (sections.has("picture")) {
    const picture = await benchPicture(flags);
    print(pictureLines(picture));
    report.picture = picture;
  }
  if (sections.has("faces")) {
    const faces = await benchFaces(flags.photo);
    print(faceLines(faces));
    report.faces = faces;
  }
  if (sections.has("ops") || sections.has("roofline")) {
    using gpu = await Gpu.open();
    report.adapter = gpu.info.description || gpu.info.device;
    const real = chooseDtype(gpu, dtype);
    const roofline = sections.has("roofline")
      ? await measureRoofline(gpu)
      : undefined;
    if (roofline) {
      print(rooflineLines(roofline));
      report.roofline = roofline;
    }
    const effort = { ...USUAL, rounds };
    const timings = await benchOps(gpu, real, rows, effort, roofline);
    print(opLines(timings, real));
    report.ops = { dtype: real, timings };
    requireRight(timings.filter(({ right }) => !right));
  }
  if (sections.has("peers")) {
    const timings = await runPeers({
      // What others store; their f32 against our f16 would be no comparison.
      dtype: dtype ?? "f32",
      rows,
      effort: { ...USUAL, rounds },
    });
    print(peerLines(timings));
    report.peers = { timings };
    requireRight(timings.filter(({ right }) => !right));
  }
}

/** The rows of `--only`, at the size of `--batch`. */
function chosenRows({ only, batch }: BenchFlags): Row[] {
  const rows = ROWS.map((row) => batched(row, batch)).filter(({ name, work }) =>
    `${name} ${describeWork(work)}`.includes(only)
  );
  if (rows.length > 0) return rows;
  const names = [...new Set(ROWS.map(({ name }) => name))];
  throw new UsageError(
    `--only ${only} is in no row's name or sizes, expected a part of: ${
      names.join(", ")
    }`,
  );
}

/** A time of a wrong result counts for nothing. */
function requireRight(wrong: readonly { name: string; shapes: string }[]) {
  if (wrong.length === 0) return;
  throw new MasterWeaverError(
    "gpu",
    `Wrong results, compared with f64: ${
      wrong.map(({ name, shapes }) => `${name} ${shapes}`).join("; ")
    }; run the tests of the ops, deno task test tests/ops_test.ts`,
  );
}

/** A report of an earlier run. */
async function readReport(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot compare with ${path}, expected what --json prints: ${
        error instanceof Error ? error.message : error
      }`,
      { cause: error },
    );
  }
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
