/**
 * Compares two reports of the bench: the time of each row, new over old.
 *
 * @module
 */
import { tableLines } from "./table.ts";

/** A row of both reports. */
export interface Comparison {
  /** What was timed. */
  readonly name: string;
  /** Its time in the old report, in seconds or milliseconds. */
  readonly old: number;
  /** Its time in the new one, in the same unit. */
  readonly new: number;
  /** New over old: below 1 is faster. */
  readonly ratio: number;
  /** Whether it is slower by more than {@linkcode SLOWER}. */
  readonly slower: boolean;
}

/** What two reports have in common, and what only one has. */
export interface Compared {
  /** Rows of both. */
  readonly rows: readonly Comparison[];
  /** Names of rows that only the old report has. */
  readonly gone: readonly string[];
  /** Names of rows that only the new report has. */
  readonly added: readonly string[];
  /** The geometric mean of the ratios; 1 where there are no rows. */
  readonly mean: number;
}

/** Slower by more than a tenth is marked: less is within what a machine varies by. */
const SLOWER = 1.1;

/** Times in a report, by what lies on the way to them. */
const TIMES = new Set([
  "milliseconds",
  "load",
  "compile",
  "encode",
  "step",
  "decode",
  "first",
  "second",
  "detect",
  "align",
]);

/** Properties that tell one entry of a list from another, in this order. */
const NAMES = [
  "name",
  "shapes",
  "engine",
  "model",
  "series",
  "size",
  "batch",
  "dtype",
  "weights",
];

/**
 * Every time in a report, under a name that is the same in other reports.
 *
 * @param report what `--json` prints
 */
export function timesOf(report: unknown): Map<string, number> {
  const times = new Map<string, number>();
  const visit = (value: unknown, path: readonly string[]) => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) {
      value.forEach((entry, i) => visit(entry, [...path, nameOf(entry, i)]));
      return;
    }
    for (const [key, inner] of Object.entries(value)) {
      if (typeof inner === "number" && TIMES.has(key)) {
        const own = key === "milliseconds" ? path : [...path, key];
        const name = own.join(" ");
        // A kind of op by several shaders is one row: variants may change.
        times.set(name, (times.get(name) ?? 0) + inner);
      } else {
        visit(inner, listed(inner) ? path : [...path, key, ...titles(inner)]);
      }
    }
  };
  visit(report, []);
  return times;
}

/** Lists of named entries add nothing to a name. */
function listed(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 &&
    typeof value[0] === "object";
}

function nameOf(entry: unknown, index: number): string {
  return titles(entry).join(", ") || `${index}`;
}

/** What an entry is called. */
function titles(entry: unknown): string[] {
  if (typeof entry !== "object" || entry === null) return [];
  const values = entry as Readonly<Record<string, unknown>>;
  return NAMES.filter((key) => values[key] !== undefined).map((key) => {
    const value = values[key];
    return Array.isArray(value) ? value.join("×") : `${value}`;
  });
}

/** Compares a report with an older one. */
export function compareReports(older: unknown, newer: unknown): Compared {
  const before = timesOf(older);
  const after = timesOf(newer);
  const rows = [...after].filter(([name]) => before.has(name)).map(
    ([name, time]): Comparison => {
      const old = before.get(name)!;
      const ratio = time / old;
      return { name, old, new: time, ratio, slower: ratio > SLOWER };
    },
  );
  const logs = rows.map(({ ratio }) => Math.log(ratio));
  return {
    rows,
    gone: [...before.keys()].filter((name) => !after.has(name)),
    added: [...after.keys()].filter((name) => !before.has(name)),
    mean: Math.exp(logs.reduce((a, b) => a + b, 0) / Math.max(1, logs.length)),
  };
}

/** The comparison as lines for a person. */
export function compareLines(
  { rows, gone, added, mean }: Compared,
  file: string,
): string[] {
  if (rows.length === 0) {
    return [`Compared with ${file}: no row is in both`];
  }
  const slower = rows.filter((row) => row.slower).length;
  return [
    `Compared with ${file}: new over old, below 1 is faster`,
    ...tableLines(rows.map((row) => [
      row.name,
      `${row.ratio.toFixed(2)}`,
      row.slower ? "SLOWER" : "",
    ])),
    `  ${rows.length} rows, geometric mean ${mean.toFixed(2)}, ` +
    `${slower} slower by more than ${Math.round((SLOWER - 1) * 100)} %` +
    (gone.length > 0 ? `; ${gone.length} only in the old report` : "") +
    (added.length > 0 ? `; ${added.length} only in the new one` : ""),
  ];
}
