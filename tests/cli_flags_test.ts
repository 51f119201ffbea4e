/**
 * The command's options: values are shown as they are typed, and numbers are
 * decimal.
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readFlags } from "../src/host/command/flags.ts";
import { UsageError } from "../src/host/exit.ts";

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
