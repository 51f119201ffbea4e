/**
 * The command without reference photos.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage, readImageText } from "../src/host/files.ts";
import { command, made } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const mini = repositoryPath("weights/mini");
const demo = `${mini}/demo.png`;
const quick = [
  ...["--prompt=snow", "--steps=1", "--width=32", "--height=32"],
  ...["--dtype=f32", "--tune=off", "--quiet"],
];

gpuTest(
  "no references: an image is made, and repeated without a warning",
  () =>
    inFolder(async (folder) => {
      const first = await made(folder, ...quick, "--json");
      assertEquals(first.notes, []);
      const report = JSON.parse(first.out);
      assertEquals([report.references, report.looks], [[], {}]);
      assertEquals([report.settings.idScale, report.seconds.identity], [0, 0]);
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals(Object.keys(text).sort(), [
        ...["cuda_threads", "dtype", "guidance_range", "guidance_scale"],
        ...["height", "image_index", "merge_tokens", "model", "model_hash"],
        ...["negative_prompt", "num_images", "parameters", "prompt"],
        ...["reuse_features", "rng", "seed", "software", "steps", "tune"],
        "width",
      ]);
      const repeat = ["--from-image=output.png", "--quiet", "--output=b.png"];
      assertEquals((await made(folder, ...repeat)).notes, []);
      assertEquals(
        await readImage(`${folder}/b.png`),
        await readImage(`${folder}/output.png`),
      );
      const photo = ["--ref", demo, "--no-parse"];
      const { notes } = await made(folder, ...repeat, ...photo);
      assertEquals(notes.length, 1);
      assertMatch(notes[0], /does not say its id_scale, .*: 1, /);
    }),
);

gpuTest(
  "no references: an image that was made from some says what it lacks",
  () =>
    inFolder(async (folder) => {
      const photos = ["--ref", demo, "--ref", demo, "--no-parse"];
      await made(folder, ...photos, ...quick);
      const repeat = ["--from-image=output.png", "--quiet", "--output=b.png"];
      const { notes } = await made(folder, ...repeat);
      assertEquals(notes, [
        "Note: The image will differ: it was made from 2 reference photos, which no image holds; give them with --ref FILE",
      ]);
      const { text } = await readImageText(`${folder}/b.png`);
      assert(!("reference_hashes" in text) && !("adapter_hash" in text));
      assertEquals((await made(folder, ...repeat, ...photos)).notes, []);
    }),
);

gpuTest(
  "no references: a plain model makes images, and refuses photos",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/plain`);
      for (const name of ["text_encoder", "unet", "vae"]) {
        const file = `${name}.weave`;
        await Deno.symlink(`${mini}/${file}`, `${folder}/plain/${file}`);
      }
      const plain = [...quick, "--model=plain"];
      assertEquals((await made(folder, ...plain)).notes, []);
      const { code, err } = await command([...plain, "--ref", demo], {
        cwd: folder,
      });
      assertEquals([code, err.length], [1, 1], err.join("\n"));
      assertMatch(
        err[0],
        /^The model has no image_encoder\.weave, identity_adapter\.weave and face_parser\.weave, which an identity needs: convert it with/,
      );
    }),
);
