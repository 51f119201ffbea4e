/**
 * What is recorded of a training run, and shown while it goes.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  formatCount,
  formatDuration,
  formatMeasure,
  formatSpeed,
} from "../src/train/report/format.ts";
import { StepRate } from "../src/train/report/step_rate.ts";
import { MetricsFile } from "../tools/train/run/metrics_file.ts";
import { TrainLines } from "../tools/train/run/train_lines.ts";
import { inFolder, isPrivileged, onSmallDisk } from "./support/file_systems.ts";

const record = (step: number) => ({
  step,
  loss_mle: 1 / step,
  loss_edit: step % 2 === 0 ? 0.01 : null,
  skipped: false,
});

async function writeSteps(folder: string, from: number, to: number) {
  using metrics = await MetricsFile.open(folder, from);
  for (let step = from + 1; step <= to; step++) metrics.append(record(step));
  return metrics.before;
}

Deno.test("metrics: after an interruption the file is as if there had been none", () =>
  inFolder(async (folder) => {
    const path = `${folder}/metrics.jsonl`;
    await writeSteps(folder, 0, 10);
    const whole = await Deno.readTextFile(path);
    assertEquals(whole.split("\n").length, 11);
    assertEquals(
      whole.split("\n")[1],
      '{"step":2,"loss_mle":0.5,"loss_edit":0.01,"skipped":false}',
    );
    for (
      const [from, torn] of [[7, ""], [10, '{"step":11,"los'], [
        0,
        "x",
      ]] as const
    ) {
      await Deno.writeTextFile(path, whole + torn);
      const before = await writeSteps(folder, from, 10);
      assertEquals(before.length, from);
      assertEquals(await Deno.readTextFile(path), whole);
    }
    // A line that something damaged stays, and is passed over.
    const lines = whole.split("\n");
    lines[2] = '{"step":"3"}';
    await Deno.writeTextFile(path, lines.join("\n"));
    assertEquals((await writeSteps(folder, 8, 10)).map(({ step }) => step), [
      1,
      2,
      4,
      5,
      6,
      7,
      8,
    ]);
    assertEquals(await Deno.readTextFile(path), lines.join("\n"));
  }));

Deno.test("metrics: what is not finite becomes null, and nothing else is taken", () =>
  inFolder(async (folder) => {
    {
      using metrics = await MetricsFile.open(folder, 0);
      metrics.append({ step: 1, loss_mle: NaN, grad_norm: -Infinity });
      const error = assertThrows(
        () => metrics.append({ step: 1.5 }),
        MasterWeaverError,
        "Cannot record step 1.5",
      );
      assertEquals(error.code, "bad-option");
      assertThrows(() => metrics.append({ step: 2, name: "a" as never }));
    }
    assertEquals(
      await Deno.readTextFile(`${folder}/metrics.jsonl`),
      '{"step":1,"loss_mle":null,"grad_norm":null}\n',
    );
  }));

Deno.test({
  name: "metrics: without room they wait, and no line is torn or lost",
  ignore: !isPrivileged,
  fn: () =>
    inFolder(async (folder) => {
      await onSmallDisk(folder, 64, async (disk) => {
        await Deno.writeFile(`${disk}/other`, new Uint8Array(60 * 1024 - 4096));
        const warnings: string[] = [];
        {
          using metrics = await MetricsFile.open(
            disk,
            0,
            (line) => warnings.push(line),
          );
          let step = 0;
          while (warnings.length === 0) metrics.append(record(++step));
          metrics.append(record(++step));
          const text = await Deno.readTextFile(`${disk}/metrics.jsonl`);
          assert(text.endsWith("}\n"));
          await Deno.remove(`${disk}/other`);
          metrics.append(record(++step));
          const lines = (await Deno.readTextFile(`${disk}/metrics.jsonl`))
            .trimEnd().split("\n");
          assertEquals(
            lines.map((line) => JSON.parse(line).step),
            Array.from({ length: step }, (_, i) => i + 1),
          );
        }
        assertEquals(warnings.length, 1);
        assertMatch(
          warnings[0],
          /^Metrics cannot be written to .*: the disk is full; training goes on/,
        );
      });
    }),
});

/** What a run writes to a terminal of some width; null for no terminal. */
function lines(columns: number | null) {
  let time = 0;
  let text = "";
  const lines = new TrainLines(100_000, {
    write: (written) => text += written,
    columns: () => columns ?? undefined,
    now: () => time,
  });
  return { lines, wait: (ms: number) => time += ms, text: () => text };
}

const shown = {
  step: 1234,
  loss_mle: 0.12345,
  loss_bg: 0.00123,
  loss_edit: 0.02,
  grad_norm: 0.8111,
  learning_rate: 6.4e-5,
  steps_per_second: 2.3056,
};

Deno.test("train lines: a line that is rewritten on a terminal", () => {
  const { lines: output, wait, text } = lines(200);
  output.step(shown);
  assertEquals(
    text(),
    "\r\x1b[Kstep 1,234/100,000  loss_mle 0.123  loss_bg 0.00123  loss_edit 0.02  grad 0.811  lr 6.4e-5  2.31 steps/s  11 h 53 min left",
  );
  // Too early; then without a loss that is not of every step, which stays.
  output.step({ ...shown, step: 1235 });
  wait(100);
  output.step({ ...shown, step: 1236, loss_edit: null, skipped: true });
  output.warn("the disk\u001b is full");
  output.note("done");
  output[Symbol.dispose]();
  assertEquals(text().split("\r\x1b[K").length, 3);
  assertMatch(text(), /1,236.*loss_edit 0\.02.*skipped/);
  assert(text().endsWith("left\nNote: the disk\\u001b is full\ndone\n"));
});

Deno.test("train lines: no wider than the terminal, and plain elsewhere", () => {
  const working = lines(12);
  working.lines.showWork("Drawing the grid");
  working.lines[Symbol.dispose]();
  assertEquals(working.text(), "\r\x1b[KDrawing the\n");
  const file = lines(null);
  file.lines.showWork("Drawing the grid");
  assertEquals(file.text(), "");
  const narrow = lines(20);
  narrow.lines.step(shown);
  assertEquals(narrow.text(), "\r\x1b[Kstep 1,234/100,000 ");
  const plain = lines(null);
  plain.lines.step(shown);
  plain.wait(9999);
  plain.lines.step(shown);
  plain.wait(1);
  plain.lines.step(shown);
  plain.lines.step({ step: 100_000 });
  const written = plain.text().split("\n");
  assertEquals(written.length, 4);
  assertEquals(
    written[2],
    "step 100,000/100,000  loss_mle 0.123  loss_bg 0.00123  loss_edit 0.02  grad 0.811  lr 6.4e-5",
  );
});

Deno.test("train lines: numbers and times", () => {
  const measures: [number | null, string][] = [
    [0.123456, "0.123"],
    [6.4e-5, "6.4e-5"],
    [1e-6, "1e-6"],
    [1.0001e-6, "1e-6"],
    [1.25e10, "1.25e10"],
    [65536, "65,536"],
    [-12345.6, "-12,346"],
    [999.9, "1000"],
    [0, "0"],
    [NaN, "NaN"],
    [null, "–"],
  ];
  for (const [value, text] of measures) {
    assertEquals(formatMeasure(value), text);
  }
  assertEquals([999, 1000, 1234567].map(formatCount), [
    "999",
    "1,000",
    "1,234,567",
  ]);
  assertEquals(
    [0, 0.2, 59.5, 61, 3600, 7500, 90000 * 3, Infinity].map(formatDuration),
    [
      "0 s",
      "1 s",
      "1 min 0 s",
      "1 min 1 s",
      "1 h 0 min",
      "2 h 5 min",
      "3 d 3 h",
      "–",
    ],
  );
  assertEquals([2.306, 0.25, 0].map(formatSpeed), [
    "2.31 steps/s",
    "4 s/step",
    "–",
  ]);
});

Deno.test("step rate: over the last minute, and two steps at least", () => {
  const rate = new StepRate();
  assertEquals(rate.tick(1, 0), 0);
  assertEquals(rate.tick(2, 100), 0.01);
  assertEquals(rate.tick(3, 300), 1 / 200);
  for (let at = 301; at <= 400; at++) rate.tick(3 + 2 * (at - 300), at);
  assertEquals(rate.tick(205, 401), 2);
});
