/**
 * Writes README's table of options from the options themselves.
 *
 *     deno task readme
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArguments } from "../src/host/arguments.ts";
import { toolExitCode } from "../src/host/exit.ts";
import { print } from "../src/host/streams.ts";
import { writeFileAtomic } from "../src/host/write.ts";
import { aside, typedForm } from "../src/host/command/usage.ts";
import { type NamedOption, options } from "../src/options/table.ts";

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
  const names = typedForm(option).split(", ").map((name) =>
    `\`${name.replaceAll("|", " \\| ")}\``
  );
  return `| ${names.join(", ")} | ${help}${range}${more}${value} |`;
}

if (import.meta.main) {
  Deno.exitCode = await toolExitCode(async () => {
    const specs = { help: { type: "boolean" } } as const;
    const { values } = parseArguments(Deno.args, specs, "no-positionals");
    if (values.help) return print(`${USAGE}\n`);
    const path = fileURLToPath(new URL("../README.md", import.meta.url));
    const made = withOptions(await Deno.readTextFile(path));
    const bytes = new TextEncoder().encode(made);
    await writeFileAtomic(path, (append) => append(bytes));
  });
}
