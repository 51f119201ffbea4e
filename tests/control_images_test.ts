/**
 * Images for ControlNets: Canny's edges are OpenCV's in every pixel, and the points
 * of a face are drawn as OpenCV draws circles.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { Pauser } from "../src/base/pauser.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { DetectedFace } from "../src/face/detect.ts";
import { drawFaceMap } from "../src/face/face_map.ts";
import { prepareControls } from "../src/generate/control_images.ts";
import { readImage } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { cannyEdges } from "../src/image/canny.ts";
import { resizeImage } from "../src/image/resize.ts";
import type { ControlPreprocess } from "../src/options/control_types.ts";
import { miniControlNet } from "./support/control_nets.ts";
import { repositoryPath } from "./support/paths.ts";

const goldens = repositoryPath("tests/goldens");

/** Requires that an image is a golden's. */
async function assertGolden(image: Image, name: string): Promise<void> {
  const expected = await readImage(`${goldens}/controlnet/${name}.png`);
  assertEquals([image.width, image.height], [expected.width, expected.height]);
  const wrong = image.data.reduce(
    (count, value, i) => count + Number(value !== expected.data[i]),
    0,
  );
  assertEquals(wrong, 0, `${wrong} of ${image.data.length} bytes differ`);
}

for (
  const [path, name, width, height] of [
    ["face/astronaut.png", "astronaut", 120, 96],
    ["resize/input_131x117.png", "input", 131, 117],
    ["portraits/portrait-4.png", "portrait", 65, 43],
  ] as const
) {
  Deno.test(`Canny: edges of ${name} are OpenCV's`, async () => {
    const image = await readImage(`${goldens}/${path}`);
    const resized = await resizeImage(image, width, height, "lanczos");
    await assertGolden(await cannyEdges(resized), `canny-${name}`);
  });
}

Deno.test("Canny: an image of one pixel has no edges, and a stop is heard", async () => {
  const data = Uint8ClampedArray.of(255, 0, 255, 0);
  const one = await cannyEdges({ width: 1, height: 1, data });
  assertEquals([...one.data], [0, 0, 0, 255]);
  await assertRejects(
    async () => {
      const pauser = new Pauser(AbortSignal.abort());
      await new Promise((done) => setTimeout(done, 150));
      await cannyEdges(one, { low: 1, high: 2 }, pauser);
    },
    MasterWeaverError,
    "Stopped",
  );
});

Deno.test("face map: points are OpenCV's circles, cut at the sides", () =>
  assertGolden(
    drawFaceMap(
      [[0, 0], [10, 8], [11, 9], [30, 23], [-2, 15], [20, -3], [34, 5], [
        36,
        12,
      ]],
      32,
      24,
    ),
    "points",
  ));

Deno.test("control images: resized, their edges, or their faces at another size", async () => {
  const data = new Uint8ClampedArray(4 * 40 * 20).fill(200);
  const photo = { width: 40, height: 20, data };
  const finder = (faces: readonly DetectedFace[]) => () =>
    Promise.resolve({
      canAlign: true,
      detect: () => Promise.resolve([...faces]),
    });
  const face: DetectedFace = {
    rect: { left: 0, top: 0, right: 9, bottom: 9 },
    score: 1,
    detector: 0,
    landmarks: [[9, 10], [31, 3]],
  };
  const make = async (
    preprocess: ControlPreprocess,
    faces: readonly DetectedFace[] = [face],
  ) => {
    const net = await miniControlNet(1);
    const control = {
      net,
      image: photo,
      scale: 1,
      start: 0,
      end: 1,
      preprocess,
    };
    const size = { width: 80, height: 60 };
    const [{ image }] = await prepareControls(
      [control],
      size,
      finder(faces),
      new Pauser(),
    );
    return image;
  };
  assertEquals(await make("none"), await resizeImage(photo, 80, 60, "lanczos"));
  assertEquals((await make("canny")).data.indexOf(255), 3);
  assertEquals(await make("face"), drawFaceMap([[18, 30], [62, 9]], 80, 60));
  await assertRejects(
    () => make("face", []),
    MasterWeaverError,
    "No face found in control image 1",
  );
});
