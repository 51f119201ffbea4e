/**
 * The command as a process: images, settings, outputs, Ctrl-C; and a script
 * outside the repository that imports the library.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage, readPngSettings } from "../src/host/files.ts";
import { version } from "../src/base/version.ts";
import { command, deno, finished } from "./support/command.ts";
import { psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const demo = repositoryPath("weights/mini/demo.png");
const goldens = repositoryPath("tests/goldens");

/** Arguments of an image that is made in a moment. */
const quick = [
  "--ref",
  demo,
  "--steps",
  "2",
  "--width",
  "64",
  "--height",
  "64",
  "--quiet",
];

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function names(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.map(({ name }) => name).sort();
}

Deno.test("command: --help lists every option of the README", async () => {
  const { code, out, err } = await command(["--help"]);
  assertEquals([code, err.length], [0, 0]);
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  const table = readme.split("\n").filter((line) => line.startsWith("| `--"));
  const flags = table.join("\n").match(/--[a-z-]+/g) ?? [];
  assert(flags.length > 20);
  for (const flag of flags) assert(out.includes(flag), `${flag} is not there`);
});

Deno.test("command: --version prints the version of deno.json", async () => {
  const { code, out } = await command(["--version"]);
  assertEquals([code, out], [0, `masterweaver ${version}\n`]);
  const json = JSON.parse(
    await Deno.readTextFile(repositoryPath("deno.json")),
  );
  assertEquals(json.version, version);
});

for (const dtype of ["f32", "f16"]) {
  gpuTest(
    `command: repeats PyTorch's picture in ${dtype}`,
    () =>
      inFolder(async (folder) => {
        const { code, out, err } = await command([
          "--ref",
          `${goldens}/portraits/portrait-8.png`,
          "--prompt",
          "a bald man",
          "--seed=0",
          "--steps=6",
          "--guidance-scale=1",
          "--rng=torch-cpu",
          "--no-align",
          `--dtype=${dtype}`,
        ], { cwd: folder });
        assertEquals(code, 0, err.join("\n"));
        assertEquals(out, "output.png\n");
        // Plain lines where stderr is not a terminal.
        assert(err.includes("Denoising: 6/6"), err.join("\n"));
        assert(err.every((line) => !line.includes("\r")));
        const image = await readImage(`${folder}/output.png`);
        const golden = await readImage(`${goldens}/pictures/no-guidance.png`);
        const quality = psnr(image.data, golden.data);
        assert(quality >= (dtype === "f32" ? 50 : 35), `${quality} dB`);
      }),
  );
}

gpuTest(
  "command: the image carries its settings, --from-image repeats it",
  () =>
    inFolder(async (folder) => {
      const prompt = 'a "smiling" woman, ☃ in\nthe snow';
      const first = await command([
        ...quick,
        "--prompt",
        prompt,
        "--negative-prompt=a hat",
        "--seed=18446744073709551615",
        "--guidance-scale=2.5",
        "--id-scale=0.5",
        "--rng=torch-cpu",
        "--json",
        "--save-references",
      ], { cwd: folder });
      assertEquals([first.code, first.err], [0, []]);
      assertEquals(await names(folder), [
        "output.png",
        "output.reference-0.png",
      ]);
      const report = JSON.parse(first.out);
      assertEquals(report.outputs, ["output.png"]);
      assertEquals(report.references, ["output.reference-0.png"]);
      assertEquals(report.settings.seed, "18446744073709551615");
      assertMatch(report.modelHash, /^[0-9a-f]{64}$/);
      assert(report.peakGpuBytes > 1e6);
      assert(report.seconds.image > 0);

      const text = await readPngSettings(`${folder}/output.png`);
      assertEquals(text.prompt, prompt);
      assertEquals(text.negative_prompt, "a hat");
      assertEquals([text.steps, text.seed], ["2", "18446744073709551615"]);
      assertEquals([text.guidance_scale, text.id_scale], ["2.5", "0.5"]);
      assertEquals(text.model_hash, report.modelHash);

      const again = await command([
        "--ref",
        demo,
        "--from-image=output.png",
        "--output=again.png",
        "--quiet",
      ], { cwd: folder });
      assertEquals([again.code, again.err], [0, []]);
      assertEquals(
        await readImage(`${folder}/again.png`),
        await readImage(`${folder}/output.png`),
      );
    }),
);

gpuTest(
  "command: optional settings are recorded and repeated",
  () =>
    inFolder(async (folder) => {
      const first = await command(
        [
          ...quick,
          "--guidance-range=0,0.5",
          "--reuse-features=2",
          "--merge-tokens=0.25",
          "--json",
        ],
        { cwd: folder },
      );
      assertEquals([first.code, first.err], [0, []]);
      const { settings } = JSON.parse(first.out);
      assertEquals(settings.guidanceRange, [0, 0.5]);
      assertEquals([settings.reuseFeatures, settings.mergeTokens], [2, 0.25]);
      const text = await readPngSettings(`${folder}/output.png`);
      assertEquals(text.guidance_range, "0,0.5");
      assertEquals([text.reuse_features, text.merge_tokens], ["2", "0.25"]);

      const repeat = ["--ref", demo, "--from-image=output.png", "--quiet"];
      const again = await command(
        [...repeat, "--output=again.png"],
        { cwd: folder },
      );
      assertEquals([again.code, again.err], [0, []]);
      const other = await command(
        [...repeat, "--guidance-range=0,1", "--output=other.png"],
        { cwd: folder },
      );
      assertEquals([other.code, other.err], [0, []]);
      const [picture, repeated, exact] = await Promise.all(
        ["output", "again", "other"].map((name) =>
          readImage(`${folder}/${name}.png`)
        ),
      );
      assertEquals(repeated, picture);
      assert(psnr(exact.data, picture.data) < 60, "options go over the file's");
    }),
);

gpuTest(
  "command: several images from several photos, numbered",
  () =>
    inFolder(async (folder) => {
      const { code, out } = await command([
        ...quick,
        "--ref",
        demo,
        "--num-images=2",
        "--output=a.b.png",
        "--prompt=a man",
        "--no-parse",
      ], { cwd: folder });
      assertEquals(code, 0);
      assertEquals(out, "a.b-0.png\na.b-1.png\n");
      assertEquals(await names(folder), ["a.b-0.png", "a.b-1.png"]);
      const [a, b] = await Promise.all(
        [0, 1].map((i) => readImage(`${folder}/a.b-${i}.png`)),
      );
      assert(psnr(a.data, b.data) < 40, "other noise, other pictures");
    }),
);

gpuTest(
  "command: an empty prompt is a prompt",
  () =>
    inFolder(async (folder) => {
      const { code, err } = await command(quick, { cwd: folder });
      assertEquals([code, err], [0, []]);
    }),
);

gpuTest(
  "command: a prompt of 10,000 words is truncated, and the rest is shown",
  () =>
    inFolder(async (folder) => {
      const words = Array.from({ length: 10_000 }, (_, i) => `woman${i}`);
      const { code, err } = await command(
        [...quick, "--prompt", words.join(" ")],
        { cwd: folder },
      );
      assertEquals([code, err.length], [0, 1]);
      assertMatch(err[0], /^Note: .*77 tokens.*did not fit: .*woman\d+/);
      assert(err[0].length < 500, "too long: only its start may be shown");
    }),
);

gpuTest(
  "command: Ctrl-C stops between two steps and leaves no file",
  () =>
    inFolder(async (folder) => {
      const child = deno([
        "run",
        "-A",
        repositoryPath("mod.ts"),
        "--ref",
        demo,
        "--steps=1000",
      ], { cwd: folder });
      const decoder = new TextDecoder();
      let text = "";
      const reader = child.stderr.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += decoder.decode(value);
        if (text.includes("Denoising")) break;
      }
      child.kill("SIGINT");
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += decoder.decode(value);
      }
      const { code } = await child.status;
      await child.stdout.cancel();
      assertEquals(code, 1, text);
      assertMatch(text, /\nStopped before it was done\n$/);
      assertEquals(await names(folder), []);
    }),
);

gpuTest(
  "library: a script elsewhere imports mod.ts without configuration or network",
  () =>
    inFolder(async (folder) => {
      const mod = new URL("../mod.ts", import.meta.url).href;
      await Deno.writeTextFile(
        `${folder}/script.ts`,
        `import { MasterWeaver, readImage, writePng } from ${
          JSON.stringify(mod)
        };
await using weaver = await MasterWeaver.load(Deno.args[0]);
const identity = await weaver.encodeIdentity([await readImage(Deno.args[1])]);
const { images } = await weaver.generate({
  identity,
  prompt: "a man in the snow",
  seed: 42,
  steps: 2,
  width: 64,
  height: 64,
});
await writePng("out.png", images[0]);
`,
      );
      const run = await finished(deno([
        "run",
        "-A",
        "--cached-only",
        "script.ts",
        repositoryPath("weights/mini"),
        demo,
      ], { cwd: folder }));
      assertEquals([run.code, run.err], [0, []]);
      const { width, height } = await readImage(`${folder}/out.png`);
      assertEquals([width, height], [64, 64]);
    }),
);
