/** `dataset.ts check`: counts, broken files with reasons, missing parts. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../src/host/exit.ts";
import * as layout from "../src/train/data/layout.ts";
import {
  checkDataset,
  main,
  reportText,
  runCheck,
} from "../tools/dataset/check.ts";
import { drawDataset, drawnId, grayPng, npyFile } from "./support/dataset.ts";

async function withDataset(test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await drawDataset(root, { count: 4 });
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const sound = {
  images: 4,
  faces: 4,
  masks: 4,
  landmarks: 4,
  augmented: 8,
  captions: 4,
};

Deno.test("dataset check: a sound data set is counted", async () => {
  await withDataset(async (root) => {
    const report = await checkDataset(root, 0);
    assertEquals(report, {
      root,
      counts: sound,
      withoutImage: 0,
      missing: [],
      broken: [],
    });
    assertEquals(await checkDataset(root, 2), report);
    assert(reportText(report).endsWith("All is well"));
  });
});

Deno.test("dataset check: every broken file is named with its reason", async () => {
  await withDataset(async (root) => {
    const [a, b, c, d] = [0, 1, 2, 3].map(drawnId);
    const path = (name: string) => `${root}/${name}`;
    const image = await Deno.readFile(path(layout.imagePath(a)));
    await Deno.writeFile(path(layout.imagePath(a)), image.subarray(0, 900));
    await Deno.writeFile(
      path(layout.landmarksPath(a, "0")),
      npyFile("<f4", [2, 68], new Float32Array(136)),
    );
    await Deno.writeFile(
      path(layout.maskPath(b, "0")),
      await grayPng(10, 10, () => 0),
    );
    await Deno.writeTextFile(path(layout.captionPath(b)), "\n");
    await Deno.writeTextFile(
      path(`${layout.augmentedFolder(c, "0")}/2.jpg`),
      "not an image",
    );
    await Deno.remove(path(layout.imagePath(d)));
    const report = await checkDataset(root, 2);
    assertEquals(report.counts, {
      ...sound,
      images: 3,
      faces: 3,
      masks: 3,
      landmarks: 3,
      augmented: 7,
      captions: 3,
    });
    assertEquals(report.withoutImage, 1);
    assertEquals(
      report.broken.map(({ id, faults }) => [id, faults.length]),
      [[a, 2], [b, 2], [c, 1]],
    );
    const text = reportText(report);
    for (
      const reason of [
        `${layout.imagePath(a)} is cut off`,
        "shape (2, 68), expected (68, 2)",
        "is 10 × 10, expected 48 × 48",
        `${layout.captionPath(b)} is empty`,
        "2.jpg is not a PNG or JPEG",
        "1 folder without an image",
        "3 of 3 ids are broken",
      ]
    ) assert(text.includes(reason), `${reason}\n${text}`);
  });
});

Deno.test({
  name: "dataset check: what is no file is named, and nothing waits for it",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withDataset(async (root) => {
      const paths = [
        layout.captionPath(drawnId(0)),
        layout.maskPath(drawnId(1), "0"),
        layout.imagePath(drawnId(2)),
        layout.landmarksPath(drawnId(3), "0"),
      ];
      for (const [i, name] of paths.entries()) {
        const path = `${root}/${name}`;
        await Deno.remove(path);
        if (i < 2) await Deno.mkdir(path);
        else if (i === 2) {
          await new Deno.Command("mkfifo", { args: [path] }).output();
        } else await Deno.symlink("/dev/zero", path);
      }
      const long = layout.captionPath(drawnId(3));
      await Deno.truncate(`${root}/${long}`, 65 * 2 ** 20);
      for (const workers of [0, 2]) {
        const report = await checkDataset(root, workers);
        assertEquals(report.counts, sound);
        const said = reportText(report);
        for (const name of paths) {
          assert(said.includes(`${root}/${name}: it is not a file`), said);
        }
        assert(said.includes(`${long}: it has 68157440 bytes`), said);
      }
    }),
});

Deno.test("dataset check: missing parts are named, and fail", async () => {
  await withDataset(async (root) => {
    for (const part of ["augmented", "masks"] as const) {
      await Deno.remove(`${root}/${layout.FOLDERS[part]}`, { recursive: true });
    }
    const report = await checkDataset(root, 0);
    assertEquals(report.broken, []);
    assertEquals(report.missing.length, 2);
    assert(report.missing[0].startsWith("images_cropped_face_mask is missing"));
    assert(reportText(report).includes("4 faces without one"));
    assertEquals((await checkDataset(`${root}/nowhere`, 1)).missing.length, 5);
  });
});

Deno.test("dataset check: exit code and usage are a tool's", async () => {
  await withDataset(async (root) => {
    const values = { workers: 0, json: true, quiet: true };
    assertEquals(await runCheck(values, [root]), 0);
    // Stage 1 can be trained without other appearances.
    await Deno.remove(`${root}/${layout.FOLDERS.augmented}`, {
      recursive: true,
    });
    assertEquals(await runCheck(values, [root]), 0);
    await Deno.remove(`${root}/${layout.captionPath(drawnId(1))}`);
    assertEquals(await runCheck(values, [root]), 1);
    await assertRejects(() => runCheck(values, []), UsageError, "folder");
    assertEquals(await main([root, "--workers", "2", "--quiet"]), 1);
    assertEquals(await main([root, "--workers", "two"]), 2);
  });
});
