/**
 * The evaluation as a command: two people, two edits, two steps.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encodeJpeg } from "../src/host/codecs/codec.ts";
import { readImage } from "../src/host/files.ts";
import { evaluationTable } from "../tools/evaluate/report.ts";
import type { Evaluation } from "../tools/evaluate/evaluation.ts";
import { deno, type Finished, finished } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const PORTRAITS = repositoryPath("tests/goldens/portraits");
const MODEL = repositoryPath("weights/mini");

function evaluate(...args: string[]): Promise<Finished> {
  const script = repositoryPath("tools/evaluate.ts");
  return finished(deno(["run", "-A", script, "--model", MODEL, ...args]));
}

/** A data set of three people: two portraits of the first, a broken one of the last. */
async function makeData(): Promise<string> {
  const root = await Deno.makeTempDir();
  await Deno.mkdir(`${root}/images_cropped`);
  const portraits = {
    "000000_0": "portrait-3",
    "000000_1": "portrait-4",
    "000001_0": "portrait-1",
  };
  for (const [id, portrait] of Object.entries(portraits)) {
    const image = await readImage(`${PORTRAITS}/${portrait}.png`);
    const path = `${root}/images_cropped/${id}.jpg`;
    await Deno.writeFile(path, await encodeJpeg(image, "", 95));
  }
  await Deno.writeTextFile(`${root}/images_cropped/000002_0.jpg`, "no JPEG");
  const lines = [...Object.keys(portraits), "000002_0"].map((id) =>
    JSON.stringify({ id, identity: Number(id.slice(0, 6)), gender: "female" })
  );
  await Deno.writeTextFile(`${root}/identities.jsonl`, lines.join("\n"));
  return root;
}

const FEW = ["--identities", "9", "--edits", "2", "--steps", "2"];

gpuTest("evaluate: two adapters, as JSON with a contact sheet", async () => {
  const data = await makeData();
  const sheet = `${data}/sheet.png`;
  const own = `${MODEL}/identity_adapter.weave`;
  const args = ["--data", data, ...FEW, "--json", "--sheet", sheet];
  const { code, out, err } = await evaluate(
    ...args,
    "--adapter",
    own,
    "--adapter",
    own,
  );
  assertEquals(code, 0, err.join("\n"));
  const found = JSON.parse(out);
  assertEquals(found.protocol.identities, 2);
  assertEquals(found.protocol.edits, ["smiling {}", "{} with red hair"]);
  assertEquals(found.people.map(({ id }: { id: string }) => id), [
    "000000_0",
    "000001_0",
  ]);
  assertEquals(found.skipped.length, 1);
  assertEquals(found.skipped[0].id, "000002_0");
  assertStringIncludes(err.join("\n"), "000002_0 is left out");
  assertEquals(found.missing, {});
  const { samePerson, otherPerson } = found.baselines;
  assert(samePerson.faceSimilarity.mean > 0.8);
  assert(otherPerson.faceSimilarity.mean < 0.6);
  const [first, second] = found.adapters;
  assertEquals(first.images.length, 4);
  assertEquals(first.images[3].seed, 42 + 1000 + 1);
  assertEquals(first.images[3].prompt, "a photo of a woman with red hair");
  for (const measure of ["clipT", "clipI", "faceSimilarity", "editFirst"]) {
    const { low, mean, high } = first.summary[measure];
    assert(-1 <= low && low <= mean && mean <= high && high <= 1, measure);
    // The same adapter makes the same images from the same noise.
    assertEquals(second.gain[measure].mean, 0);
  }
  assertEquals(first.hash, second.hash);
  // The reference and twice two images of 128 pixels, two rows, 2 pixels between.
  const { width, height } = await readImage(sheet);
  assertEquals([width, height], [5 * 130 - 2, 2 * 130 - 2]);
  assertEquals(found.sheet.columns.length, 5);
  await Deno.remove(data, { recursive: true });
});

gpuTest(
  "evaluate: photos without names, and a model that measures nothing of it",
  async () => {
    const data = await makeData();
    await Deno.remove(`${data}/identities.jsonl`);
    await Deno.remove(`${data}/images_cropped/000002_0.jpg`);
    const model = `${data}/model`;
    await Deno.mkdir(model);
    for await (const { name } of Deno.readDir(MODEL)) {
      if (!name.endsWith(".weave") || name === "evaluation.weave") continue;
      await Deno.copyFile(`${MODEL}/${name}`, `${model}/${name}`);
    }
    const { code, out, err } = await evaluate(
      ...["--data", data, "--model", model, "--identities", "2"],
      ...["--edits", "1", "--steps", "1", "--quiet"],
    );
    assertEquals(code, 0, err.join("\n"));
    assertEquals(err, []);
    assertStringIncludes(out, "feature similarity");
    assertStringIncludes(
      out,
      "CLIP-T is not measured; it needs evaluation.weave",
    );
    assertStringIncludes(out, "no measure of identity");
    assert(!out.includes("same person"));
    await Deno.remove(data, { recursive: true });
  },
);

gpuTest(
  "evaluate: what cannot be evaluated is refused in one line",
  async () => {
    const data = await makeData();
    const missing = `${data}/none.weave`;
    const cases: [string[], number, string][] = [
      [[], 2, "Give --data"],
      [["--data", data, "--edits", "10"], 2, "--edits is 10"],
      [["--data", data, "--guidance-scale", "x"], 2, "--guidance-scale is x"],
      [["--data", missing], 1, "images_cropped is missing"],
      [["--data", data, ...FEW, "--adapter", missing], 1, "none.weave"],
      [["--data", data, "--sheet", `${missing}/a.png`], 1, "a.png"],
      [
        ["--data", data, ...FEW, "--adapter", `${MODEL}/vae.weave`],
        1,
        "it holds the component vae, expected identity_adapter",
      ],
    ];
    for (const [args, expected, message] of cases) {
      const { code, out, err } = await evaluate("--quiet", ...args);
      assertEquals([code, err.length], [expected, 1], err.join("\n"));
      assertStringIncludes(err[0], message);
      assertEquals(out, "");
    }
    await Deno.remove(data, { recursive: true });
  },
);

Deno.test("evaluate: zero has no sign, and intervals of few people mean little", () => {
  const gain = (mean: number) => ({
    clipT: { mean, low: -0.0004, high: 0.0004 },
  });
  const table = (identities: number) =>
    evaluationTable(
      {
        adapters: [-0.0004, 0.0004, 0.02, -0.02].map((mean) => ({
          adapter: "a.weave",
          hash: "",
          summary: gain(0.5),
          gain: gain(mean),
          images: [],
        })),
        baselines: { samePerson: {}, otherPerson: {} },
        protocol: {
          identities,
          edits: ["x"],
          steps: 1,
          guidanceScale: 5,
          idScale: 1,
          seed: 1,
        },
        missing: {},
        skipped: [],
      } as unknown as Evaluation,
    );
  const gains = table(8).split("\n").filter((line) => line.includes("gain"));
  assertEquals(
    gains.map((line) => /over the first +(\S+)/.exec(line)![1]),
    ["0.000", "0.000", "+0.020", "-0.020"],
  );
  assert(!table(8).includes("-0.000"));
  assert(!table(8).includes("mean little"));
  assertStringIncludes(table(7), "Intervals over 7 people mean little");
});
