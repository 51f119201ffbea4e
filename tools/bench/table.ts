/**
 * What the bench finds: figures in tables, the same for people and programs.
 *
 * @module
 */

/** What a figure is measured in; a share is of 1, bytes are printed as MiB. */
export type Unit =
  | "s"
  | "ms"
  | "GFLOP"
  | "GFLOP/s"
  | "GB"
  | "GB/s"
  | "FLOP/byte"
  | "bytes"
  | "dB"
  | "NMSE"
  | "share"
  | "×"
  | "";

/** One number that was measured or counted, or a word beside such numbers. */
export interface Figure {
  /** Heading of its column; none in a table of a single column. */
  readonly name: string;
  /** Nothing where it does not apply, or what was timed is wrong. */
  readonly value?: number | string;
  /** What it is measured in. */
  readonly unit: Unit;
  /** Only for programs: people have it by other figures. */
  readonly detail?: true;
  /** A time that depends on what earlier runs left behind: not compared. */
  readonly once?: true;
}

/** Figures of one thing. */
export interface Row {
  /** What it is, the most general first; with section and subject its name. */
  readonly labels: readonly string[];
  /** Its figures. */
  readonly figures: readonly Figure[];
}

/** Figures of one subject. */
export interface Table {
  /** The part of the bench. */
  readonly section: string;
  /** What was timed, with all that makes its times comparable. */
  readonly subject: string;
  /** Rows with as many labels each. */
  readonly rows: readonly Row[];
  /** What else is to be known. */
  readonly notes?: readonly string[];
}

/** Shorthand for a figure. */
export function figure(
  name: string,
  value: number | string | undefined,
  unit: Unit = "",
): Figure {
  return { name, value, unit };
}

/** Shorthand for a figure that people do not see. */
export function detail(
  name: string,
  value: number | string | undefined,
  unit: Unit = "",
): Figure {
  return { name, value, unit, detail: true };
}

/** A row of one figure. */
export function single(label: string, value: number, unit: Unit): Row {
  return { labels: [label], figures: [figure("", value, unit)] };
}

/** A table for people. */
export function tableText({ section, subject, rows, notes = [] }: Table) {
  const shown = rows.map(({ labels, figures }) => ({
    labels,
    figures: figures.filter(({ detail }) => !detail),
  }));
  const names = [
    ...new Set(shown.flatMap(({ figures }) => figures.map((f) => f.name))),
  ];
  const labels = Math.max(0, ...rows.map((row) => row.labels.length));
  const cells = shown.map((row) => [
    ...Array.from({ length: labels }, (_, i) => row.labels[i] ?? ""),
    ...names.map((name) => cell(row.figures.find((f) => f.name === name))),
  ]);
  const isWord = (name: string) =>
    shown.some(({ figures }) =>
      figures.some((f) => f.name === name && typeof f.value === "string")
    );
  const heads = names.some((name) => name !== "")
    ? [[...Array(labels).fill(""), ...names]]
    : [];
  const left = (column: number) =>
    column < labels || isWord(names[column - labels]);
  return [
    `${section}: ${subject}`,
    ...columns([...heads, ...cells], left),
    ...notes.map((note) => `  ${note}`),
  ].join("\n");
}

/** Columns as wide as their longest cell, two spaces apart and in front. */
function columns(
  rows: readonly (readonly string[])[],
  left: (column: number) => boolean,
): string[] {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => row[i].length))
  );
  const aligned = (text: string, i: number) =>
    left(i) ? text.padEnd(widths[i]) : text.padStart(widths[i]);
  return rows.map((row) => `  ${row.map(aligned).join("  ").trimEnd()}`);
}

function cell(found: Figure | undefined): string {
  const { value, unit } = found ?? {};
  if (value === undefined || unit === undefined) return "";
  return typeof value === "string" ? value : measured(value, unit);
}

/** A number with its unit. */
export function measured(value: number, unit: Unit): string {
  switch (unit) {
    case "s":
      return `${value.toFixed(2)} s`;
    case "bytes":
      return `${(value / 2 ** 20).toFixed(1)} MiB`;
    case "dB":
      return `${value.toFixed(1)} dB`;
    case "NMSE":
      return value.toExponential(1);
    case "share":
      return `${(100 * value).toFixed(0)} %`;
    case "×":
      return `${value.toFixed(2)}×`;
    case "":
      return `${Math.round(1000 * value) / 1000}`;
    default:
      return `${digits(value)} ${unit}`;
  }
}

/** Three digits or all before the point, such as 2208, 16.0, 0.65. */
function digits(value: number): string {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
