/**
 * Compares two reports of the bench: the time of each row, new over old.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import { figure, measured, type Table } from "./table.ts";

/** What `--json` prints. */
export interface Report {
  /** Version of the runtime. */
  readonly deno: string;
  /** Name of the adapter, where one was used. */
  readonly adapter?: string;
  /** All figures. */
  readonly tables: readonly Table[];
}

/** Slower by more than a tenth is marked: less is within what a machine varies by. */
const SLOWER = 1.1;

/** Milliseconds of all that was timed, by a name that is the same in every report. */
export function timesOf({ tables }: Pick<Report, "tables">) {
  const times = new Map<string, number>();
  for (const { section, subject, rows } of tables) {
    for (const { labels, figures } of rows) {
      for (const { name, value, unit, once } of figures) {
        const isTime = unit === "s" || unit === "ms";
        if (typeof value !== "number" || !isTime || once) continue;
        const key = [section, subject, ...labels, name].filter((word) => word)
          .join(", ");
        // An op by several shaders is one row: which of them run may change.
        times.set(
          key,
          (times.get(key) ?? 0) + (unit === "s" ? 1000 : 1) * value,
        );
      }
    }
  }
  return times;
}

/**
 * Each time of both reports, new over old, and their geometric mean.
 *
 * @param file name of the older report
 */
export function compareReports(
  older: Pick<Report, "tables">,
  newer: Pick<Report, "tables">,
  file: string,
): Table {
  const before = timesOf(older);
  const after = timesOf(newer);
  const pairs = [...after].flatMap(([name, time]) => {
    const old = before.get(name);
    return old === undefined ? [] : [{ name, old, time, ratio: time / old }];
  });
  const slower = pairs.filter(({ ratio }) => ratio > SLOWER).length;
  const mean = Math.exp(
    pairs.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) /
      Math.max(1, pairs.length),
  );
  const gone = before.size - pairs.length;
  const added = after.size - pairs.length;
  return {
    section: "compared",
    subject: `with ${file}, new over old: below 1 is faster`,
    rows: pairs.map(({ name, old, time, ratio }) => ({
      labels: [name],
      figures: [
        figure("old", measured(old, "ms")),
        figure("new", measured(time, "ms")),
        figure("ratio", ratio, "×"),
        figure("", ratio > SLOWER ? "SLOWER" : ""),
      ],
    })),
    notes: [
      `${pairs.length} rows, geometric mean ${mean.toFixed(2)}, ` +
      `${slower} slower by more than ${Math.round(100 * (SLOWER - 1))} %; ` +
      `${gone} only in the old report, ${added} only in the new one`,
    ],
  };
}

/**
 * A report of an earlier run.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readReport(path: string): Promise<Report> {
  try {
    const report: Report = JSON.parse(await Deno.readTextFile(path));
    if (!Array.isArray(report.tables)) throw new Error("it has no tables");
    return report;
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
