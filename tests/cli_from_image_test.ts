/**
 * The command with an image to start from: what it records and repeats, and what bad
 * input gets.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readImage, readImageText, writePng } from "../src/host/files.ts";
import { readFlags } from "../src/host/command/flags.ts";
import { readTask, repeatWarnings } from "../src/host/command/task.ts";
import { UsageError } from "../src/host/exit.ts";
import { fromParameters } from "../src/options/parameters_text.ts";
import { type BadInput, badInputTests, demo } from "./support/bad_input.ts";
import { command } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";

/** A mask of the demo photo's size, white to the left of a column. */
async function writeMask(folder: string, column: number): Promise<void> {
  const { width, height } = await readImage(demo);
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < data.length; i++) {
    const isWhite = (i >> 2) % width < column;
    data[i] = i % 4 === 3 || isWhite ? 255 : 0;
  }
  await writePng(`${folder}/mask.png`, { width, height, data });
}

gpuTest(
  "from image: the command records it and says what repeating needs",
  () =>
    inFolder(async (folder) => {
      await writeMask(folder, 30);
      await Deno.copyFile(demo, `${folder}/init.png`);
      const starts = ["--init-image=init.png", "--mask=mask.png"];
      const how = ["--mask-fill=noise", "--only-masked", "--strength=0.5"];
      const first = await command([
        ...starts,
        ...how,
        "--prompt=a man",
        "--steps=2",
        "--width=64",
        "--height=48",
        "--quiet",
      ], { cwd: folder });
      assertEquals([first.code, first.err], [0, []]);
      const init = await readImage(demo);
      const made = await readImage(`${folder}/output.png`);
      assertEquals([made.width, made.height], [init.width, init.height]);
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals(
        [text.init_image, text.mask, text.strength, text.only_masked],
        ["init.png", "mask.png", "0.5", "true"],
      );
      assertEquals(text.mask_blur, undefined);
      assertMatch(text.init_image_hash, /^[0-9a-f]{64}$/);
      assertMatch(
        text.parameters,
        /Denoising strength: 0\.5.*Masked content: latent noise.*Inpaint area: Only masked/,
      );
      assertEquals(fromParameters(text.parameters).mask_fill, "noise");

      const again = await command(
        ["--from-image=output.png", ...starts, "--output=b.png", "--quiet"],
        { cwd: folder },
      );
      assertEquals([again.code, again.err], [0, []]);
      assertEquals(await readImage(`${folder}/b.png`), made);
      const without = await command(
        ["--from-image=output.png", "--prompt=", "--output=c.png", "--quiet"],
        { cwd: folder },
      );
      assertEquals(without.code, 0);
      assertEquals(without.err.length, 2, without.err.join("\n"));
      assertMatch(
        without.err[0],
        /made from the initial image init\.png, SHA-256 [0-9a-f]{10}, which no image holds; give it with --init-image FILE/,
      );
      assert(without.err[1].includes("give it with --mask FILE"));
    }),
);

Deno.test("from image: flags that need others are refused by name", () => {
  const wrong: [string[], RegExp][] = [
    [
      ["--mask=m.png"],
      /^Option --mask needs an initial image: give --init-image FILE/,
    ],
    [["--strength=0.5"], /^Option --strength needs an initial image/],
    [
      ["--init-image=i.png", "--mask-blur=3"],
      /^Option --mask-blur needs a mask: give --mask FILE/,
    ],
    [
      ["--init-image=i.png", "--strength=2"],
      /^Option --strength must be a number in 0\.\.1/,
    ],
    [
      ["--init-image=i.png", "--outpaint=up=3"],
      /^Option --outpaint must be sides with/,
    ],
  ];
  for (const [args, message] of wrong) {
    const read = () => readFlags(["--prompt=a", ...args]);
    assertMatch(assertThrows(read, UsageError).message, message);
  }
});

Deno.test("from image: what is typed rules out a second pass that is repeated", () =>
  inFolder(async (folder) => {
    const data = new Uint8ClampedArray(4 * 16 * 16).fill(255);
    const path = `${folder}/a.png`;
    const own = {
      software: "masterweaver 0",
      prompt: "a",
      hires_height: "96",
      hires_strength: "0.5",
    };
    await writePng(path, { width: 16, height: 16, data }, own);
    const kept = async (...args: string[]) => {
      const flags = readFlags(["--from-image", path, ...args]);
      const task = await readTask(flags);
      const { hiresScale, hiresHeight, hiresStrength } = task.settings;
      const warnings = repeatWarnings(task, own)
        .filter((warning) => warning.includes("second pass"));
      return [hiresScale, hiresHeight, hiresStrength, warnings.length];
    };
    assertEquals(await kept(), [undefined, 96, 0.5, 0]);
    assertEquals(await kept("--hires-scale=2"), [2, undefined, 0.5, 0]);
    assertEquals(await kept("--hires-width=80"), [undefined, 96, 0.5, 0]);
    assertEquals(
      await kept("--init-image", demo),
      [undefined, undefined, undefined, 1],
    );
  }));

const bad: readonly BadInput[] = [
  {
    what: "a strength that leaves no step",
    args: () => ["--prompt=a", "--init-image", demo, "--strength=0"],
    code: 2,
    says: /strength of 0 leaves none of 1 step;/,
  },
  {
    what: "a mask that is all black",
    args: async (folder) => {
      await writeMask(folder, 0);
      const starts = ["--init-image", demo, "--mask=mask.png"];
      return ["--prompt=a", ...starts, "--strength=1"];
    },
    says: /The mask is all black/,
  },
  {
    what: "an output over the image to start from",
    args: async (folder) => {
      await Deno.copyFile(demo, `${folder}/a.png`);
      return ["--prompt=a", "--init-image=a.png", "--output=a.png"];
    },
    code: 2,
    says:
      /Cannot write a\.png: it is the image to start from, its mask or a control image/,
  },
];

badInputTests(bad);
