/**
 * `--from-image` with an image that does not say everything: warnings name what
 * is missing, ignored or different, and files that are cut off are refused.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deflateSync } from "node:zlib";
import { readImage, readImageText, writePng } from "../src/host/files.ts";
import { encodeJpeg, encodePng } from "../src/host/codecs/codec.ts";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { toParameters } from "../src/options/parameters_text.ts";
import { command } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { concat } from "./support/odd_images.ts";
import { repositoryPath } from "./support/paths.ts";

const demo = repositoryPath("weights/mini/demo.png");
const quick = ["--steps=2", "--width=64", "--height=64"];

/** Repeats an image; its notes without their mark. */
async function repeated(folder: string, image: string, ...args: string[]) {
  const given = ["--ref", demo, "--from-image", image, "--output=b.png"];
  const { code, err } = await command(
    [...given, "--quiet", "--tune=off", ...args],
    { cwd: folder },
  );
  return { code, err, notes: err.map((line) => line.replace("Note: ", "")) };
}

/** An image of the command, and what it says. */
async function make() {
  const folder = await Deno.makeTempDir();
  try {
    const words = [...quick, "--prompt=a man", "--seed=7", "--tune=off"];
    const { code, err } = await command(
      ["--ref", demo, "--quiet", ...words],
      { cwd: folder },
    );
    assertEquals(code, 0, err.join("\n"));
    const path = `${folder}/output.png`;
    const { text } = await readImageText(path);
    return {
      image: await readImage(path),
      bytes: await Deno.readFile(path),
      text,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

let making: ReturnType<typeof make> | undefined;
/** That image, made once for all tests. */
const madeImage = () => making ??= make();

function without(
  text: Readonly<Record<string, string>>,
  ...keys: string[]
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(text).filter(([key]) => !keys.includes(key)),
  );
}

gpuTest(
  "incomplete image: missing settings are named, with the values used",
  () =>
    inFolder(async (folder) => {
      const { image, text } = await madeImage();
      const path = `${folder}/a.png`;
      await writePng(path, image, without(text, "steps", "seed"));
      // A step count that is typed is not reported as missing.
      const one = await repeated(folder, path, "--steps=1");
      assertEquals(one.notes, ["The image does not say its seed: 42 is used"]);

      await writePng(
        path,
        image,
        without(text, "prompt", "model_hash", "dtype"),
      );
      const more = await repeated(folder, path);
      assertEquals(more.code, 0);
      assertEquals(more.notes.length, 1);
      assertMatch(
        more.notes[0],
        /^The image does not say its prompt, dtype, model_hash: "", f(16|32), [0-9a-f]{10} are used$/,
      );
      const jpeg = encodeJpeg(
        image,
        toParameters(without(text, "guidance_scale")),
      );
      await Deno.writeFile(`${folder}/a.jpg`, jpeg);
      const other = await repeated(folder, "a.jpg");
      assertEquals(other.notes, [
        "The image does not say its guidance_scale: 5 is used",
      ]);
    }),
);

gpuTest(
  "incomplete image: another adapter is reported, with or without a name",
  () =>
    inFolder(async (folder) => {
      const { image, text } = await madeImage();
      assertEquals(text.adapter, undefined);
      const path = `${folder}/a.png`;
      const hash = "0123456789".repeat(7).slice(0, 64);
      const own = without(text, "parameters");
      await writePng(path, image, { ...own, adapter_hash: hash });
      const { notes } = await repeated(folder, path);
      assertEquals(notes.length, 1);
      assertMatch(
        notes[0],
        /identity adapter of weights\/mini \(hash 0123456789\), this is that of .*mini \(hash [0-9a-f]{10}\)/,
      );
      await writePng(path, image, {
        ...without(own, "model"),
        model_hash: hash,
      });
      const unnamed = await repeated(folder, path);
      assert(!unnamed.notes.join().includes("undefined"), unnamed.notes.join());
      assertMatch(unnamed.notes.join(), /made with a model it does not name/);
    }),
);

gpuTest(
  "incomplete image: a text that is ignored is named",
  () =>
    inFolder(async (folder) => {
      const { image, text } = await madeImage();
      const path = `${folder}/a.png`;
      const large = new Uint8Array(deflateSync(new Uint8Array(20e6).fill(97)));
      const file = encodePng(image, without(text, "prompt"));
      const zipped = pngChunk("zTXt", concat([latin1("prompt\0\0"), large]));
      await Deno.writeFile(
        path,
        concat([file.subarray(0, 33), zipped, file.subarray(33)]),
      );
      const { notes } = await repeated(folder, path);
      assertEquals(notes, [
        `The text prompt in ${path} is ignored: it is too large`,
        'The image does not say its prompt: "" is used',
      ]);
      const whole = encodePng(image, text);
      const at = String.fromCharCode(...whole).indexOf("seed\0");
      whole[at + 5] ^= 1;
      await Deno.writeFile(path, whole);
      const damaged = await repeated(folder, path);
      assertEquals(damaged.notes, [
        `The text seed in ${path} is ignored: it is damaged`,
        "The image does not say its seed: 42 is used",
      ]);
    }),
);

gpuTest(
  "incomplete image: another program's is repeated as far as possible, with warnings",
  () =>
    inFolder(async (folder) => {
      const parameters =
        "a man, in snow\nNegative prompt: a hat\nSteps: 2, Sampler: Restart, CFG scale: 3.5, Seed: 9, Size: 64x96, Model hash: 6ce0161689, Model: other, Clip skip: 2, Refiner: other";
      const path = `${folder}/a.png`;
      await writePng(path, await readImage(demo), { parameters });
      const args = ["--from-image=a.png", "--output=b.png", "--json"];
      const given = [...args, "--quiet", "--tune=off"];
      const { code, err, out } = await command(
        ["--ref", demo, ...given, "--seed=3"],
        { cwd: folder },
      );
      assertEquals([code, err.length], [0, 3], err.join("\n"));
      assertMatch(
        err[0],
        /^Note: .* another program made a\.png, with the model other \(6ce0161689\) and without these references; .* with weights\/mini$/,
      );
      assertMatch(
        err[1],
        /the sampler Restart, which is not known here; this is DDIM$/,
      );
      const { settings, warnings } = JSON.parse(out);
      assertMatch(err[0], /; its prompt, .*, steps, CFG scale and size are/);
      assertMatch(err[2], /not supported here: Refiner$/);
      assertEquals(warnings.length, 3);
      const { prompt, negativePrompt, steps, guidanceScale } = settings;
      assertEquals([prompt, negativePrompt], ["a man, in snow", "a hat"]);
      assertEquals([steps, guidanceScale, settings.seed], [2, 3.5, "3"]);
      assertEquals([settings.width, settings.height], [64, 96]);
      // It had no reference, and needs none.
      const bare = await command([...given, "--output=c.png"], { cwd: folder });
      assertEquals([bare.code, bare.err.length], [0, 3], bare.err.join("\n"));
      assertMatch(
        bare.err[0],
        /with the model other \(6ce0161689\); its prompt/,
      );
      // What is made now says so by itself, for us and for others.
      const { text } = await readImageText(`${folder}/b.png`);
      assertEquals([text.steps, text.model], ["2", "weights/mini"]);
      assertMatch(
        text.parameters,
        /^a man, in snow\nNegative prompt: a hat\nSteps: 2, Sampler: DDIM, CFG scale: 3\.5, Seed: 3, Size: 64x96, Model hash: [0-9a-f]{64}, Model: weights\/mini, RNG: NV, /,
      );
    }),
);

gpuTest(
  "incomplete image: a file that is cut off, or no image, is refused",
  () =>
    inFolder(async (folder) => {
      const { image, bytes, text } = await madeImage();
      const jpeg = encodeJpeg(image, toParameters(text));
      const files: [string, Uint8Array, RegExp][] = [
        [
          "a.png",
          bytes.subarray(0, 300),
          /Cannot repeat a\.png: it is cut off/,
        ],
        ["a.png", bytes.subarray(0, 20), /it is cut off/],
        ["a.png", bytes.subarray(0, bytes.length - 5), /it is cut off/],
        ["a.jpg", jpeg.subarray(0, jpeg.length - 40), /a\.jpg: it is cut off/],
        ["a.png", new Uint8Array(), /it is empty/],
        ["a.webp", latin1("RIFF0000WEBPVP8 "), /it looks like a WebP image/],
        ["a.png", latin1("Steps: 30, Seed: 5"), /it looks like text/],
      ];
      for (const [name, content, says] of files) {
        await Deno.writeFile(`${folder}/${name}`, content);
        const { code, err } = await repeated(folder, name);
        assertEquals([code, err.length], [1, 1], err.join("\n"));
        assertMatch(err[0], says);
      }
    }),
);

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
