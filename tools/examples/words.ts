/**
 * The command line of an example: words alone, no options but `--help`.
 *
 * @module
 */

/**
 * The words of a command line. `--help` prints the usage and ends the process;
 * so does wrong usage, with exit code 2.
 *
 * @param usage a line for each form
 * @param least the fewest words
 * @param most the most words
 * @param args the words, where options were taken from the command line before
 */
export function words(
  usage: readonly string[],
  least: number,
  most: number,
  args: string[] = Deno.args,
): string[] {
  const lines = usage.map((form, i) =>
    `${i === 0 ? "Usage:" : "      "} ${form}`
  )
    .join("\n");
  if (args.some((word) => word === "--help" || word === "-h")) {
    console.log(lines);
    Deno.exit(0);
  }
  const isOption = args.some((word) => word.startsWith("--"));
  if (isOption || args.length < least || args.length > most) {
    console.error(lines);
    Deno.exit(2);
  }
  return args;
}
