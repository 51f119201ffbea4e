/**
 * Datasets of photos: what is cut out, what is rejected and why, and that a
 * run can be stopped at any moment.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Point } from "../src/face/detect.ts";
import { readImage } from "../src/host/files.ts";
import { DatasetLayout } from "../tools/dataset/layout.ts";
import { preparePhotos } from "../tools/dataset/prepare.ts";
import { openCaptions } from "../tools/dataset/prepare/captions.ts";
import { cropSquare, landmarksIn } from "../tools/dataset/prepare/crop.ts";
import { parseCsv } from "../tools/dataset/prepare/csv.ts";
import { findPhotos } from "../tools/dataset/prepare/photos.ts";
import { deno, finished } from "./support/command.ts";
import { filesIn, readNpy } from "./support/datasets.ts";
import { facePath, facePng } from "./support/face_photos.ts";
import { hasLandmarks, knownImages } from "./support/faces.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

Deno.test("csv: quotation marks, commas, line ends, empty lines", () => {
  assertEquals(parseCsv('a,"b, ""c"""\r\n\n"x\ny",'), [
    ["a", 'b, "c"'],
    ["x\ny", ""],
  ]);
  assertEquals(parseCsv(""), []);
  assertEquals(parseCsv('a,"never closed'), undefined);
});

Deno.test("captions: from texts and tables, by path, name and stem", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/photos/sub`, { recursive: true });
    const photo = (file: string) =>
      Deno.writeFile(`${folder}/photos/${file}`, Uint8Array.of(1));
    for (const file of ["a.jpg", "sub/b.png", "c.jpeg", "d.jpg", ".e.jpg"]) {
      await photo(file);
    }
    const photos = await findPhotos(`${folder}/photos`);
    assertEquals(photos.map(({ id }) => id), ["a", "c", "d", "sub__b"]);
    const of = async (place: string) => {
      const captions = await openCaptions(place);
      return await Promise.all(photos.map(async (photo) => {
        const found = await captions(photo);
        return "reason" in found ? found.reason : found.join("|");
      }));
    };
    const write = async (name: string, content: string | Uint8Array) => {
      const bytes = typeof content === "string"
        ? new TextEncoder().encode(content)
        : content;
      await Deno.writeFile(`${folder}/${name}`, bytes);
      return `${folder}/${name}`;
    };
    await Deno.mkdir(`${folder}/texts`);
    await write("texts/a.txt", "\ufeffa man\n\n a boy \n");
    await write("texts/b.txt", "a woman");
    await write("texts/c.txt", " \n");
    await write("texts/d.txt", Uint8Array.of(0xff, 0xfe));
    assertEquals(await of(`${folder}/texts`), [
      ...["a man|a boy", "bad caption", "bad caption", "a woman"],
    ]);
    await write("photos/sub/b.txt", "beside");
    assertEquals((await of("-")).at(-1), "beside");
    const json =
      '{"file_name":"./a.jpg","text":"x"}\n{"file":"sub/b","caption":"y"}';
    const fromJson = await of(await write("t.jsonl", json));
    assertEquals(fromJson, ["x", "no caption", "no caption", "y"]);
    const csv = 'caption,file\n"x, y",a.jpg\nz,a.jpg\n,c.jpeg\n';
    const fromCsv = await of(await write("t.csv", csv));
    assertEquals(fromCsv, [
      "x, y|z",
      "bad caption",
      "no caption",
      "no caption",
    ]);

    for (
      const [name, content, says] of [
        ["t.txt", "a.jpg,x", "it is no folder, .jsonl or .csv file"],
        ["u.csv", 'a.jpg,"x', "a quotation mark in it is never closed"],
        ["v.csv", "a.jpg,x\nb.jpg", "row 2 has no file and caption"],
        ["u.jsonl", '{"file":1}', 'line 1 is no object with texts "file"'],
        ["w.csv", Uint8Array.of(0xff), "it is not UTF-8"],
      ] as const
    ) {
      const place = await write(name, content);
      await assertRejects(() => openCaptions(place), MasterWeaverError, says);
    }
    await assertRejects(
      () => findPhotos(`${folder}/texts`),
      MasterWeaverError,
      "Found no photos",
    );
  }));

Deno.test("photos: names become ids that any file system takes", () =>
  inFolder(async (folder) => {
    for (const file of ["Ä b.jpg", "x.jpg", "X.png", "x.jpeg"]) {
      await Deno.writeFile(`${folder}/${file}`, Uint8Array.of(1));
    }
    const ids = (await findPhotos(folder)).map(({ id }) => id);
    assertEquals(new Set(ids.map((id) => id.toLowerCase())).size, 4);
    for (const id of ids) assert(/^[\p{L}\p{N}._-]+$/u.test(id), id);
  }));

Deno.test("prepare: a dataset among its photos is refused", async () => {
  for (const output of ["a", "a/b/../c"]) {
    await assertRejects(
      () => preparePhotos({ ...task("."), photos: "a", output }),
      MasterWeaverError,
      "inside the photos a; give a folder outside",
    );
  }
});

Deno.test("crop: around the face, inside the photo, landmarks with it", async () => {
  const [{ image, faces: [{ landmarks }] }] = await knownImages();
  const square = cropSquare(image, [landmarks]);
  assert(square.left >= 0 && square.left + square.width <= image.width);
  assert(square.top >= 0 && square.top + square.height <= image.height);
  const placed = landmarksIn(square, landmarks, 512)!;
  const scale = 512 / square.width;
  const [x, y] = landmarks[30];
  assertEquals(placed[60], Math.fround((x + 0.5 - square.left) * scale - 0.5));
  assertEquals(placed[61], Math.fround((y + 0.5 - square.top) * scale - 0.5));
  const outside = landmarks.map(([x, y]): Point => [x - 2000, y]);
  assertEquals(landmarksIn(square, outside, 512), undefined);
});

/** Photos of which two can be used. */
async function photosIn(folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/photos`);
  const photos = {
    "a.png": await facePng("astronaut_crop"),
    "b.jpg": await Deno.readFile(facePath("astronaut_crop.jpg")),
    "none.png": await facePng("coffee_no_face"),
    "uncaptioned.png": await facePng("astronaut_face"),
  };
  for (const [name, bytes] of Object.entries(photos)) {
    await Deno.writeFile(`${folder}/photos/${name}`, bytes);
  }
  const broken = await Deno.readFile(facePath("two_faces.jpg"));
  await Deno.writeFile(`${folder}/photos/cut.jpg`, broken.subarray(0, 5000));
  const lines = ["a.png,a woman", "b,an astronaut", "none,coffee", "cut,two"];
  await Deno.writeTextFile(`${folder}/captions.csv`, lines.join("\n"));
}

const task = (folder: string) => ({
  photos: `${folder}/photos`,
  captions: `${folder}/captions.csv`,
  output: `${folder}/set`,
  model: repositoryPath("weights/mini"),
  size: 128,
  minFace: 40,
  workers: 1,
  quiet: true,
});

gpuTest(
  "prepare: faces, masks, reasons, and only what has changed again",
  () =>
    inFolder(async (folder) => {
      await photosIn(folder);
      const options = task(folder);
      const { output } = options;
      const first = await preparePhotos(options);
      assertEquals([first.photos, first.prepared, first.made], [5, 2, 2]);
      assertEquals(first.rejected, {
        "cannot be read": 1,
        "no caption": 1,
        "no face": 1,
      });
      const layout = new DatasetLayout(output);
      for (const [id, caption] of [["a", "a woman"], ["b", "an astronaut"]]) {
        assertEquals(
          await Deno.readTextFile(layout.caption(id)),
          `${caption}\n`,
        );
        const image = await readImage(layout.image(id));
        const face = await readImage(layout.face(id, "0"));
        const mask = await readImage(layout.mask(id, "0"));
        assertEquals([image.width, face.width, mask.width], [128, 512, 512]);
        assert(mask.data.every((value, i) => i % 4 === 3 || value <= 18));
        assert(mask.data.some((value) => value === 1));
        const points = await readNpy(layout.landmarks(id, "0"));
        assertEquals(points.length, 136);
        assert(points.every((at) => at > -0.5 && at < 127.5));
      }
      const files = await filesIn(output);
      assertEquals(files.size, 2 * 5 + 1);

      assertEquals((await preparePhotos(options)).made, 0);
      assertEquals(await filesIn(output), files);
      // As after a kill: half a line, a mask that was not yet written.
      await Deno.writeTextFile(`${output}/photos.jsonl`, '{"id":"none', {
        append: true,
      });
      await Deno.remove(layout.mask("b", "0"));
      assertEquals((await preparePhotos(options)).made, 1);
      // Another order of the same lines is no other content.
      assertEquals(await filesIn(output), files);

      await Deno.writeTextFile(`${folder}/captions.csv`, "a.png,a man");
      const third = await preparePhotos(options);
      assertEquals([third.prepared, third.made], [1, 0]);
      assertEquals(await Deno.readTextFile(layout.caption("a")), "a man\n");
      const names = [...(await filesIn(output)).keys()];
      assert(!names.includes("captions/b.txt"), names.join());
    }),
  !hasLandmarks,
);

gpuTest(
  "prepare: faces outside the crop are counted; a parser of drawings is told",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/photos`);
      await Deno.writeFile(
        `${folder}/photos/two.png`,
        await facePng("two_faces"),
      );
      await Deno.writeTextFile(`${folder}/photos/two.txt`, "two people");
      const script = repositoryPath("tools/dataset.ts");
      const places = [`${folder}/photos`, "-", `${folder}/set`];
      for (const made of [1, 0]) {
        const { code, err } = await finished(deno([
          ...["run", "-A", script, "prepare", ...places],
          ...["--size=128", "--min-face=40", "--workers=1"],
        ]));
        assertEquals(code, 0, err.join("\n"));
        const text = err.join("\n");
        assertStringIncludes(text, "parser was trained on drawings");
        assertStringIncludes(text, `with 1 face; ${made} of them made`);
        assertStringIncludes(text, "1 face left out, over the edge");
      }
      const line = await Deno.readTextFile(`${folder}/set/photos.jsonl`);
      assertEquals(JSON.parse(line).faces_outside, 1);
    }),
  !hasLandmarks,
);

gpuTest(
  "prepare: a run that is killed is finished by the next one",
  () =>
    inFolder(async (folder) => {
      await photosIn(folder);
      const whole = { ...task(folder), output: `${folder}/whole` };
      await preparePhotos(whole);
      const options = task(folder);
      const words = [options.photos, options.captions, options.output];
      const child = deno([
        ...["run", "-A", repositoryPath("tools/dataset.ts"), "prepare"],
        ...[...words, "--size=128", "--min-face=40", "--workers=1"],
      ]);
      while (!await hasFiles(`${options.output}/captions`)) {
        await new Promise((resume) => setTimeout(resume, 5));
      }
      child.kill("SIGKILL");
      await child.output();
      await preparePhotos(options);
      const expected = await filesIn(whole.output);
      const files = await filesIn(options.output);
      assertEquals(files, expected);
    }),
  !hasLandmarks,
);

async function hasFiles(folder: string): Promise<boolean> {
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.startsWith(".")) return true;
    }
  } catch {
    // Not made yet.
  }
  return false;
}
