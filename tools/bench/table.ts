/**
 * Tables as lines of text.
 *
 * @module
 */

/**
 * Columns as wide as their longest cell, two spaces apart and in front.
 *
 * @param rows the first may be the headings; a row may be shorter than others
 * @param left which columns are aligned left
 */
export function tableLines(
  rows: readonly (readonly string[])[],
  left: readonly number[] = [0],
): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from(
    { length: columns },
    (_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)),
  );
  return rows.map((row) =>
    "  " +
    row.map((cell, i) =>
      left.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
    ).join("  ").trimEnd()
  );
}

/** A number with three digits or all before the point, such as 2208, 16.0, 0.65. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
