/**
 * The command's options: values are shown as they are typed, numbers are decimal,
 * and wrong usage gets one clear line, exit code 2, and nothing written.
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readFlags } from "../src/host/command/flags.ts";
import { UsageError } from "../src/host/exit.ts";
import {
  type BadInput,
  badInputTests,
  demo,
  withDemo,
} from "./support/bad_input.ts";

const rows: readonly [flag: string, value: string, says: RegExp][] = [
  ["--rng", "", /--rng must be torch-cuda or torch-cpu, got ""/],
  ["--dtype", "", /--dtype must be f16 or f32, got ""/],
  ["--tune", "", /--tune must be auto, off or force, got ""/],
  ["--fit", "", /--fit must be crop or pad, got ""/],
  ["--guidance-scale", "1e400", /--guidance-scale .* 0\.\.100, got 1e400$/],
  ["--steps", "9999999999999999999999", /in 1\.\.1000, got 9{22}$/],
  ["--steps", "1e2", /--steps takes a whole number, got 1e2$/],
  ["--steps", "2.5", /--steps takes a whole number, got 2\.5$/],
  ["--steps", "0x10", /--steps takes a number, got 0x10$/],
  ["--steps", " 2", /--steps takes a number, got " 2"$/],
  ["--id-scale", "0x1", /--id-scale takes a number, got 0x1$/],
  ["--merge-tokens", "Infinity", /--merge-tokens takes a number, got Inf/],
];

for (const [flag, value, says] of rows) {
  Deno.test(`flags: ${flag} ${JSON.stringify(value)} is refused as typed`, () => {
    const { message } = assertThrows(
      () => readFlags(["--ref=a.png", flag, value]),
      UsageError,
    );
    assertMatch(message, says);
  });
}

Deno.test("flags: numbers as people write them", () => {
  const { settings } = readFlags([
    "--ref=a.png",
    "--steps=030",
    "--guidance-scale=7.5e0",
    "--id-scale=.5",
    "--merge-tokens=+0.25",
    "--guidance-range=0, 0.5",
  ]);
  assertEquals(settings, {
    steps: 30,
    guidanceScale: 7.5,
    idScale: 0.5,
    mergeTokens: 0.25,
    guidanceRange: [0, 0.5],
  });
});

Deno.test("flags: a plus is allowed before any number", () => {
  const { settings } = readFlags(["--ref=a.png", "--seed=+5", "--steps=+2"]);
  assertEquals(settings, { seed: 5n, steps: 2 });
});

Deno.test("flags: what means nothing without a photo is refused by name", () => {
  const needing = [
    ...["--save-references", "--align", "--no-align", "--parse", "--no-parse"],
    ...["--face=1", "--require-face", "--no-require-face", "--fit=pad"],
    ...["--adapter=a.weave", "--id-scale=0.5"],
  ];
  for (const given of needing) {
    const [flag] = given.split("=");
    for (const more of ["--prompt=snow", "--from-image=a.png"]) {
      const { message } = assertThrows(
        () => readFlags([more, given]),
        UsageError,
      );
      assertEquals(
        message,
        `Option ${flag} needs a reference photo: give one with --ref FILE, or leave ${flag} out`,
      );
      readFlags([more, given, "--ref=b.png"]);
    }
  }
  // What leaves the identity out needs none.
  readFlags(["--prompt=snow", "--id-scale=0"]);
});

const usage: readonly BadInput[] = [
  {
    what: "an unknown option",
    args: withDemo("--stepz", "3"),
    says: /--stepz.*--help/,
  },
  {
    what: "neither a prompt nor a photo",
    args: () => [],
    says: /Give a prompt with --prompt TEXT, a photo with --ref FILE, or both/,
  },
  {
    what: "a word that belongs to no option",
    args: withDemo("beach"),
    says: /beach/,
  },
  { what: "an option without its value", args: () => ["--ref"], says: /--ref/ },
  {
    what: "steps that are no number",
    args: withDemo("--steps", "many"),
    says: /--steps takes a number, got many/,
  },
  {
    what: "a broken seed",
    args: withDemo("--seed", "1.5"),
    says: /--seed takes a whole number, got 1\.5/,
  },
  {
    what: "a face that is no number",
    args: withDemo("--face", "left"),
    says:
      /--face takes a number from 0, best or largest, or a list of these such as 0,best, got left/,
  },
  {
    what: "an unknown way to tune",
    args: withDemo("--tune", "maybe"),
    says: /--tune must be auto, off or force, got maybe/,
  },
  {
    what: "features reused for no step",
    args: withDemo("--reuse-features", "0"),
    says: /--reuse-features must be a whole number in 1\.\.1000, got 0/,
  },
  {
    what: "more merged tokens than can be",
    args: withDemo("--merge-tokens", "0.9"),
    says: /--merge-tokens must be a number in 0\.\.0\.75, got 0\.9/,
  },
  {
    what: "a range of guidance that is no range",
    args: withDemo("--guidance-range", "half"),
    says: /--guidance-range takes two numbers, such as 0,0\.5, got half/,
  },
  {
    what: "a range of guidance beyond the last step",
    args: withDemo("--guidance-range", "0.5,2"),
    says:
      /--guidance-range must be two rising fractions .* 0\.\.1.* got 0\.5,2/,
  },
  ...[
    ["--output", "a.webp", /--output takes a \.png or \.jpg .* got a\.webp/],
    ["--output", "b/c.TIFF", /--output takes .* got b\/c\.TIFF: \.tiff is not/],
    ["--output", "", /--output needs a path, got ""/],
    ["--model", "", /--model needs a path, got ""/],
    ["--seed", "18446744073709551616", /--seed must be .* got 18446744073709/],
    ["--seed", "-9223372036854775809", /--seed must be .* got -92233720368547/],
    ["--width", "127", /--width must be a multiple of 4, got 127/],
    ["--steps", "", /--steps takes a number, got ""/],
    ["--steps", "--quiet", /--steps needs a value, got the option --quiet/],
    ["--face", "7", /Cannot take face 7: the photo has 1/],
    ["--width", "1000000", /--width .* 32\.\.2048, got 1000000;/],
    ["--width", "8", /--width must be a whole number in 32\.\.2048, got 8;/],
    ["--width", "0", /--width must be a whole number in 32\.\.2048, got 0;/],
    ["--face", "100", /Cannot take face 100: the photo has 1.*--face/],
    ["--face", "1000", /Cannot take face 1000: the photo has 1.*--face/],
    ["--output", "./.webp", /--output takes .* got \.\/\.webp: \.webp is not/],
    ["--guidance_scale", "3", /--guidance_scale .* mean --guidance-scale\?/],
    ["-x", "3", /Option -x is unknown/],
  ].map(([flag, value, says]) => ({
    what: `${flag} ${value || '""'}`,
    args: withDemo(flag as string, value as string),
    says: says as RegExp,
  })),
  {
    what: "a value where none belongs",
    args: withDemo("--json=yes"),
    says: /--json takes no value, got yes/,
  },
  {
    what: "an image and JSON on one stream",
    args: withDemo("--output", "-", "--json"),
    says: /--output - or --json, not both/,
  },
  {
    what: "several images on one stream",
    args: withDemo("--output=-", "--num-images=2"),
    says: /--output - takes one image, got --num-images 2/,
  },
  {
    what: "references beside a stream",
    args: withDemo("--output=-", "--save-references"),
    says: /--save-references writes files beside the output, got --output -/,
  },
  {
    what: "--align and --no-align",
    args: withDemo("--align", "--no-align"),
    says: /not both/,
  },
  {
    what: "0 steps",
    args: withDemo("--steps", "0"),
    says: /--steps must be a whole number in 1\.\.1000, got 0/,
  },
  {
    what: "1001 steps",
    args: withDemo("--steps", "1001"),
    says: /--steps .* got 1001/,
  },
  {
    what: "a width that is no multiple",
    args: withDemo("--width", "130"),
    says: /--width must be a multiple of 4, got 130/,
  },
  {
    what: "a height below the least",
    args: withDemo("--height", "4"),
    says: /--height must be a whole number in \d+\.\.\d+, got 4/,
  },
  {
    what: "17 pictures",
    args: withDemo("--num-images", "17"),
    says: /--num-images .* got 17/,
  },
  {
    what: "an unknown generator",
    args: withDemo("--rng", "dice"),
    says: /--rng must be torch-cuda or torch-cpu, got dice/,
  },
  {
    what: "an unknown dtype",
    args: withDemo("--dtype", "f64"),
    says: /--dtype must be f16 or f32, got f64/,
  },
  {
    what: "a negative scale",
    args: withDemo("--id-scale=-1"),
    says: /--id-scale must be a number in 0\.\.10, got -1/,
  },
  {
    what: "four photos",
    args: () => [demo, demo, demo, demo].flatMap((ref) => ["--ref", ref]),
    says: /--ref takes 1 to 3 photos, got 4/,
  },
].map((row) => ({ ...row, code: 2 }));

badInputTests(usage);
