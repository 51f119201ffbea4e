/**
 * Photos that people upload, as the Worker that looks at them sees them: large,
 * slow, empty, of another kind, with any number of faces.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import { uprightSize } from "../src/host/codecs/decode_image.ts";
import { checkedPhoto } from "../src/studio/api/photos.ts";
import type { Photo } from "../src/studio/engine/engine.ts";
import {
  type PhotoLimits,
  photoLimits,
  WorkerPhotoReader,
} from "../src/studio/engine/photo_reader.ts";
import { ApiError } from "../src/studio/errors.ts";
import {
  hugeHeader,
  orientationBombs,
  pixelBomb,
  slowPhoto,
  textBomb,
} from "./support/bombs.ts";
import { sameBytes } from "./support/compare.ts";
import { facePng } from "./support/face_photos.ts";
import { hasLandmarks } from "./support/faces.ts";
import { repositoryPath } from "./support/paths.ts";
import { drawnPhoto } from "./support/studio_server.ts";

const MODEL = repositoryPath("weights/mini");

function reader(limits: Partial<PhotoLimits> = {}): WorkerPhotoReader {
  return new WorkerPhotoReader({ model: MODEL, aligns: false }, limits);
}

/** A file, unchecked: the Worker is behind the check of uploads, not instead of it. */
function asPhoto(bytes: Uint8Array<ArrayBuffer>): Photo {
  return { bytes, hash: "" };
}

const text = (words: string) => new TextEncoder().encode(words);

Deno.test("studio photos: what is none is refused, by its content", async () => {
  await using photos = reader();
  const cases: readonly (readonly [
    file: Uint8Array<ArrayBuffer>,
    status: number,
    upload: string,
    decoding: string,
  ])[] = [
    [
      new Uint8Array(),
      415,
      "Field photo must be a PNG or JPEG, but looks like an empty file: give a PNG or JPEG",
      "Image 1 is empty (0 bytes): give a PNG or JPEG file",
    ],
    [
      text("GIF89a, whatever its name says"),
      415,
      "Field photo must be a PNG or JPEG, but looks like a GIF image: convert it to PNG or JPEG",
      "Image 1 is not a PNG or JPEG but looks like a GIF image: convert it to PNG or JPEG",
    ],
    [
      text("<svg onload='alert(1)'/>"),
      415,
      "Field photo must be a PNG or JPEG, but looks like an SVG or XML document: convert it to PNG or JPEG",
      "Image 1 is not a PNG or JPEG but looks like an SVG or XML document: convert it to PNG or JPEG",
    ],
    [
      hugeHeader(100_000, 100_000),
      413,
      "Field photo has 100000x100000 pixels, a photo may have 50 million and 16384 on a side; give a smaller one",
      "Image 1 has 100000x100000 pixels, at most 50 million are allowed: make it smaller",
    ],
    [
      hugeHeader(100_000, 16),
      413,
      "Field photo has 100000x16 pixels, a photo may have 50 million and 16384 on a side; give a smaller one",
      "Image 1 is 100000x16 pixels, expected at most 16384 on a side: give a smaller image",
    ],
  ];
  for (const [file, status, upload, decoding] of cases) {
    const refused = await assertRejects(
      () => checkedPhoto(file, "photo"),
      ApiError,
    );
    assertEquals([refused.status, refused.message], [status, upload]);
    const failed = await assertRejects(
      () => photos.decode(asPhoto(file), "1"),
      MasterWeaverError,
    );
    assertEquals([failed.code, failed.message], ["bad-image", decoding]);
  }
  // A photo that ends too early has a good header.
  const cut = drawnPhoto().subarray(0, 60).slice();
  const { code } = await assertRejects(
    () => photos.faces(asPhoto(cut), "a", new AbortController().signal),
    MasterWeaverError,
  );
  assertEquals(code, "bad-image");
});

Deno.test("studio photos: bombs take neither memory nor time", async () => {
  await using photos = reader();
  const good = await checkedPhoto(drawnPhoto(90), "photo");
  const { data } = await photos.decode(good, "1");
  assert(sameBytes(data, decodeImage(good.bytes, "1").data));
  const bombs = [pixelBomb(), textBomb()];
  const before = Deno.memoryUsage().rss;
  const start = performance.now();
  for (const bomb of bombs) {
    assert(bomb.length < 2e6);
    const { width, height } = await photos.decode(
      await checkedPhoto(bomb, "photo"),
      "1",
    );
    assertEquals([width, height], [16, 16]);
  }
  const taken = performance.now() - start;
  const grown = Deno.memoryUsage().rss - before;
  // Of a gigabyte each: 100 MB allow for the Worker's garbage, 3 s for a busy machine.
  assert(grown < 100e6, `memory grew by ${grown / 1e6} MB`);
  assert(taken < 3000, `it took ${taken} ms`);
});

Deno.test("studio photos: a size is read at once, whatever the file holds", () => {
  const bombs = orientationBombs();
  const start = performance.now();
  for (const bomb of bombs) {
    assertEquals(uprightSize(bomb), { width: 16, height: 16 });
  }
  // The server's other requests wait; a busy machine takes a tenth of this.
  const taken = performance.now() - start;
  assert(taken < 5000, `it took ${taken} ms`);
});

Deno.test("studio photos: what takes too long is given up, and the next one seen", async () => {
  await using photos = reader({ time: 1500 });
  const good = await checkedPhoto(drawnPhoto(), "photo");
  await photos.decode(good, "1");
  const slow = await checkedPhoto(slowPhoto(), "photo");
  const error = await assertRejects(
    () => photos.decode(slow, "2"),
    ApiError,
  );
  assertEquals([error.status, error.code, error.message], [
    408,
    "timeout",
    "Image 2 took longer than 1.5 s, which is the most; give a smaller one",
  ]);
  assertEquals((await photos.decode(good, "1")).width, 16);
  // Who left is not waited for either.
  const stop = new AbortController();
  const start = performance.now();
  setTimeout(() => stop.abort(), 50);
  const aborted = await assertRejects(
    () => photos.decode(slow, "2", stop.signal),
    MasterWeaverError,
  );
  assertEquals(aborted.code, "aborted");
  assert(performance.now() - start < 1000);
  assertEquals((await photos.decode(good, "1")).width, 16);
});

Deno.test("studio photos: too many at once, or too large a file", async () => {
  const { length: maxBytes } = drawnPhoto();
  await using photos = reader({ maxWaiting: 3, maxBytes });
  const good = asPhoto(drawnPhoto());
  const looks = [1, 2, 3, 4].map(() => photos.decode(good, "1"));
  const results = await Promise.allSettled(looks);
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
  ]);
  const full = await assertRejects(() => looks[3], ApiError);
  assertEquals([full.status, full.code], [503, "queue-full"]);
  const large = asPhoto(new Uint8Array(maxBytes + 1));
  const error = await assertRejects(
    () => photos.decode(large, "1"),
    ApiError,
  );
  assertEquals([error.status, error.code], [413, "too-large"]);
  assertEquals(photoLimits.maxBytes, 20e6);
});

Deno.test("studio photos: one client's searches leave room for others", async () => {
  await using photos = reader({ maxWaiting: 8 });
  const photo = asPhoto(drawnPhoto());
  const { signal } = new AbortController();
  const order: string[] = [];
  const search = (client: string) =>
    photos.faces(photo, client, signal).then(() => order.push(client));
  // One that is looked at, and a quarter of those that may wait.
  const many = ["a", "a", "a", "a"].map(search);
  const other = search("b");
  const looks = await Promise.allSettled(many);
  await other;
  const { reason } = looks[3] as PromiseRejectedResult;
  assertEquals([reason.status, reason.code], [503, "queue-full"]);
  assertEquals(order, ["a", "a", "b", "a"]);
  const gone = new AbortController();
  const first = photos.faces(photo, "a", signal);
  const left = photos.faces(photo, "a", gone.signal);
  gone.abort();
  const error = await assertRejects(() => left, MasterWeaverError);
  assertEquals(error.code, "aborted");
  await first;
});

Deno.test("studio photos: one face, several, or none", async () => {
  await using photos = reader();
  const { signal } = new AbortController();
  const found = async (bytes: Uint8Array<ArrayBuffer>) => {
    const { faces, ...photo } = await photos.faces(asPhoto(bytes), "a", signal);
    const lefts = faces.map(({ rect, score, aligned }) => {
      assert(score > 0);
      assertEquals(aligned && sizeOf(aligned), hasLandmarks ? 256 : undefined);
      return rect.left;
    });
    return { ...photo, lefts };
  };
  // A photo's faces are searched while others are decoded.
  const looks = [
    found(await facePng("astronaut_crop")),
    found(await facePng("two_faces")),
    found(await facePng("coffee_no_face")),
  ];
  const decoded = await photos.decode(asPhoto(drawnPhoto()), "1");
  assertEquals(decoded.width, 16);
  const aligns = false;
  const [one, two, none] = await Promise.all(looks);
  assertEquals(one, { width: 220, height: 230, aligns, lefts: [56] });
  assertEquals(two, { width: 640, height: 330, aligns, lefts: [86, 424] });
  assertEquals([none.aligns, none.lefts], [false, []]);
});

/** Side of a square PNG in a data URL. */
function sizeOf(url: string): number {
  const [head, base64] = url.split(",");
  assertEquals(head, "data:image/png;base64");
  const { width, height } = decodeImage(Uint8Array.fromBase64(base64), "face");
  assertEquals(width, height);
  return width;
}
