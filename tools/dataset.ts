/**
 * Makes datasets for training, in the layout of Filtered-LAION-Face.
 *
 *     deno run -A tools/dataset.ts COMMAND …
 *
 * @module
 */
import { UsageError } from "../src/host/exit.ts";
import { toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -A tools/dataset.ts COMMAND …

Makes datasets for tools/train.ts. Each command has its own --help.

  prepare PHOTOS CAPTIONS OUT  photos, their faces found, aligned and parsed
  augment ROOT                 other appearances of a dataset's faces
  portraits OUT                drawn people in several appearances
  check ROOT                   what is in a dataset, and what is broken

  -h, --help                   this text`;

/** A command's `main`. */
type Main = (args: readonly string[]) => Promise<number>;

/** Loaded when asked for: each needs much that the others do not. */
const COMMANDS: Readonly<Record<string, () => Promise<{ main: Main }>>> = {
  prepare: () => import("./dataset/prepare.ts"),
  augment: () => import("./dataset/augment.ts"),
  portraits: () => import("./dataset/portraits.ts"),
  check: () => import("./dataset/check.ts"),
};

const withoutCommand = toolMain({
  usage: USAGE,
  options: {},
  words: true,
  run(_, [word]) {
    const names = Object.keys(COMMANDS).join(", ");
    throw new UsageError(
      word === undefined
        ? `Give a command: ${names}`
        : `${word} is no command, expected ${names}`,
    );
  },
});

/** Runs the command. */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (!Object.hasOwn(COMMANDS, name)) return await withoutCommand(args);
  const { main } = await COMMANDS[name]();
  return await main(rest);
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
