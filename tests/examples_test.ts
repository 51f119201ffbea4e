/**
 * The examples do what they say, and so do the commands that SECURITY.md
 * gives: each runs as a process, as its reader would run it.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage } from "../src/host/files.ts";
import { psnr, sameBytes } from "./support/compare.ts";
import { deno, type Finished, finished } from "./support/command.ts";
import { inFolder, namesIn } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const demo = repositoryPath("weights/mini/demo.png");
const portrait = repositoryPath("tests/goldens/portraits/portrait-1.png");

/** An example's process, in a folder that is its own. */
function start(name: string, folder: string, ...args: string[]) {
  const script = repositoryPath(`tools/examples/${name}.ts`);
  return deno(["run", "-A", script, ...args], { cwd: folder });
}

/** Runs an example to its end. */
function run(
  name: string,
  folder: string,
  ...args: string[]
): Promise<Finished> {
  return finished(start(name, folder, ...args));
}

/** The pixels of the mini model's image in a file. */
async function pixels(path: string): Promise<Uint8ClampedArray> {
  const { width, height, data } = await readImage(path);
  assertEquals([width, height], [128, 128]);
  return data;
}

gpuTest(
  "examples: a batch makes an image of each photo, skips bad ones",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/photos`);
      await Deno.copyFile(demo, `${folder}/photos/a.png`);
      await Deno.writeTextFile(`${folder}/photos/b.jpg`, "no photo");
      await Deno.writeTextFile(`${folder}/photos/notes.txt`, "no photo either");
      await Deno.copyFile(portrait, `${folder}/photos/c.png`);
      const args = ["photos", "out/new", "a person", "2"];
      const { code, out, err } = await run("batch", folder, ...args);
      assertEquals([code, err.length], [1, 1], err.join("\n"));
      assertMatch(err[0], /^Skipped b\.jpg: .*not a PNG or JPEG/);
      assertEquals(out, "out/new/a.png.png\nout/new/c.png.png\n");
      assertEquals(await namesIn(`${folder}/out/new`), [
        "a.png.png",
        "c.png.png",
      ]);
      const [a, c] = [
        await pixels(`${folder}/out/new/a.png.png`),
        await pixels(`${folder}/out/new/c.png.png`),
      ];
      assert(psnr(a, c) < 40, "two people, two images");
    }),
);

gpuTest(
  "examples: a wrong option ends a batch, and is no photo's fault",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/photos`);
      await Deno.copyFile(demo, `${folder}/photos/a.png`);
      const args = ["photos", "out", "a person", "many"];
      const { code, err } = await run("batch", folder, ...args);
      assertEquals([code, err.length], [1, 1], err.join("\n"));
      assertMatch(err[0], /^Option steps must be .*got NaN$/);
      assertEquals(await namesIn(`${folder}/out`), []);
    }),
);

gpuTest(
  "examples: a saved identity gives the same pixels every time",
  () =>
    inFolder(async (folder) => {
      const example = async (...args: string[]) => {
        const { code, err } = await run("reuse_identity", folder, ...args);
        assertEquals([code, err], [0, []]);
      };
      await example("encode", demo, "a.json");
      const names = ["angry-1.png", "angry-2.png", "snow-1.png", "snow-2.png"];
      for (const output of ["first", "second"]) {
        await example("generate", "a.json", output, "1");
        assertEquals(await namesIn(`${folder}/${output}`), names);
      }
      const first = await Promise.all(
        names.map((name) => pixels(`${folder}/first/${name}`)),
      );
      for (const [i, name] of names.entries()) {
        assert(sameBytes(await pixels(`${folder}/second/${name}`), first[i]));
        for (const other of first.slice(0, i)) {
          assert(!sameBytes(other, first[i]), `${name} is another's image`);
        }
      }
      // One of another model is refused.
      const saved = JSON.parse(await Deno.readTextFile(`${folder}/a.json`));
      await Deno.writeTextFile(
        `${folder}/b.json`,
        JSON.stringify({ ...saved, modelHash: "0123" }),
      );
      const refused = ["generate", "b.json", "third"];
      const { code, err } = await run("reuse_identity", folder, ...refused);
      assertEquals([code, err.length], [1, 1]);
      assertMatch(err[0], /^Identity was made by another model/);
    }),
);

gpuTest(
  "examples: a time limit stops an image, and a second one is made",
  () =>
    inFolder(async (folder) => {
      const args = [demo, "a.png", "2", "1000"];
      const { code, out, err } = await run("progress", folder, ...args);
      assertEquals([code, err.at(-1)], [0, "Stopped: time is up"]);
      assertEquals(out, "a.png: 5 steps\n");
      const stopped = await pixels(`${folder}/a.png`);

      // What was stopped leaves no trace in the image that follows.
      const whole = await run("progress", folder, demo, "b.png", "600", "5");
      assertEquals([whole.code, whole.out], [0, "b.png: 5 steps\n"]);
      const denoised = whole.err.filter((line) => line.startsWith("denoise"));
      assertEquals(denoised, [0, 1, 2, 3, 4, 5].map((n) => `denoise  ${n}/5`));
      assert(psnr(stopped, await pixels(`${folder}/b.png`)) > 35);
    }),
);

gpuTest(
  "examples: Ctrl-C stops an image, and a second one is made",
  () =>
    inFolder(async (folder) => {
      const child = start("progress", folder, demo, "a.png", "600", "1000");
      let err = "";
      for await (
        const text of child.stderr.pipeThrough(new TextDecoderStream())
      ) {
        const wasDenoising = err.includes("denoise");
        err += text;
        if (!wasDenoising && err.includes("denoise")) child.kill("SIGINT");
      }
      const out = await new Response(child.stdout).text();
      assertEquals((await child.status).code, 0, err);
      assertMatch(err, /\nStopped: Ctrl-C\n$/);
      assertEquals(out, "a.png: 5 steps\n");
      await pixels(`${folder}/a.png`);
    }),
  Deno.build.os === "windows",
);

Deno.test("examples: wrong usage is told", async () => {
  for (const name of ["batch", "reuse_identity", "progress", "lora"]) {
    const { code, err } = await run(name, ".", "photo.png");
    assertEquals(code, 2);
    assertMatch(err[0], new RegExp(`^Usage: ${name}\\.ts [A-Za-z]`));
    const bogus = await run(name, ".", "a", "b", "c", "--bogus");
    assertEquals([bogus.code, bogus.err], [2, err]);
    const help = await run(name, ".", "--help");
    assertEquals([help.code, help.err], [0, []]);
    assertEquals(help.out.trimEnd(), err.join("\n"));
  }
  const missing = await run("batch", ".", "not/there", "out", "a person");
  assertEquals([missing.code, missing.err], [1, [
    "Cannot read not/there: it is not a folder; give one with photos",
  ]]);
});

/** A command of SECURITY.md's, by its first argument, to run anywhere: paths of this project are whole. */
async function givenCommand(script: string, first: string): Promise<string[]> {
  const text = await Deno.readTextFile(repositoryPath("SECURITY.md"));
  const found = text.split("\n").map((line) => line.trim()).filter((line) =>
    line.startsWith("deno run ") && line.includes(` ${script} ${first} `)
  );
  assertEquals(found.length, 1, script);
  return found[0]
    .replaceAll("weights/mini", repositoryPath("weights/mini"))
    .replace(script, repositoryPath(script))
    .replace(/"[^"]*"/, "x")
    .split(" ").slice(1);
}

gpuTest(
  "SECURITY.md: the permissions it gives the command suffice",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/photos`);
      await Deno.mkdir(`${folder}/out`);
      await Deno.copyFile(demo, `${folder}/photos/a.png`);
      const args = [
        ...await givenCommand("mod.ts", "--ref"),
        "--steps=1",
        "--quiet",
      ];
      const { code, out, err } = await finished(deno(args, { cwd: folder }));
      assertEquals([code, err, out], [0, [], "out/a.png\n"]);
      await pixels(`${folder}/out/a.png`);
    }),
);

Deno.test("SECURITY.md: the permissions it gives the converter suffice", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/download`);
    const name = "image_encoder.weave";
    const from = repositoryPath(`weights/mini/${name}`);
    await Deno.copyFile(from, `${folder}/download/${name}`);
    const args = await givenCommand("tools/convert.ts", "download");
    const { code, err } = await finished(deno(args, { cwd: folder }));
    assertEquals(code, 0, err.join("\n"));
    const files = await namesIn(`${folder}/weights/mine`);
    assertEquals(files, [name, "model.json"]);
  }));
