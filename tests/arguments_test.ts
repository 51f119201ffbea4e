/**
 * Command lines: values as they are written, errors that name the option.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { parseArguments } from "../src/host/arguments.ts";
import { UsageError } from "../src/host/exit.ts";

const specs = {
  prompt: { type: "string" },
  seed: { type: "string", default: "42" },
  ref: { type: "string", multiple: true },
  "negative-prompt": { type: "string" },
  quiet: { type: "boolean", default: false },
  json: { type: "boolean" },
  help: { type: "boolean" },
} as const;

const parse = (...args: string[]) => parseArguments(args, specs, "positionals");

Deno.test("arguments: defaults, several, words, the last of two", () => {
  const { values, positionals } = parse(
    "a",
    "--ref=1",
    "--prompt",
    "x",
    "--ref",
    "2",
    "--prompt=y=z",
    "--quiet",
    "-",
    "--",
    "--json",
  );
  assertEquals(values, {
    prompt: "y=z",
    seed: "42",
    ref: ["1", "2"],
    "negative-prompt": undefined,
    quiet: true,
    json: undefined,
    help: undefined,
  });
  assertEquals(positionals, ["a", "-", "--json"]);
});

Deno.test("arguments: a value may start with a minus, and be empty", () => {
  for (
    const value of [
      "-1",
      "-5 degrees",
      "--",
      "---",
      "--no-people",
      "-x",
      "",
      "-",
    ]
  ) {
    assertEquals(parse("--prompt", value).values.prompt, value);
    assertEquals(parse(`--prompt=${value}`).values.prompt, value);
  }
  assertEquals(parse("--prompt=--json").values.prompt, "--json");
  assertEquals(parse("--prompt=-h").values.prompt, "-h");
  assertEquals(parse("-h").values.help, true);
});

Deno.test("arguments: errors name what was typed", () => {
  const faults: [string[], string][] = [
    [["--promt", "x"], "Option --promt is unknown; did you mean --prompt?"],
    [
      ["--negative_prompt=x"],
      "--negative_prompt is unknown; did you mean --neg",
    ],
    [["--Seed", "1"], "Option --Seed is unknown; did you mean --seed?"],
    [
      ["--neg", "x"],
      "Option --neg is unknown; did you mean --negative-prompt?",
    ],
    [["-prompt", "x"], "Option -prompt is unknown; did you mean --prompt?"],
    [["--elephants"], "Option --elephants is unknown"],
    [["--constructor"], "Option --constructor is unknown"],
    [["-q"], "Option -q is unknown"],
    [["--prompt"], "Option --prompt needs a value"],
    [["--prompt", "--json"], "--prompt needs a value, got the option --json;"],
    [
      ["--prompt", "--seed=3"],
      "write --prompt=--seed=3 where that is its value",
    ],
    [["--prompt", "-h"], "--prompt needs a value, got the option -h"],
    [["--json=1"], "Option --json takes no value, got 1"],
  ];
  for (const [args, message] of faults) {
    assertThrows(() => parse(...args), UsageError, message);
  }
  assertThrows(
    () => parseArguments(["--prompt", "a", "man"], specs, "no-positionals"),
    UsageError,
    'The word "man" belongs to no option; put a text of several words in quotes',
  );
});
