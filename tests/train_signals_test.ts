/**
 * What `tools/train.ts` prints, and how Ctrl-C ends it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deno, finished } from "./support/command.ts";
import { drawDataset } from "./support/dataset.ts";
import {
  inFolder,
  isPrivileged,
  namesIn,
  onSmallDisk,
} from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { hasMpi, mpirunFile } from "./support/mpi.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  checkSame,
  type Given,
  savedSteps,
  SMALL,
  trained,
  trainTool,
  typedOptions,
  until,
} from "./support/train_tool.ts";

const ENDLESS: Given = { stage: 1, "max-train-steps": 99999 };
const isWindows = Deno.build.os === "windows";

gpuTest(
  "train signals: Ctrl-C saves first, and the run goes on to the bit",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const out = `${folder}/run`;
      const given = { ...ENDLESS, data, out, "save-steps": 99999 };
      const child = trainTool({ ...given, json: true });
      const ended = finished(child);
      const metrics = `${out}/metrics.jsonl`;
      await until(async () =>
        ((await Deno.stat(metrics).catch(() => undefined))?.size ?? 0) > 0
      );
      const asked = performance.now();
      child.kill("SIGINT");
      const { code, out: printed, err } = await ended;
      const took = performance.now() - asked;
      // With --quiet nothing but the object that --json asks for.
      assertEquals([code, err], [1, []]);
      const result = JSON.parse(printed);
      assertEquals(printed.trimEnd().split("\n").length, 1);
      const { step } = result;
      assertEquals(result, {
        run: out,
        from: 0,
        step,
        total: 99999,
        status: "stopped",
        saved: step,
        weights: ["pt", "weave"].map((ending) =>
          `${out}/adapter_${String(step).padStart(6, "0")}.${ending}`
        ),
        left_out: 0,
      });
      assert(step > 0);
      assertEquals(await savedSteps(out), [step]);
      assert(took < 5000, `it took ${took} ms`);
      const rest = { ...given, "max-train-steps": step + 1 };
      await trained(rest);
      await trained({ ...rest, out: `${folder}/whole` });
      await checkSame(out, `${folder}/whole`, step + 1);
    }),
  isWindows,
);

gpuTest(
  "train signals: Ctrl-C without room says that nothing more is saved",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      await onSmallDisk(folder, 5000, async (disk) => {
        const out = `${disk}/run`;
        const given = { ...ENDLESS, data, out, "save-steps": 99999 };
        const child = trainTool({ ...given, json: true, "cache-size": 0 });
        const ended = finished(child);
        await until(async () =>
          ((await Deno.stat(`${out}/metrics.jsonl`).catch(() => undefined))
            ?.size ?? 0) > 0
        );
        child.kill("SIGINT");
        const { code, out: printed, err } = await ended;
        assertEquals([code, err.length], [1, 1]);
        assertMatch(
          err[0],
          /^The checkpoint of step \d+ was not saved: the disk is full; there is no earlier one; stopped after step \d+ of 99999: make room/,
        );
        const { status, saved, not_saved } = JSON.parse(printed);
        assertEquals([status, saved], ["stopped", null]);
        assert(err[0].startsWith(not_saved));
      });
    }),
  !isPrivileged,
);

gpuTest(
  "train signals: a second Ctrl-C ends at once and leaves no half file",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const out = `${folder}/run`;
      const child = trainTool({ ...ENDLESS, data, out });
      const ended = finished(child);
      await until(async () => (await savedSteps(out)).length > 0);
      child.kill("SIGINT");
      child.kill("SIGTERM");
      const { code } = await ended;
      // The first may have ended it before the second came.
      assert(code === 1 || code === 143 || code === 130, `${code}`);
      const names = await namesIn(out);
      assertEquals(names.filter((name) => name.startsWith(".")), []);
    }),
  isWindows,
);

gpuTest(
  "train signals: Ctrl-C while it starts ends it, with nothing to save",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 5 });
      const out = `${folder}/run`;
      const child = trainTool({ ...ENDLESS, data, out });
      const ended = finished(child);
      await until(() =>
        Deno.stat(`${out}/settings.json`).then(() => true, () => false)
      );
      const asked = performance.now();
      child.kill("SIGINT");
      const { code, err } = await ended;
      const took = performance.now() - asked;
      assertEquals(code, 1);
      assert(took < 5000, `it took ${took} ms`);
      assertEquals(err, ["Stopped before it was done"]);
      assertEquals(await savedSteps(out), []);
    }),
  isWindows,
);

gpuTest(
  "train signals: ranks save at SIGUSR2, and mpirun sees no failure",
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await drawDataset(data, { count: 4 });
      const out = `${folder}/run`;
      const given = { ...SMALL, ...ENDLESS, data, out, distributed: "mpi" };
      const stop = until(async () => (await savedSteps(out)).length > 0)
        .then(async () => {
          const { pid } = JSON.parse(
            await Deno.readTextFile(`${out}/run.lock`),
          );
          Deno.kill(await parentOf(pid), "SIGUSR2");
        });
      const { code, err } = await mpirunFile(
        2,
        repositoryPath("tools/train.ts"),
        typedOptions({ ...given, quiet: false }),
      );
      await stop;
      assertEquals(code, 0, err.join("\n"));
      const said = (pattern: RegExp) =>
        err.filter((line) => pattern.test(line)).length;
      assertEquals(said(/^To save and stop: kill -USR2 \d+$/), 1);
      assertEquals(said(/^Stopping after this update; saving first$/), 1);
      assertEquals(said(/^Stopped after step \d+ of 99999/), 1);
    }),
  !hasMpi || Deno.build.os !== "linux",
);

/** The process that started another. */
async function parentOf(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^PPid:\s+(\d+)/m.exec(status)![1]);
}

Deno.test("train: --help and wrong usage need no GPU", async () => {
  const run = (...args: string[]) =>
    finished(deno(["run", "-A", repositoryPath("tools/train.ts"), ...args]));
  const help = await run("--help");
  assertEquals([help.code, help.err], [0, []]);
  assertMatch(help.out, /^Usage: deno run -A tools\/train\.ts --stage 1\|2/);
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[], /^Give --model, --data, --out; see --help$/],
    [
      ["--stage", "3"],
      /^--stage is 3, expected 1 or 2; see --help$/,
    ],
    [
      ["--model=m", "--data=d", "--out=o"],
      /^Give --stage 1 or --stage 2; see --help$/,
    ],
    [
      ["--stage=2", "--model=m", "--data=d", "--out=o"],
      /^Give --adapter-path; see --help$/,
    ],
    [
      ["--stage=1", "--train-batch-size=0"],
      /^--train-batch-size is 0, expected a whole number from 1 to 4096/,
    ],
    [
      ["--stage=1", "--learning-rate=fast"],
      /^--learning-rate is fast, expected a number/,
    ],
    [
      ["--stage=1", "--recompute=some"],
      /^--recompute is some, expected none, block, level, or a size/,
    ],
    [["--nonsense"], /nonsense/],
    [
      ["--mixed-precision=bf16"],
      /^--mixed-precision is bf16, expected no or fp16; WebGPU has no bf16; see/,
    ],
    [
      ["--gradient_checkpointing"],
      /^Option --gradient_checkpointing is unknown; give --recompute block; see/,
    ],
    [
      ["--resume-from-checkpoint=latest"],
      /is unknown; run the same command again with the same --out, and it goes/,
    ],
    [
      ["--stage=1", "--model=m", "--data=d", "--out=o", "--alpha=2"],
      /^--alpha has no effect here: give --train lora, or leave it out; see/,
    ],
    [
      ["--stage=1", "--model=m", "--data=d", "--out=o", "--lambda-edit=1"],
      /^--lambda-edit has no effect here: edits belong to --stage 2; leave it/,
    ],
    [
      [
        ...["--stage=1", "--model=m", "--data=d", "--out=o"],
        ...["--adapter-path=a.pt", "--initial-values=zero"],
      ],
      /^--initial-values has no effect here: it is for a fresh adapter, without/,
    ],
  ];
  for (const [args, says] of cases) {
    const { code, out, err } = await run(...args);
    assertEquals([code, out, err.length], [2, "", 1], err.join("\n"));
    assertMatch(err[0], says);
  }
  const ranks = await finished(deno(
    ["run", "-A", repositoryPath("tools/train.ts"), "--stage=1"],
    { env: { OMPI_COMM_WORLD_SIZE: "2" } },
  ));
  assertEquals([ranks.code, ranks.err], [2, [
    "mpirun started 2 processes: give --distributed mpi, and they train together; see --help",
  ]]);
});
