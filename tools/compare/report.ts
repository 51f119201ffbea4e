/**
 * Errors as tables, for people and for pages.
 *
 * @module
 */
import { basename } from "node:path";
import type { StorageType } from "../../src/gpu/gpu.ts";
import type { ImageError } from "./conversions.ts";
import { LIMITS, type OutputError } from "./reference.ts";

/** A table: its first row is the head. */
export type Table = readonly (readonly string[])[];

/** A model's errors against another. */
export interface ModelErrors {
  /** Its folder, as it was given. */
  readonly model: string;
  /** Of its networks. */
  readonly networks: readonly OutputError[];
  /** Of its images. */
  readonly images: readonly ImageError[];
}

/** Errors against PyTorch beside the limit. */
export function referenceTable(
  errors: readonly OutputError[],
  storage: StorageType,
): Table {
  return [
    ["network", "output", "NMSE", "at most", "", "seconds", "GPU MiB"],
    ...errors.map(({ network, output, nmse, seconds, peakGpuBytes }) => [
      network,
      output,
      small(nmse),
      small(LIMITS[storage]),
      nmse <= LIMITS[storage] ? "ok" : "missed",
      seconds.toFixed(1),
      (peakGpuBytes / 2 ** 20).toFixed(0),
    ]),
  ];
}

/** Errors of conversions, one a column. */
export function conversionTable(models: readonly ModelErrors[]): Table {
  const names = models.map(({ model }) => basename(model));
  const isClear = new Set(names).size === names.length;
  const titles = isClear ? names : models.map(({ model }) => model);
  const [{ networks, images }] = models;
  const row = (title: string, cell: (errors: ModelErrors) => string) => [
    title,
    ...models.map(cell),
  ];
  const table = [
    ["", ...titles],
    ...networks.map(({ output }, i) =>
      row(`${output}, NMSE`, (model) => small(model.networks[i].nmse))
    ),
  ];
  if (images.length === 0) return table;
  return [
    ...table,
    row("images, median PSNR", (model) => decibels(median(psnrs(model)))),
    row("images, worst PSNR", (model) => decibels(psnrs(model)[0])),
    row(
      "images, largest difference",
      ({ images }) =>
        `${Math.max(...images.map((one) => one.largestDifference))}/255`,
    ),
  ];
}

/** From the worst on. */
function psnrs({ images }: ModelErrors): number[] {
  return images.map(({ psnr }) => psnr).sort((a, b) => a - b);
}

/** Of sorted numbers; of an even count the lower of the two in the middle. */
function median(sorted: readonly number[]): number {
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

function small(value: number): string {
  return value === 0 ? "0" : value.toExponential(1);
}

function decibels(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : "equal";
}

/** A table in columns. */
export function toText(table: Table): string {
  const widths = table[0].map((_, column) =>
    Math.max(...table.map((row) => row[column].length))
  );
  return table.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()
  ).join("\n");
}

/** A table in Markdown. */
export function toMarkdown([head, ...body]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...body.map(line)]
    .join("\n");
}
