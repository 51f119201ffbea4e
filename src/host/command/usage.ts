/**
 * What `--help` prints.
 *
 * @module
 */
import { type NamedOption, options } from "../../options/table.ts";
import { inRepository } from "../place.ts";

/** Where an option's meaning begins, and where a line ends. */
const [INDENT, WIDTH] = [27, 80];

/**
 * What the command says of itself and its options.
 *
 * @param program how it is started
 */
export function usage(program: string): string {
  return `MasterWeaver on WebGPU: images of a person from one photo.

  ${program} --ref a.png --prompt "a smiling woman with red hair"

${options.filter(({ libraryOnly }) => !libraryOnly).map(lines).join("\n")}

${inRepository ? WITH_STUDIO : IN_PACKAGE}`;
}

const WITH_STUDIO = `Also, each with a --help of its own:

  deno run -A mod.ts serve   a page and an HTTP API
  deno run -A mod.ts work    a worker for them, on another machine
`;

const IN_PACKAGE =
  `weights/mini and the README are in this package. The MasterWeaver repository has
the tools that convert models and train, and the studio, a page with an API.
`;

/** An option, what it means, its limits and its default. */
function lines(option: NamedOption): string {
  const { range, default: value } = aside(option);
  const name = `  ${typedForm(option)}`;
  const wrapped = wrap(`${option.help}${range}${value}`);
  const rest = wrapped.map((line) => " ".repeat(INDENT) + line);
  // A long name has a line of its own.
  if (name.length + 1 > INDENT) return [name, ...rest].join("\n");
  return [name.padEnd(INDENT) + wrapped[0], ...rest.slice(1)].join("\n");
}

/** A text in lines of at most so many characters. */
export function wrap(text: string, width = WIDTH - INDENT): string[] {
  const wrapped = [""];
  for (const word of text.split(" ")) {
    const line = `${wrapped.at(-1)} ${word}`.trimStart();
    if (line.length <= width) wrapped[wrapped.length - 1] = line;
    else wrapped.push(word);
  }
  return wrapped;
}

/** How an option is typed, such as `--seed N` or `--align, --no-align`. */
export function typedForm({ flag, alias, type }: NamedOption): string {
  const own = type.form === "pair"
    ? `--${flag}, --no-${flag}`
    : `--${flag} ${type.placeholder}`.trimEnd();
  return alias === undefined ? own : `${alias}, ${own}`;
}

/** An option's limits and default, as they follow its help. */
export function aside(option: NamedOption): { range: string; default: string } {
  const { type, default: value, defaultText } = option;
  const hasDefault = value !== undefined && type.form !== "switch";
  const shown = defaultText ?? (hasDefault ? String(value) || '""' : undefined);
  return {
    range: type.range === undefined ? "" : `, ${type.range}`,
    default: shown === undefined ? "" : ` (${shown})`,
  };
}
