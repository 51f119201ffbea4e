/**
 * How a report looks: one column on a phone, several on a screen, light or dark
 * as the reader's system is.
 *
 * @module
 */

/** A set of colours. */
interface Palette {
  /** Behind everything. */
  readonly page: string;
  /** Behind a chart, a table, images. */
  readonly card: string;
  readonly text: string;
  /** Of what matters less. */
  readonly soft: string;
  /** Of borders and grid lines. */
  readonly rule: string;
  /** Of curves. */
  readonly line: string;
  /** Behind warnings. */
  readonly alert: string;
}

const LIGHT: Palette = {
  page: "#f6f7f9",
  card: "#fff",
  text: "#1c2330",
  soft: "#626c7c",
  rule: "#e1e5eb",
  line: "#2563c9",
  alert: "#fff4d6",
};

const DARK: Palette = {
  page: "#12151b",
  card: "#1b2028",
  text: "#e6e9ef",
  soft: "#98a2b3",
  rule: "#2d3440",
  line: "#6ea8fe",
  alert: "#3a3115",
};

const LAYOUT = `
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 1280px;
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 28px 0 10px; }
p { margin: 4px 0; }
progress { width: 100%; height: 10px; margin: 6px 0; }
.cards { display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); }
.card, figure { margin: 0; padding: 10px 12px; border: 1px solid;
  border-radius: 10px; min-width: 0; }
figure + figure.samples { margin-top: 12px; }
figcaption { display: flex; gap: 8px; align-items: baseline; min-width: 0; }
figcaption b { margin-left: auto; font-variant-numeric: tabular-nums; }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { font-variant-numeric: tabular-nums; }
.left { text-anchor: end; }
.below { text-anchor: middle; }
.raw, .line { fill: none; stroke-linejoin: round; }
.raw { opacity: .35; }
.band { opacity: .22; }
.line { stroke-width: 2; }
.samples img { display: block; width: 100%; height: auto; border-radius: 4px;
  margin-top: 8px; }
ol { margin: 8px 0 0; padding-left: 24px; }
li, .warnings p { overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: 4px 8px 4px 0;
  overflow-wrap: anywhere; border-top: 1px solid; }
tr:first-child > * { border-top: 0; }
th { width: 38%; font-weight: 500; }
@media (min-width: 640px) { th { width: 240px; } }
`;

function colours(
  { page, card, text, soft, rule, line, alert }: Palette,
): string {
  return `
body { background: ${page}; color: ${text}; }
progress { accent-color: ${line}; }
.card, figure { background: ${card}; }
.card, figure, th, td { border-color: ${rule}; }
.warnings { background: ${alert}; }
.soft, .none, code, ol, th { color: ${soft}; }
svg text { fill: ${soft}; }
.grid { stroke: ${rule}; }
.raw, .line { stroke: ${line}; }
.band, .end { fill: ${line}; }
`;
}

/** The style sheet of a report. */
export const REPORT_STYLE = `${LAYOUT}${colours(LIGHT)}
@media (prefers-color-scheme: dark) {${colours(DARK)}}
`;
