/**
 * What all tools have in common: help, wrong usage, streams that fail, missing
 * permissions.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deno, finished } from "./support/command.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { repositoryPath } from "./support/paths.ts";

const weave = repositoryPath("weights/mini/vae.weave");

/** A script, and arguments that let it work for a moment. */
const scripts: readonly (readonly [script: string, works: string[]])[] = [
  ["mod.ts", ["--version"]],
  ["tools/convert.ts", ["--help"]],
  ["tools/inspect.ts", [weave]],
  ["tools/download.ts", ["--help"]],
  ["tools/random_checkpoint.ts", ["--help"]],
  ["tools/compare.ts", ["--help"]],
  ["tools/dataset.ts", ["--help"]],
  ["tools/strip.ts", ["--help"]],
  ["tools/readme.ts", ["--help"]],
  ["tools/preview.ts", ["--help"]],
  ["tools/site.ts", ["--help"]],
  ["tools/bench.ts", ["--paper"]],
  ["tools/evaluate.ts", ["--help"]],
  ["tools/npm/build.ts", ["--help"]],
  ["tools/train/scaling.ts", ["--step-seconds=1"]],
];

for (const [script, works] of scripts) {
  const path = repositoryPath(script);
  const run = (args: string[], permissions = ["-A"]) =>
    finished(deno(["run", "--no-prompt", ...permissions, path, ...args]));

  Deno.test(`${script}: -h is --help, wrong usage is 2 and one line`, async () => {
    const [long, short] = await Promise.all([run(["--help"]), run(["-h"])]);
    assertEquals([long.code, long.err], [0, []]);
    assertEquals(short, long);
    assertMatch(long.out, /-h, --help/);
    for (
      const [args, says] of [
        [["--hepl"], /--hepl is unknown; did you mean --help\?; see --help$/],
        [["--help=1"], /--help takes no value, got 1; see --help$/],
      ] as const
    ) {
      const { code, out, err } = await run([...args]);
      assertEquals([code, out, err.length], [2, "", 1]);
      assertMatch(err[0], says);
    }
  });

  Deno.test({
    name: `${script}: streams that are closed or full give no stack trace`,
    ignore: Deno.build.os !== "linux",
    fn: async () => {
      const rows = [
        ["| true", 0],
        [">&-", 0],
        ["2> /dev/full", 0],
        ["> /dev/full", 1],
      ] as const;
      for (const [redirection, expected] of rows) {
        const { code, stderr } = await new Deno.Command("bash", {
          args: [
            "-c",
            `set -o pipefail; "$DENO" run -A "$@" ${redirection}`,
            "bash",
            path,
            ...works,
          ],
          env: { DENO: Deno.execPath(), NO_COLOR: "1" },
          stdout: "null",
        }).output();
        const err = new TextDecoder().decode(stderr);
        assertEquals(code, expected, `${redirection}: ${err}`);
        assert(!err.includes("    at "), err);
        const full = "Cannot write to standard output: the disk is full\n";
        assertEquals(err, expected === 0 ? "" : full);
      }
    },
  });
}

/** What each does that needs a permission. */
const forbidden: readonly (readonly [script: string, args: string[]])[] = [
  ["mod.ts", ["--ref", weave]],
  ["tools/convert.ts", [weave, "--output=out"]],
  ["tools/inspect.ts", [weave]],
  ["tools/download.ts", ["out"]],
  ["tools/random_checkpoint.ts", ["--output=out"]],
  ["tools/compare.ts", [weave, "--with", weave]],
  ["tools/dataset.ts", ["portraits", "out", "--count=1"]],
  ["tools/preview.ts", ["weights/mini"]],
  ["tools/bench.ts", ["--picture"]],
  ["tools/bench.ts", ["--less-work"]],
];

for (const [script, args] of forbidden) {
  Deno.test(`${script}: a missing permission is one line that names it`, () =>
    inFolder(async (folder) => {
      const path = repositoryPath(script);
      const { code, err } = await finished(
        deno(["run", "--no-prompt", path, ...args], { cwd: folder }),
      );
      assertEquals([code, err.length], [1, 1], err.join("\n"));
      assertMatch(
        err[0],
        /permission "(read|write|env)".*; add -[RWE] or --allow/,
      );
      assertEquals(await namesIn(folder), []);
    }));
}

Deno.test("tools: an option's value may start with a minus", async () => {
  const { code, err } = await finished(deno([
    "run",
    "-A",
    repositoryPath("tools/random_checkpoint.ts"),
    "--seed",
    "-1",
    "--output=x",
  ]));
  assertEquals(code, 2);
  assertEquals(err, ["--seed is -1, expected a whole number; see --help"]);
});
