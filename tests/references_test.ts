/**
 * From a photo to what the encoder sees: which face is used, when it is aligned,
 * and the warnings where it is not.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Pauser } from "../src/base/pauser.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FaceFinder } from "../src/face/finder.ts";
import { readImage, readPngSettings } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import {
  checkChoices,
  prepareReference,
  type ReferenceOptions,
} from "../src/identity/references.ts";
import { fromText } from "../src/options/settings_text.ts";
import { command } from "./support/command.ts";
import { facePhoto, facePng } from "./support/face_photos.ts";
import {
  cut,
  flat,
  hasLandmarks,
  knownAligned,
  landmarkTest,
  miniDetector,
  realPredictor,
} from "./support/faces.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver } from "./support/model.ts";

const defaults: ReferenceOptions = {
  align: true,
  face: "best",
  requireFace: false,
};

/** Prepares and gathers warnings. */
async function prepare(
  photo: Image,
  finder: FaceFinder | null,
  options: Partial<ReferenceOptions>,
): Promise<{ image: Image; warnings: string[] }> {
  const warnings: string[] = [];
  const onWarning = (warning: string) => warnings.push(warning);
  const all = { ...defaults, ...options, onWarning };
  const image = await prepareReference(
    photo,
    finder,
    "Reference 1",
    all,
    new Pauser(),
  );
  return { image, warnings };
}

const wholeFinder = async () =>
  new FaceFinder(await miniDetector(), await realPredictor());

Deno.test("reference: a face is not chosen where none is aligned", () => {
  for (const face of [0, "largest"] as const) {
    const error = assertThrows(
      () => checkChoices({ align: false, face }, 1),
      MasterWeaverError,
      `face: ${face} with align: false`,
    );
    assertEquals(error.code, "bad-option");
    checkChoices({ align: true, face }, 1);
  }
  checkChoices({ align: false }, 1);
  checkChoices({ face: [0, "best"] }, 2);
  for (const photos of [1, 3]) {
    const error = assertThrows(
      () => checkChoices({ face: [0, "best"] }, photos),
      MasterWeaverError,
      `one for each of the ${photos} reference`,
    );
    assertEquals(error.code, "bad-option");
  }
});

Deno.test("reference: not searched where neither face nor alignment is asked for", async () => {
  const photo = flat(40, 40);
  const { image, warnings } = await prepare(photo, null, { align: false });
  assertEquals([image === photo, warnings], [true, []]);
});

Deno.test("reference: without a detector it is unchanged, with a warning", async () => {
  const photo = flat(40, 40);
  const { image, warnings } = await prepare(photo, null, {});
  assertEquals(image === photo, true);
  assertEquals(warnings.length, 1);
  assertEquals(warnings[0].includes("face_detector.weave"), true);
  await assertRejects(
    () => prepare(photo, null, { requireFace: true }),
    MasterWeaverError,
    "no face_detector.weave",
  );
});

Deno.test("reference: a chosen face is never the whole photo", async () => {
  const finder = new FaceFinder(await miniDetector());
  const photo = await facePhoto("two_faces");
  for (
    const [face, found, says] of [
      [1, finder, "without the landmark model"],
      ["largest", finder, "without the landmark model"],
      [1, null, "no face_detector.weave"],
      [7, finder, "Reference 1: Cannot take face 7: the photo has 2"],
    ] as const
  ) {
    await assertRejects(
      () => prepare(photo, found, { face }),
      MasterWeaverError,
      says,
    );
  }
});

Deno.test("reference: without the landmark model it is unchanged, with a warning how to get it", async () => {
  const finder = new FaceFinder(await miniDetector());
  const photo = await facePhoto("astronaut_small");
  const { image, warnings } = await prepare(photo, finder, {});
  assertEquals(image === photo, true);
  assertEquals(warnings.length, 1);
  assertEquals(warnings[0].includes("give landmarks.weave"), true);
  await assertRejects(
    () => prepare(photo, finder, { requireFace: true }),
    MasterWeaverError,
    "give landmarks.weave",
  );
  // Faces can be required without being aligned.
  const unaligned = { align: false, requireFace: true };
  assertEquals((await prepare(photo, finder, unaligned)).image === photo, true);
});

landmarkTest(
  "reference: the best face is aligned, or another by number or size",
  async () => {
    const finder = await wholeFinder();
    const photo = await facePhoto("two_faces");
    const best = await prepare(photo, finder, {});
    assertEquals(best.image, await knownAligned("two_faces", 0));
    assertEquals(best.warnings.length, 1);
    assertEquals(best.warnings[0].includes("found 2 faces"), true);

    const second = await prepare(photo, finder, { face: 1 });
    assertEquals(second.image, await knownAligned("two_faces", 1));
    assertEquals(second.warnings, []);

    const sizes = (await finder.detect(photo)).map(({ rect }) =>
      rect.right - rect.left
    );
    const largest = sizes.indexOf(Math.max(...sizes));
    assertEquals(
      (await prepare(photo, finder, { face: "largest" })).image,
      await knownAligned("two_faces", largest),
    );
    await assertRejects(
      () => prepare(photo, finder, { face: 2 }),
      MasterWeaverError,
      "Reference 1: Cannot take face 2: the photo has 2",
    );
  },
);

landmarkTest(
  "reference: without a face it is left unchanged, or refused",
  async () => {
    const finder = await wholeFinder();
    for (
      const photo of [
        await facePhoto("coffee_no_face"),
        flat(16, 16),
      ]
    ) {
      const { image, warnings } = await prepare(photo, finder, {});
      assertEquals(image === photo, true);
      assertEquals(warnings.length, 1);
      assertEquals(warnings[0].includes("found no face"), true);
      const error = await assertRejects(
        () => prepare(photo, finder, { requireFace: true }),
        MasterWeaverError,
      );
      assertEquals(error.code, "no-face");
    }
  },
);

gpuTest(
  "library: detectFaces and alignFace are dlib's and the reference's",
  async () => {
    const weaver = await miniWeaver("f32");
    const photo = await facePhoto("astronaut_face");
    const [face] = await weaver.detectFaces(photo);
    assertEquals(face.landmarks?.length, 68);
    const aligned = await knownAligned("astronaut_face", 0);
    assertEquals(await weaver.alignFace(photo, face), aligned);

    const identity = await weaver.encodeIdentity([photo], {
      align: true,
      parse: false,
    });
    assertEquals(identity.references, [aligned]);
    // The mini model's portraits are framed: it does not align by itself.
    const plain = await weaver.encodeIdentity([photo], { parse: false });
    // The middle of its 115 × 130 pixels.
    const middle = { left: 0, top: 7, right: 114, bottom: 122 };
    assertEquals(plain.references, [cut(photo, middle)]);
    await assertRejects(
      () => weaver.encodeIdentity([photo], { face: 3 }),
      MasterWeaverError,
      "Cannot take face 3",
    );
  },
  !hasLandmarks,
);

gpuTest("command: --face uses the chosen face of each photo", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const photo = `${folder}/two_faces.png`;
    await Deno.writeFile(photo, await facePng("two_faces"));
    const { code, err } = await command([
      "--ref",
      photo,
      "--ref",
      photo,
      "--face=1,0",
      "--no-parse",
      "--save-references",
      "--steps=1",
      "--width=64",
      "--height=64",
      "--quiet",
    ], { cwd: folder });
    assertEquals([code, err], [0, []]);
    for (const [i, face] of [1, 0].entries()) {
      assertEquals(
        await readImage(`${folder}/output.reference-${i}.png`),
        await knownAligned("two_faces", face),
      );
    }
    const { provenance } = fromText(
      await readPngSettings(`${folder}/output.png`),
      "output.png",
    );
    assertEquals(provenance.face, [1, 0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, !hasLandmarks);
