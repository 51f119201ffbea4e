/**
 * The report of a training run, its curves and its grids; and all that a run
 * records, together.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import {
  inBuckets,
  pointsOf,
  rangeOf,
  smooth,
  ticks,
} from "../src/train/report/curve.ts";
import { drawGrid, mapImage } from "../src/train/report/grid.ts";
import { escapeHtml } from "../src/train/report/html.ts";
import { drawReport, type ReportData } from "../src/train/report/report.ts";
import { Recorder } from "../tools/train/run/recorder.ts";
import { RunFolder } from "../tools/train/run/run_folder.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { runSettings } from "./support/train_run.ts";

function plain(width: number, height: number, value: number): Image {
  const data = new Uint8ClampedArray(4 * width * height).fill(value);
  for (let at = 3; at < data.length; at += 4) data[at] = 255;
  return { width, height, data };
}

const hostile = `"><script>alert('1')</script>&\u0000\u202e\ud800`;

function report(given: Partial<ReportData> = {}): string {
  return drawReport({
    title: "Stage 1",
    status: "running",
    step: 3,
    total: 100,
    stepsPerSecond: 0.5,
    updated: new Date(0),
    records: [1, 2, 3].map((step) => ({ step, loss_mle: 1 / step })),
    grids: [],
    settings: { seed: "42" },
    environment: { deno: "2" },
    warnings: [],
    ...given,
  });
}

Deno.test("report: says how far the run has come", () => {
  const html = report();
  assertMatch(html, /Training: step 3 of 100 · 2 s\/step · 3 min 14 s left/);
  assertMatch(html, /http-equiv="refresh"/);
  assertMatch(html, /Drawn 1970-01-01 00:00:00 UTC/);
  const finished = report({ status: "finished" });
  assertMatch(finished, /Finished: step 3 of 100 · 2 s\/step</);
  assert(!finished.includes("refresh"));
  assertMatch(report({ records: [] }), /No step is recorded yet/);
});

Deno.test("report: loads and runs nothing, whatever it is told", () => {
  const html = report({
    title: hostile,
    settings: { [hostile]: hostile },
    environment: { adapter: hostile },
    warnings: [hostile],
    grids: [{
      step: 3,
      png: new Uint8Array([137, 80]),
      captions: [hostile, "fine"],
    }],
    records: [{ step: 1, [hostile]: 1 }],
  });
  assert(!/<script|alert\('/.test(html));
  assertEquals(html.match(/&lt;script&gt;/g)!.length, 10);
  // deno-lint-ignore no-control-regex
  assert(!/[\u0000\u202e]/.test(html) && html.isWellFormed());
  assertMatch(html, /Content-Security-Policy" content="default-src 'none'/);
  // No address but that of the image in the page itself.
  assertEquals(html.match(/(?:src|href|url)\s*[=(][^>]{0,27}/g), [
    'src="data:image/png;base64,iVA=',
  ]);
  assert(!html.includes("//"));
});

Deno.test("report: of many warnings the newest are shown", () => {
  const warnings = Array.from({ length: 1200 }, (_, i) => `warning ${i};`);
  const html = report({ warnings });
  assertMatch(html, /1,100 earlier ones, then:/);
  assert(!html.includes("warning 1099;") && html.includes("warning 1100;"));
  assert(html.includes("warning 1199;"));
});

Deno.test("report: every element that is opened is closed", () => {
  const records = Array.from({ length: 50 }, (_, i) => ({
    step: i + 1,
    loss_mle: i,
    loss_bg: 1,
    learning_rate: 1e-6,
    other: i === 7 ? null : -i,
    never: null,
  }));
  const grid = { step: 1, png: new Uint8Array(3), captions: ["a", "b"] };
  const html = report({ records, grids: [grid, grid], warnings: ["w"] });
  const open: string[] = [];
  const empty = new Set(["meta", "img", "path", "circle"]);
  for (const [, close, name] of html.matchAll(/<(\/?)([a-z]\w*)[^>]*>/g)) {
    if (close) assertEquals(open.pop(), name);
    else if (!empty.has(name)) open.push(name);
  }
  assertEquals(open, []);
  const names = [...html.matchAll(/<code>(.*?)<\/code>/g)].map(([, n]) => n);
  assertEquals(names, ["loss_mle", "loss_bg", "learning_rate", "other"]);
  assert(!/NaN|undefined|Infinity/.test(html));
});

Deno.test("report: a long run's stays small, and is drawn at once", () => {
  const records = Array.from({ length: 100_000 }, (_, i) => ({
    step: i + 1,
    loss_mle: 0.1 + Math.sin(i) / 20,
    loss_bg: Math.cos(i) ** 2,
    grad_norm: (i * 7919) % 101,
  }));
  const html = report({ records, step: 100_000, total: 100_000 });
  assert(html.length < 80_000, `${html.length} characters`);
});

Deno.test("curve: smoothing, buckets, ranges, ticks", () => {
  const points = pointsOf(
    [{ step: 1, a: 2 }, { step: 2, a: null }, { step: 3 }, { step: 4, a: 5 }],
    "a",
  );
  assertEquals(points, [{ x: 1, y: 2 }, { x: 4, y: 5 }]);
  const constant = Array.from({ length: 99 }, (_, x) => ({ x, y: 3 }));
  for (const { y } of smooth(constant)) assert(Math.abs(y - 3) < 1e-12);
  const noisy = constant.map(({ x }) => ({ x, y: x % 2 }));
  assert(Math.abs(smooth(noisy).at(-1)!.y - 0.5) < 0.2);
  assertEquals(smooth([]), []);
  assertEquals(smooth([{ x: 5, y: 1 }]), [{ x: 5, y: 1 }]);
  assertEquals(
    inBuckets([0, 1, 2, 3, 4].map((x) => ({ x, y: x * x })), 2),
    [
      { x: 0, low: 0, high: 1, last: 1 },
      { x: 2, low: 4, high: 16, last: 16 },
    ],
  );
  // One spike in 200 values widens nothing.
  const spiked = constant.concat(constant).map(({ y }, x) => ({
    x,
    y: y + x % 2,
  }));
  const range = rangeOf([...spiked, { x: 999, y: 1e6 }], []);
  assert(range.low > 2.9 && range.high < 4.1);
  assertEquals(rangeOf(constant, []), { low: 0, high: 6 });
  assertEquals(rangeOf([{ x: 0, y: 0 }], []), { low: 0, high: 1 });
  assertEquals(ticks({ low: 0.07, high: 0.42 }, 4), [0.1, 0.2, 0.3, 0.4]);
  assertEquals(ticks({ low: -3, high: 1 }, 4), [-3, -2, -1, 0, 1]);
  assertEquals(ticks({ low: 0, high: 6.4e-5 }, 4), [0, 2e-5, 4e-5, 6e-5]);
  for (const [low, high] of [[1, 1 + 4e-16], [-1e308, 1e308], [0, 5e-324]]) {
    const found = rangeOf([{ x: 0, y: low }, { x: 1, y: high }], []);
    assert(ticks(found, 4).length < 20);
  }
});

Deno.test("html: what must be escaped is, the rest is not", () => {
  assertEquals(
    escapeHtml(`a<b>"c"&'d'`),
    "a&lt;b&gt;&quot;c&quot;&amp;&#39;d&#39;",
  );
  assertEquals(escapeHtml("größe 笑 👩‍🦰"), "größe 笑 👩‍🦰");
});

Deno.test("grid: a row a sample, thin gutters, other sizes resized", async () => {
  const grid = await drawGrid([
    { images: [plain(8, 6, 10), plain(4, 3, 20), plain(8, 6, 30)] },
    { images: [plain(8, 6, 40)] },
  ]);
  assertEquals([grid.width, grid.height], [3 * 8 + 4, 2 * 6 + 2]);
  const at = (
    x: number,
    y: number,
  ) => [...grid.data.subarray(4 * (y * grid.width + x)).subarray(0, 4)];
  assertEquals(at(0, 0), [10, 10, 10, 255]);
  assertEquals(at(7, 5), [10, 10, 10, 255]);
  assertEquals(at(8, 0), [128, 128, 128, 255]);
  assertEquals(at(9, 5), [128, 128, 128, 255]);
  assertEquals(at(10, 0), [20, 20, 20, 255]);
  assertEquals(at(27, 5), [30, 30, 30, 255]);
  assertEquals(at(3, 7), [128, 128, 128, 255]);
  assertEquals(at(3, 8), [40, 40, 40, 255]);
  // A cell without an image.
  assertEquals(at(12, 10), [128, 128, 128, 255]);
  const small = await drawGrid([{ images: [plain(8, 8, 9)] }], 5);
  assertEquals([small.width, small.height], [5, 5]);
  const error = await assertRejects(() => drawGrid([]), MasterWeaverError);
  assertEquals(error.code, "bad-option");
  assertEquals(
    [...mapImage(new Float32Array([0, 1]), 2, 1).data],
    [0, 0, 0, 255, 255, 255, 255, 255],
  );
});

Deno.test("recorder: metrics, report, grids and events of a run that goes on", () =>
  inFolder(async (folder) => {
    const texts = { title: "Stage 1", total: 6, environment: { gpu: "one" } };
    const train = async (
      from: number,
      to: number,
      status: "stopped" | "finished",
    ) => {
      using run = await RunFolder.open(folder, runSettings());
      using recorder = await Recorder.open(run, {
        ...texts,
        step: from,
        tensorboard: true,
      });
      for (let step = from + 1; step <= to; step++) {
        recorder.record({ step, loss_mle: 1 / step, loss_edit: null });
        if (step % 2 === 0) {
          const image = await drawGrid([{ images: [plain(16, 16, step)] }]);
          await recorder.grid(step, image, [`sample <${step}>`]);
        }
      }
      run.warn("Look here");
      await recorder.finish(status);
    };
    await train(0, 4, "stopped");
    const first = await Deno.readTextFile(`${folder}/report.html`);
    assertMatch(first, /Stopped: step 4 of 6/);
    // The last two steps are done again.
    await train(2, 6, "finished");
    assertEquals(await namesIn(folder), [
      "grids",
      "metrics.jsonl",
      "report.html",
      "run.lock",
      "settings.json",
      "tensorboard",
    ]);
    const lines = (await Deno.readTextFile(`${folder}/metrics.jsonl`))
      .trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
    assertEquals(Object.keys(lines[0]), [
      "step",
      "loss_mle",
      "loss_edit",
      "steps_per_second",
    ]);
    const html = await Deno.readTextFile(`${folder}/report.html`);
    assertMatch(html, /Finished: step 6 of 6/);
    assertMatch(html, /sample &lt;6&gt;/);
    assertMatch(html, /Look here/);
    assertMatch(html, /<th>train-batch-size<\/th><td>4<\/td>/);
    assertMatch(html, /<th>gpu<\/th><td>one<\/td>/);
    // The grid of step 2 is shown from its file.
    const shown = [...html.matchAll(/<span>Step (\d)<\/span>/g)];
    assertEquals(shown.map(([, step]) => step), ["6", "4", "2"]);
    const grid = await readImage(`${folder}/grids/grid-000006.png`);
    assertEquals(grid.data.slice(0, 4), new Uint8ClampedArray([6, 6, 6, 255]));
    assertEquals((await namesIn(`${folder}/tensorboard`)).length, 2);
  }));
