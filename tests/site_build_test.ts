/**
 * `tools/site.ts`: what it writes, and what it leaves alone.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { UsageError } from "../src/host/exit.ts";
import { networkComponents } from "../src/weights/components.ts";
import { buildSite } from "../tools/site/build.ts";
import { repositoryPath } from "./support/paths.ts";

const model = repositoryPath("weights/mini");

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("site build: relative paths, a policy, nothing inline, the same bytes again", () =>
  inFolder(async (folder) => {
    const output = `${folder}/site`;
    const built = await buildSite({ output, model });
    assert(built.pageBytes < 850_000, `${built.pageBytes} bytes`);
    const html = await Deno.readTextFile(`${output}/index.html`);
    assertMatch(html, /content="default-src 'none'; script-src 'self'; /);
    const paths = [...html.matchAll(/ (?:href|src)="([^"]+)"/g)]
      .map(([, path]) => path);
    assertEquals(paths.length, 3);
    for (const path of paths) {
      assertMatch(path, /^assets\//);
      await Deno.stat(`${output}/${path}`);
    }
    assertMatch(html, /use Chrome or Edge \d+, Firefox \d+, Safari \d+ or/);
    assertEquals(html.match(/{{/g), null);
    assertEquals(html.match(/<style|<script>|\son\w+=|style=/g), null);
    const worker = await Deno.readTextFile(`${output}/service_worker.js`);
    await Deno.writeTextFile(`${output}/CNAME`, "a host's own file");

    // Of links, unlisted and without the face detector, as a model may be.
    const bare = `${folder}/mini`;
    await Deno.mkdir(bare);
    for (const name of networkComponents) {
      await Deno.symlink(`${model}/${name}.weave`, `${bare}/${name}.weave`);
    }
    await buildSite({ output, model: bare });
    const { components } = JSON.parse(
      await Deno.readTextFile(`${output}/weights/mini/model.json`),
    );
    assertEquals(
      Object.keys(components),
      [...networkComponents, "face_detector"].toSorted(),
    );
    await Deno.stat(`${output}/weights/mini/LICENSE-dlib-Boost.txt`);
    // A browser looks for a new version by its bytes.
    assertEquals(
      await Deno.readTextFile(`${output}/service_worker.js`),
      worker,
    );
    await Deno.stat(`${output}/CNAME`);

    await assertRejects(
      () => buildSite({ output, model: `${output}/weights/mini` }),
      UsageError,
      "which is replaced",
    );
    await Deno.stat(`${output}/weights/mini/unet.weave`);
  }));

Deno.test("site build: a folder with anything else in it is left alone", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/mine.txt`, "mine");
    await assertRejects(
      () => buildSite({ output: folder, model }),
      UsageError,
      "holds other files, expected none or an earlier site",
    );
    assertEquals(await Deno.readTextFile(`${folder}/mine.txt`), "mine");
  }));

Deno.test("site build: a folder that is no model is refused before anything is written", () =>
  inFolder(async (folder) => {
    const output = `${folder}/site`;
    await assertRejects(
      () => buildSite({ output, model: folder }),
      MasterWeaverError,
      "text_encoder.weave, unet.weave, ",
    );
    await assertRejects(() => Deno.stat(output), Deno.errors.NotFound);
  }));
