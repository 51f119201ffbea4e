/**
 * Writes README's table of options from the options themselves.
 *
 *     deno task readme
 *
 * @module
 */
import { writeFileAtomic } from "../src/host/write.ts";
import { aside, typedForm } from "../src/host/command/usage.ts";
import { type NamedOption, options } from "../src/options/table.ts";
import { repositoryFile, toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -A tools/readme.ts

Writes README's table of options anew, between its two marks.

  -h, --help  this text`;

const MARKED = /(<!-- options\b[^>]*-->\n).*?(<!-- \/options -->)/s;

/** README with the table of the options there are now. */
export function withOptions(readme: string): string {
  return readme.replace(
    MARKED,
    (_, start, end) => `${start}\n${optionsTable()}\n\n${end}`,
  );
}

function optionsTable(): string {
  const rows = options.filter(({ libraryOnly }) => !libraryOnly).map(row);
  return ["| option | meaning (default) |", "|---|---|", ...rows].join("\n");
}

function row(option: NamedOption): string {
  const { help, details } = option;
  const { range, default: value } = aside(option);
  const more = details === undefined ? "" : `; ${details}`;
  // A bar would end the cell, and what is in angle brackets is a link to some.
  const meaning = `${help}${range}${more}${value}`
    .replaceAll("|", "\\|").replaceAll("<", "\\<");
  const names = typedForm(option).split(", ").map((name) =>
    `\`${name.replaceAll("|", " \\| ")}\``
  );
  return `| ${names.join(", ")} | ${meaning} |`;
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {},
  async run() {
    const path = repositoryFile("README.md");
    const made = withOptions(await Deno.readTextFile(path));
    const bytes = new TextEncoder().encode(made);
    await writeFileAtomic(path, (append) => append(bytes));
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
