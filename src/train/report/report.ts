/**
 * The report of a training run: one HTML page that needs nothing else, no
 * network and no script.
 *
 * @module
 */
import { drawChart } from "./chart.ts";
import { pointsOf } from "./curve.ts";
import { formatCount, formatDuration, formatSpeed } from "./format.ts";
import { escapeHtml } from "./html.ts";
import type { MetricsRecord } from "./metrics.ts";
import { REPORT_STYLE } from "./style.ts";

/** How far a run has come. */
export type RunStatus = "running" | "finished" | "stopped" | "failed";

/** A grid of images to show. */
export interface ReportGrid {
  /** Steps that were done. */
  readonly step: number;
  /** A PNG file. */
  readonly png: Uint8Array;
  /** What is said of the rows, from top to bottom. */
  readonly captions: readonly string[];
}

/** What a report is made of. No text in it is trusted. */
export interface ReportData {
  /** The heading. */
  readonly title: string;
  /** How far it has come. */
  readonly status: RunStatus;
  /** Steps that were done. */
  readonly step: number;
  /** Steps to do. */
  readonly total: number;
  /** How fast; 0 where that is not known. */
  readonly stepsPerSecond: number;
  /** When this was drawn. */
  readonly updated: Date;
  /** All recorded steps, in order. */
  readonly records: readonly MetricsRecord[];
  /** The last grids, newest first. */
  readonly grids: readonly ReportGrid[];
  /** What the run was started with. */
  readonly settings: Readonly<Record<string, string>>;
  /** What computes it. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the user was warned of, oldest first. */
  readonly warnings: readonly string[];
}

/** Known curves in their order; those of other names follow. */
const CURVES: readonly { name: string; label: string; isNoisy: boolean }[] = [
  { name: "loss_mle", label: "Noise prediction", isNoisy: true },
  { name: "loss_bg", label: "Background", isNoisy: true },
  { name: "loss_edit", label: "Editing direction", isNoisy: true },
  { name: "loss_own", label: "Noise with the own face", isNoisy: false },
  { name: "loss_none", label: "Noise without a face", isNoisy: false },
  { name: "loss_other", label: "Noise with another's face", isNoisy: false },
  { name: "grad_norm", label: "Gradient norm", isNoisy: true },
  { name: "learning_rate", label: "Learning rate", isNoisy: false },
  { name: "steps_per_second", label: "Steps a second", isNoisy: true },
  { name: "loss_scale", label: "Loss scale", isNoisy: false },
];

const TITLES: Readonly<Record<RunStatus, string>> = {
  running: "Training",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
};

/** Seconds after which a browser looks for a newer report of a run at work. */
const REFRESH = 30;

/** Warnings that are shown, the newest: nobody reads all of a long run's. */
const MAX_WARNINGS = 100;

/** Nothing is loaded or run, whatever is in the page. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** Draws a report: a whole HTML page. */
export function drawReport(data: ReportData): string {
  const { title, status, records, grids, settings, environment, warnings } =
    data;
  const refresh = status === "running"
    ? `<meta http-equiv="refresh" content="${REFRESH}">`
    : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">${refresh}
<title>${escapeHtml(title)}</title>
<style>${REPORT_STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1>
${drawStatus(data)}
${drawWarnings(warnings)}
<h2>Curves</h2>
<div class="cards">
${drawCurves(records)}
</div>
${grids.length > 0 ? "<h2>Samples</h2>" : ""}
${grids.map(drawSamples).join("\n")}
<h2>Settings</h2>
<div class="card">${drawTable(settings)}</div>
<h2>Environment</h2>
<div class="card">${drawTable(environment)}</div>
</body></html>
`;
}

function drawStatus(data: ReportData): string {
  const { status, step, total, stepsPerSecond, updated } = data;
  const left = status === "running" && stepsPerSecond > 0
    ? ` · ${formatDuration((total - step) / stepsPerSecond)} left`
    : "";
  const speed = stepsPerSecond > 0 ? ` · ${formatSpeed(stepsPerSecond)}` : "";
  return `<p>${TITLES[status]}: step ${formatCount(step)} of ${
    formatCount(total)
  }${speed}${left}</p>
<progress value="${Math.min(step, total)}" max="${
    Math.max(1, total)
  }"></progress>
<p class="soft">Drawn ${
    updated.toISOString().replace("T", " ").slice(0, 19)
  } UTC</p>`;
}

function drawWarnings(warnings: readonly string[]): string {
  if (warnings.length === 0) return "";
  const shown = warnings.slice(-MAX_WARNINGS);
  const rest = warnings.length - shown.length;
  if (rest > 0) shown.unshift(`${formatCount(rest)} earlier ones, then:`);
  const lines = shown.map((text) => `<p>${escapeHtml(text)}</p>`).join("");
  return `<h2>Warnings</h2><div class="card warnings">${lines}</div>`;
}

function drawCurves(records: readonly MetricsRecord[]): string {
  const names = new Set<string>();
  for (const record of records) {
    for (const name of Object.keys(record)) {
      if (typeof record[name] === "number") names.add(name);
    }
  }
  for (const name of ["step", "epoch"]) names.delete(name);
  const known = CURVES.filter(({ name }) => names.delete(name));
  const others = [...names].map((name) => ({
    name,
    label: name.replaceAll("_", " "),
    isNoisy: true,
  }));
  const curves = [...known, ...others];
  if (curves.length === 0) return '<p class="none">No step is recorded yet</p>';
  return curves
    .map((curve) =>
      drawChart({ ...curve, points: pointsOf(records, curve.name) })
    )
    .join("\n");
}

function drawSamples({ step, png, captions }: ReportGrid): string {
  const items = captions.map((text) => `<li>${escapeHtml(text)}</li>`).join("");
  return `<figure class="samples"><figcaption><span>Step ${
    formatCount(step)
  }</span></figcaption>
<img alt="Samples of step ${
    formatCount(step)
  }" src="data:image/png;base64,${png.toBase64()}">${
    items && `<ol>${items}</ol>`
  }</figure>`;
}

function drawTable(values: Readonly<Record<string, string>>): string {
  const rows = Object.entries(values).map(([name, value]) =>
    `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`
  );
  return `<table>${rows.join("\n")}</table>`;
}
