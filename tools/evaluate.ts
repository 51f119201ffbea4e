/**
 * Measures what identity adapters do on people they were not trained on.
 *
 *     deno run -A tools/evaluate.ts --data held-out --sheet sheet.png
 *
 * @module
 */
import { print } from "../src/host/streams.ts";
import { evaluate } from "./evaluate/evaluation.ts";
import { evaluationTable } from "./evaluate/report.ts";
import { OPTIONS, requestOf, USAGE } from "./evaluate/request.ts";
import { printJson, talk, toolMain } from "./tool.ts";

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  async run(values) {
    const { report } = talk(values.quiet);
    const found = await evaluate(requestOf(values), report);
    if (values.json) printJson(found);
    else print(evaluationTable(found));
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
