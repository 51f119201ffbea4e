/**
 * The evaluation as a table for people.
 *
 * @module
 */
import {
  type Measure,
  MEASURES,
  type Summary,
} from "../../src/train/evaluation/scores.ts";
import { counted } from "../tool.ts";
import type { Evaluation } from "./evaluation.ts";

const TITLES: Readonly<Record<Measure, string>> = {
  clipT: "CLIP-T",
  clipI: "CLIP-I",
  faceSimilarity: "face similarity",
  featureSimilarity: "feature similarity",
  editFirst: "edit first of nine",
};

/** With fewer people the bootstrap's intervals are far too narrow. */
const ENOUGH_PEOPLE = 8;

/** A row's title and estimates. */
type Row = readonly [title: string, summary: Summary, isGain?: boolean];

/** The table: a row for each adapter, gains and baselines. */
export function evaluationTable(evaluation: Evaluation): string {
  const { adapters, baselines, protocol, missing, skipped } = evaluation;
  const rows: Row[] = [
    ...adapters.flatMap(({ adapter, summary, gain }): Row[] => [
      [adapter, summary],
      ...gain ? [["  gain over the first", gain, true] as const] : [],
    ]),
    ["same person, another image", baselines.samePerson],
    ["another person", baselines.otherPerson],
  ];
  const shown = MEASURES.filter((measure) =>
    rows.some(([, summary]) => summary[measure])
  );
  const cells = [
    ["", ...shown.map((measure) => TITLES[measure])],
    ...rows.filter(([, summary]) => Object.keys(summary).length > 0)
      .map(([title, summary, isGain]) => [
        title,
        ...shown.map((measure) => cell(summary, measure, isGain)),
      ]),
  ];
  const { edits, identities, steps, guidanceScale, idScale, seed } = protocol;
  const notes = [
    `${identities} people × ${edits.length} edits, ${steps} steps, guidance ${guidanceScale}, id scale ${idScale}, seed ${seed}; 95 % intervals over people`,
    ...identities < ENOUGH_PEOPLE
      ? [
        `Intervals over ${
          counted(identities, "person", "people")
        } mean little: evaluate with at least ${ENOUGH_PEOPLE}`,
      ]
      : [],
    ...Object.entries(missing).map(([measure, what]) =>
      `${TITLES[measure as Measure]} is not measured; it needs ${what}`
    ),
    ...skipped.map(({ id, reason }) => `${id} is left out: ${reason}`),
  ];
  return `${aligned(cells)}\n${notes.join("\n")}\n`;
}

function cell(summary: Summary, measure: Measure, isGain = false): string {
  const found = summary[measure];
  if (!found) return "";
  const sign = isGain && Number(figure(found.mean)) > 0 ? "+" : "";
  return `${sign}${figure(found.mean)} [${figure(found.low)}, ${
    figure(found.high)
  }]`;
}

/** Three decimals; what rounds to zero has no sign. */
function figure(value: number): string {
  return value.toFixed(3).replace(/^-(?=0\.000$)/, "");
}

/** Rows with their columns below each other. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => row[column].length))
  );
  return rows.map((row) =>
    row.map((text, column) => text.padEnd(widths[column])).join("  ").trimEnd()
  ).join("\n") + "\n";
}
