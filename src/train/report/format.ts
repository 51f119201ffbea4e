/**
 * Numbers and times as people read them.
 *
 * @module
 */

/** A measured value with three significant digits: `0.123`, `6.4e-5`, `12,346`. */
export function formatMeasure(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-3) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return size >= 1000
    ? formatCount(Math.round(value))
    : String(Number(value.toPrecision(3)));
}

/** A whole number with commas: `100,000`. */
export function formatCount(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** A time, its two largest units: `12 s`, `3 min 4 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.ceil(seconds));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const;
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return "0 s";
  const [name, size] = units[first];
  const texts = [`${Math.floor(whole / size)} ${name}`];
  const next = units[first + 1];
  if (next) texts.push(`${Math.floor(whole % size / next[1])} ${next[0]}`);
  return texts.join(" ");
}

/** A speed: `2.31 steps/s`, or the time of one step where that is longer. */
export function formatSpeed(stepsPerSecond: number): string {
  if (!(stepsPerSecond > 0)) return "–";
  return stepsPerSecond >= 1
    ? `${formatMeasure(stepsPerSecond)} steps/s`
    : `${formatMeasure(1 / stepsPerSecond)} s/step`;
}
