/**
 * The command with ControlNets: found by name, recorded, repeated, and wrong usage.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readFlags } from "../src/host/command/flags.ts";
import { UsageError } from "../src/host/exit.ts";
import { readImage, readImageText } from "../src/host/files.ts";
import { command, made } from "./support/command.ts";
import { controlNetBytes } from "./support/control_nets.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const photo = repositoryPath("tests/goldens/portraits/portrait-1.png");
const quick = [
  ...["--prompt=snow", "--steps=2", "--width=32", "--height=32"],
  ...["--dtype=f32", "--tune=off", "--quiet"],
];

gpuTest(
  "--controlnet: by name, recorded in the image, and repeated with its images",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/more/controlnets`, { recursive: true });
      for (const [name, seed] of [["edges", 1], ["depth", 2]] as const) {
        await Deno.writeFile(
          `${folder}/more/controlnets/${name}.weave`,
          await controlNetBytes(seed),
        );
      }
      const extras = "--extras=more";
      const images = ["--control-image", photo, "--control-image", photo];
      const first = await made(
        folder,
        ...quick,
        ...[extras, "--controlnet=edges", "--controlnet=depth", ...images],
        ...["--control-scale=0.5", "--control-range=0,0.5"],
        ...["--control-range=0,1", "--control-preprocess=canny"],
        ...["--control-preprocess=none", "--guess-mode", "--json"],
      );
      assertEquals(first.notes, []);
      const { controls, settings } = JSON.parse(first.out);
      assertEquals(settings.guessMode, true);
      assertEquals(controls.controlnet, ["edges", "depth"]);
      assertEquals(controls.range, [[0, 0.5], [0, 1]]);
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals([text.controlnet, text.control_scale], [
        "edges,depth",
        "0.5",
      ]);
      assertEquals([text.control_range, text.control_preprocess], [
        "0,0.5,0,1",
        "canny,none",
      ]);
      assertEquals(text.guess_mode, "true");
      assertEquals(
        text.controlnet_hashes.split(","),
        controls.controlnetHashes,
      );
      assertEquals(text.control_image_hashes.split(",").length, 2);

      const repeat = ["--from-image=output.png", "--quiet", "--output=b.png"];
      const bare = await made(folder, ...repeat, extras);
      assertEquals(bare.notes, [
        "Note: The image will differ: it was made with the ControlNets edges and depth, whose control images no image holds; give each with --control-image FILE",
      ]);
      assert(!("controlnet" in (await readImageText(`${folder}/b.png`)).text));
      const again = await made(folder, ...repeat, extras, ...images);
      assertEquals(again.notes, []);
      const pixels = await readImage(`${folder}/b.png`);
      assertEquals(pixels, await readImage(`${folder}/output.png`));

      const { code, err } = await command([
        ...quick,
        ...[extras, "--controlnet=edge", "--control-image", photo],
      ], { cwd: folder });
      assertEquals(code, 2);
      assertMatch(
        err.join("\n"),
        /Found no ControlNet "?edge"? in .*; did you mean "?edges"?\?/,
      );
    }),
);

const wrong: readonly [args: readonly string[], says: RegExp][] = [
  [["--control-scale=1"], /^Option --control-scale needs a ControlNet: give/],
  [["--control-image=a.png"], /--control-image needs a ControlNet/],
  [["--guess-mode"], /--guess-mode needs a ControlNet/],
  [["--controlnet=a", "--control-scale=11"], /in -10\.\.10, got 11$/],
  [
    ["--controlnet=a", "--control-range=0"],
    /takes two numbers, such as 0,0\.5/,
  ],
  [["--controlnet=a", "--control-range=1,0"], /two rising fractions/],
  [["--controlnet=a", "--control-preprocess=hed"], /none, canny or face/],
  [["--controlnet="], /needs a name or a path, got ""$/],
];

for (const [args, says] of wrong) {
  Deno.test(`--controlnet: ${args.join(" ")} is refused`, () => {
    const { message } = assertThrows(
      () => readFlags(["--prompt=x", ...args]),
      UsageError,
    );
    assertMatch(message, says);
  });
}

Deno.test("--controlnet: nets without images are refused before anything is loaded", async () => {
  const { code, err } = await command([
    ...["--prompt=x", "--controlnet=a", "--controlnet=b"],
    ...["--control-image", photo],
  ]);
  assertEquals(code, 2);
  assertMatch(
    err.join("\n"),
    /Give an image for the ControlNet b with --control-image FILE; got 1 for 2 ControlNets/,
  );
});
