/**
 * The inputs of `encodeIdentity`, `detectFaces` and `alignFace` are checked, and
 * so are the networks' outputs.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ByteSource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { openModelFolder, readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { checkPhotos } from "../src/identity/references.ts";
import { facePhoto } from "./support/face_photos.ts";
import { flat } from "./support/faces.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { changedModel, withNaN } from "./support/model_folder.ts";

const photo = await readImage(repositoryPath("weights/mini/demo.png"));

/** Values that are not images, and what their errors say. */
const odd: [value: unknown, why: string][] = [
  [undefined, "undefined"],
  ["demo.png", "await readImage"],
  [Promise.resolve(photo), "a promise"],
  [{ ...photo, data: photo.data.filter((_, i) => i % 4 < 3) }, "3 channels"],
  [{ ...photo, data: photo.data.subarray(4) }, "bytes of data"],
  [{ ...photo, data: Float32Array.from(photo.data) }, "Float32Array"],
  [{ ...photo, width: NaN }, "NaN"],
  [{ width: 0, height: 0, data: new Uint8ClampedArray() }, "0x0"],
];

gpuTest(
  "images: anything else is refused wherever images are accepted",
  async () => {
    const weaver = await miniWeaver("f32");
    const rect = { left: 0, top: 0, right: 79, bottom: 79 };
    for (const [value, why] of odd) {
      const image = value as Image;
      for (
        const call of [
          () => weaver.encodeIdentity([photo, image]),
          () => weaver.detectFaces(image),
          () => weaver.alignFace(image, { rect }),
        ]
      ) {
        const error = await assertRejects(call, MasterWeaverError, why);
        assertEquals(error.code, "bad-image");
      }
    }
    // The model is not busy afterwards.
    await weaver.encodeIdentity([photo]);
  },
);

Deno.test("photos: a list of one to three images", () => {
  const cases: [photos: unknown, code: string, why: string][] = [
    [photo, "bad-option", "write encodeIdentity([photo])"],
    ["demo.png", "bad-option", "a list of 1 to 3 images, got string"],
    [null, "bad-option", "got null"],
    [undefined, "bad-option", "got undefined"],
    [[], "bad-option", "References must be 1 to 3, got 0"],
    [[photo, photo, photo, photo], "bad-option", "got 4"],
    [new Array(2), "bad-image", "photos[0] is undefined"],
    [[photo, null], "bad-image", "photos[1] is null"],
  ];
  for (const [photos, code, why] of cases) {
    try {
      checkPhotos(photos, 3);
    } catch (error) {
      assert(error instanceof MasterWeaverError, String(error));
      assertEquals(error.code, code);
      assert(error.message.includes(why), error.message);
      continue;
    }
    throw new Error(`Accepted ${why}`);
  }
  assertEquals(checkPhotos([photo], 3), [photo]);
});

gpuTest("images: alpha is put over white, as reading a file does", async () => {
  const weaver = await miniWeaver("f32");
  const clear = {
    ...photo,
    data: photo.data.map((v, i) => i % 4 === 3 ? 0 : v),
  };
  const white = flat(photo.width, photo.height, 255);
  for (const parse of [true, false]) {
    const options = { parse, align: false };
    assertEquals(
      (await weaver.encodeIdentity([clear], options)).tokens,
      (await weaver.encodeIdentity([white], options)).tokens,
    );
  }
  assertEquals(clear.data[3], 0);
  const face = await facePhoto("astronaut_face");
  const veiled = {
    ...face,
    data: face.data.map((v, i) => i % 4 === 3 ? 0 : v),
  };
  assertEquals((await weaver.detectFaces(face)).length, 1);
  assertEquals(await weaver.detectFaces(veiled), []);
});

gpuTest(
  "identity options: an unknown face or fit is refused",
  async () => {
    const weaver = await miniWeaver("f32");
    const cases: [options: object, why: string][] = [
      [{ face: "left" }, "face must be best, largest or a whole number"],
      [{ face: -1 }, "got -1"],
      [{ face: 0.5 }, "got 0.5"],
      [{ face: null }, "got null"],
      [{ fit: "stretch" }, "fit must be crop or pad, got stretch"],
    ];
    for (const [options, why] of cases) {
      const error = await assertRejects(
        () => weaver.encodeIdentity([photo], options),
        MasterWeaverError,
        why,
      );
      assertEquals(error.code, "bad-option");
    }
  },
);

gpuTest(
  "identity: numbers that are not finite are an error that names the network",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (
        const [file, tensor, network] of [
          // Before the first ReLU and maximum, behind the last, in an attention.
          ["face_parser.weave", "cp.resnet.conv1.bias", "face parser"],
          ["face_parser.weave", "cp.arm32.conv_atten.bias", "face parser"],
          ["face_parser.weave", "conv_out.conv_out.weight", "face parser"],
          [
            "image_encoder.weave",
            "vision_model.embeddings.position_embedding.weight",
            "image encoder",
          ],
          [
            "identity_adapter.weave",
            "id_encoder.norm_out.weight",
            "identity adapter",
          ],
        ]
      ) {
        const model = await changedModel(
          folder,
          file,
          (bytes) => withNaN(bytes, tensor),
        );
        await using weaver = await MasterWeaver.load(model, {
          tune: "off",
          dtype: "f32",
        });
        const error = await assertRejects(
          () => weaver.encodeIdentity([photo]),
          MasterWeaverError,
          `Reference 1: the ${network} gave numbers that are not finite`,
        );
        assertEquals(error.code, "non-finite");
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

gpuTest("faces: a detector that could not be read is read again", async () => {
  await using model = await openModelFolder(repositoryPath("weights/mini"));
  const detector = model.files.face_detector!;
  let fail = true;
  const flaky: ByteSource = {
    name: detector.name,
    size: detector.size,
    read: (...range) => {
      if (fail) {
        throw new MasterWeaverError("cannot-read", "The disk is asleep");
      }
      return detector.read(...range);
    },
  };
  const files = { ...model.files, face_detector: flaky };
  await using weaver = await MasterWeaver.load(files, { tune: "off" });
  const face = await facePhoto("astronaut_face");
  await assertRejects(
    () => weaver.detectFaces(face),
    MasterWeaverError,
    "The disk is asleep",
  );
  fail = false;
  assertEquals((await weaver.detectFaces(face)).length, 1);
});

gpuTest(
  "stop: detectFaces, alignFace and encodeIdentity obey their signal",
  async () => {
    const weaver = await miniWeaver("f32");
    const face = await facePhoto("astronaut_face");
    const [found] = await weaver.detectFaces(face);
    const big = flat(2000, 2000);
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => weaver.detectFaces(big, { signal }),
      (signal) => weaver.encodeIdentity([big], { signal, align: true }),
      (signal) => weaver.encodeIdentity([big], { signal, requireFace: true }),
    ];
    if (found.landmarks) {
      calls.push((signal) =>
        weaver.alignFace(face, found, {
          signal: AbortSignal.any([signal, AbortSignal.abort()]),
        })
      );
    }
    for (const call of calls) {
      const asked = performance.now() + 50;
      const error = await assertRejects(
        () => call(AbortSignal.timeout(50)),
        MasterWeaverError,
      );
      assertEquals(error.code, "aborted");
      const late = performance.now() - asked;
      assert(late < 1000, `stopped ${late} ms after it was asked to`);
    }
    // Its own reason is kept, and the next call works.
    const reason = new Error("changed my mind");
    const error = await assertRejects(
      () => weaver.detectFaces(big, { signal: AbortSignal.abort(reason) }),
      MasterWeaverError,
    );
    assertEquals(error.cause, reason);
    assertEquals(await weaver.detectFaces(face), [found]);
  },
);
