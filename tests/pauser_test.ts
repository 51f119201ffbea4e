/**
 * Long work on the CPU lets the event loop run and hears a stop: faces are
 * looked for, aligned and padded, images resized.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { inChunks, Pauser } from "../src/base/pauser.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { alignFace } from "../src/face/align.ts";
import type { Point } from "../src/face/detect.ts";
import { FaceFinder } from "../src/face/finder.ts";
import { median } from "../src/face/median.ts";
import { clipPreprocess } from "../src/image/clip_preprocess.ts";
import type { Image } from "../src/image/image.ts";
import { resizeImage } from "../src/image/resize.ts";
import {
  flat,
  knownAligned,
  knownImages,
  miniDetector,
} from "./support/faces.ts";
import { random } from "./support/weights.ts";

const { image: photo, faces: [face] } = (await knownImages())
  .find(({ name }) => name === "astronaut_face")!;
const finder = new FaceFinder(await miniDetector());

/** An image without a face, whose every row differs. */
function noise(width: number, height: number): Image {
  const image = flat(width, height);
  for (let i = 0; i < image.data.length; i++) {
    if (i % 4 !== 3) image.data[i] = (i * 2654435761) >>> 24;
  }
  return image;
}

/** Starts a timer that works as a clock: it says for how long it could not run. */
function gaps(): { longest(): number } & Disposable {
  let longest = 0, last = performance.now();
  const tick = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(tick, 10);
  return {
    longest: () => (tick(), longest),
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/**
 * Stops work after some milliseconds; it must end within a second of that.
 *
 * @returns whether it was stopped; it may have been done before
 */
async function stopped(
  after: number,
  work: (pauser: Pauser) => Promise<unknown>,
): Promise<boolean> {
  const controller = new AbortController();
  // When it should have been, not when the event loop came to it.
  const asked = performance.now() + after;
  const timer = setTimeout(() => controller.abort(), after);
  try {
    await work(new Pauser(controller.signal));
    return false;
  } catch (error) {
    assert(error instanceof MasterWeaverError, String(error));
    assertEquals(error.code, "aborted");
    const late = performance.now() - asked;
    assert(late < 1000, `stopped ${late} ms after it was asked to`);
    return true;
  } finally {
    clearTimeout(timer);
  }
}

Deno.test("pauser: due after a while, lets timers run, obeys a stop", async () => {
  const controller = new AbortController();
  const pauser = new Pauser(controller.signal);
  assertEquals(pauser.isDue, false);
  const until = performance.now() + 200;
  while (performance.now() < until);
  assertEquals(pauser.isDue, true);
  await pauser.pause();
  assertEquals(pauser.isDue, false);
  let ran = false;
  setTimeout(() => ran = true, 0);
  for (let i = 0; i < 3 && !ran; i++) await pauser.pause();
  assert(ran, "no timer ran during three pauses");
  controller.abort(new Error("enough"));
  const error = await assertRejects(() => pauser.pause(), MasterWeaverError);
  assertEquals(error.code, "aborted");
  assertEquals((error.cause as Error).message, "enough");
});

Deno.test("pauser: chunks are whole, in order and end where asked to", async () => {
  const counts = [0, 1, 65536, 65537, 200000];
  for (const count of counts) {
    let next = 0;
    await inChunks(count, new Pauser(), (start, end) => {
      assertEquals(start, next);
      assert(end > start && end <= count);
      next = end;
    });
    assertEquals(next, count);
  }
});

Deno.test("stop: face detection ends within a second, and works again", async () => {
  const big = noise(2000, 2000);
  const next = random(4);
  const times = [0, 1, ...Array.from({ length: 4 }, () => next(1500))];
  for (const after of times) {
    assert(await stopped(after, (pauser) => finder.detect(big, pauser)));
  }
  const [found] = await finder.detect(photo);
  assertEquals(found.rect, face.rect);
});

Deno.test("stop: aligning a large face at an edge ends within a second, and works again", async () => {
  // 2000 pixels wide, half of it outside: padded by mirroring and blurring.
  const large = await resizeImage(photo, 1000, 1000, "bicubic");
  const scale = 1000 / photo.width * 2.2;
  const landmarks = face.landmarks
    .map(([x, y]): Point => [x * scale - 800, y * scale - 500]);
  const next = random(5);
  const times = [0, 1, ...Array.from({ length: 6 }, () => next(1500))];
  let count = 0;
  for (const after of times) {
    const align = (pauser: Pauser) => alignFace(large, landmarks, pauser);
    if (await stopped(after, align)) count++;
  }
  assert(count >= 6, `stopped ${count} times of ${times.length}`);
  assertEquals(
    (await finder.align(photo, face)).data,
    (await knownAligned("astronaut_face", 0)).data,
  );
});

Deno.test("stop: resizing and preprocessing large images ends within a second", async () => {
  const big = noise(8000, 6000);
  const config = {
    size: 224,
    crop: 224,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  } as const;
  for (const after of [0, 30, 300]) {
    const resize = (pauser: Pauser) =>
      resizeImage(big, 6000, 5000, "lanczos", pauser);
    assert(await stopped(after, resize));
  }
  assert(await stopped(0, (pauser) => clipPreprocess(big, config, pauser)));
});

Deno.test("pauses: timers run while faces are detected", async () => {
  using clock = gaps();
  await finder.detect(noise(1200, 900));
  assert(clock.longest() < 1000, `no timer ran for ${clock.longest()} ms`);
});

Deno.test("median: equals the one that sorting gives", async () => {
  const next = random(6);
  for (const length of [1, 2, 3, 10, 1001, 70000]) {
    for (const spread of [3, 256, 1e6]) {
      const values = Float32Array.from(
        { length },
        () => (next(spread) - spread / 3) / 7,
      );
      const sorted = values.toSorted();
      const half = length >> 1;
      const expected = length % 2 === 1
        ? sorted[half]
        : Math.fround(Math.fround(sorted[half - 1] + sorted[half]) / 2);
      assertEquals(await median(values), expected, `${length} of ${spread}`);
    }
  }
});
