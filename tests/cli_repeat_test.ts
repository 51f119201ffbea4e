/**
 * `--from-image` repeats everything that made an image, and warns of differences.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage, readImageText } from "../src/host/files.ts";
import { chooseModel } from "../src/host/command/model_choice.ts";
import { readFlags } from "../src/host/command/flags.ts";
import { identityChoices, repeatWarnings } from "../src/host/command/task.ts";
import { made } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { changedModel, withHeader } from "./support/model_folder.ts";
import { repositoryPath } from "./support/paths.ts";

const demo = repositoryPath("weights/mini/demo.png");
const mini = repositoryPath("weights/mini");
const quick = ["--steps=2", "--width=64", "--height=64", "--quiet"];

/** The mini model with one component of another hash, but the same weights. */
function otherModel(folder: string, component: string): Promise<string> {
  return changedModel(
    folder,
    `${component}.weave`,
    (bytes) =>
      withHeader(bytes, (header) => {
        header.provenance = {};
      }),
  );
}

gpuTest(
  "repeat: how references are prepared is repeated",
  () =>
    inFolder(async (folder) => {
      await made(
        folder,
        "--ref",
        demo,
        ...quick,
        "--no-parse",
        "--no-align",
        "--dtype=f32",
        "--tune=off",
        "--require-face",
      );
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals(
        [text.parse, text.align, text.dtype, text.tune, text.require_face],
        ["false", "false", "f32", "off", "true"],
      );
      assertEquals([text.model, text.adapter], ["weights/mini", undefined]);
      assertMatch(text.adapter_hash, /^[0-9a-f]{64}$/);
      assertMatch(text.reference_hashes, /^[0-9a-f]{64}$/);
      const repeat = ["--ref", demo, "--from-image=output.png", "--quiet"];
      const again = await made(folder, ...repeat, "--output=b.png", "--json");
      assertEquals(again.notes, []);
      const { dtype, tune, looks, warnings } = JSON.parse(again.out);
      assertEquals([dtype, tune, warnings], ["f32", "off", []]);
      assertEquals(looks, { align: false, parse: false, requireFace: true });
      assertEquals(
        await readImage(`${folder}/b.png`),
        await readImage(`${folder}/output.png`),
      );
      // Flags override it.
      const over = ["--parse", "--no-require-face", "--dtype=f16", "--json"];
      const other = await made(folder, ...repeat, ...over, "--output=c.png");
      const report = JSON.parse(other.out);
      assertEquals(report.looks.parse, true);
      assertEquals([report.looks.requireFace, report.dtype], [false, "f16"]);
    }),
);

gpuTest(
  "repeat: the model and the adapter are repeated",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/a`);
      const model = await otherModel(`${folder}/a`, "vae");
      await Deno.mkdir(`${folder}/b`);
      const other = await otherModel(`${folder}/b`, "identity_adapter");
      const adapter = `${other}/identity_adapter.weave`;
      const asked = ["--model", model, "--adapter", adapter];
      await made(folder, "--ref", demo, ...quick, ...asked);
      const { text } = await readImageText(`${folder}/output.png`);
      assertEquals([text.model, text.adapter], [model, adapter]);

      const repeat = ["--ref", demo, "--from-image=output.png", "--json"];
      const quiet = ["--quiet", "--output=again.png"];
      const again = await made(folder, ...repeat, ...quiet);
      assertEquals(again.notes, []);
      const report = JSON.parse(again.out);
      assertEquals([report.model, report.adapter], [model, adapter]);
      assertEquals(report.modelHash, text.model_hash);

      // Another model and adapter by name: used, with both hashes in a warning.
      const wrong = await made(folder, ...repeat, ...quiet, "--model", mini);
      assertEquals(wrong.notes.length, 1);
      assertMatch(
        wrong.notes[0],
        /^Note: The image will differ: .* model .*\(hash [0-9a-f]{10}\), this is .*mini \(hash [0-9a-f]{10}\); give .* --model$/,
      );
      const own = `${model}/identity_adapter.weave`;
      const adapted = await made(folder, ...repeat, ...quiet, "--adapter", own);
      assertEquals(adapted.notes.length, 1);
      assertMatch(
        adapted.notes[0],
        /identity adapter .*\(hash [0-9a-f]{10}\), this is .*a.* \(hash [0-9a-f]{10}\)/,
      );

      // Moved: what is left runs, with a warning that the recorded one is missing.
      await Deno.rename(`${folder}/a`, `${folder}/moved`);
      const lost = await made(folder, ...repeat, ...quiet);
      assertEquals(lost.notes.length, 1);
      assertMatch(lost.notes[0], /\(hash [0-9a-f]{10}, not found\), this is/);
      assertEquals(JSON.parse(lost.out).warnings.length, 1);
      // Under its new name it is the same.
      const moved = model.replace(`${folder}/a`, `${folder}/moved`);
      const found = await made(folder, ...repeat, ...quiet, "--model", moved);
      assertEquals(found.notes, []);
    }),
);

Deno.test("repeat: a model that has changed in its place is named once", async () => {
  const before = "0123456789".repeat(6);
  const chosen = await chooseModel({
    model: mini,
    defaultModel: mini,
    recorded: { model: `${mini}/.`, modelHash: before, adapterHash: before },
  });
  assertEquals(chosen.warnings.length, 2);
  for (const warning of chosen.warnings) {
    assertEquals(warning.split(mini).length, 2, warning);
    assertMatch(warning, /has changed, it had the hash 0123456789 and has /);
    assert(!warning.includes("--"), warning);
  }
});

Deno.test("repeat: a face of an image that aligns none is reported", () => {
  const recorded = { settings: {}, provenance: { align: false, face: 0 } };
  const read = (...args: string[]) => {
    const flags = readFlags(["--ref=a.png", ...args]);
    const imageText = { text: {}, warnings: [] };
    const task = { flags, recorded, imageText, settings: { prompt: "" } };
    const outputs = {
      images: [],
      references: [],
      format: "png",
      toStdout: false,
    } as const;
    const { align, face } = identityChoices(task);
    return [align, face, repeatWarnings({ ...task, outputs }, {}).length];
  };
  assertEquals(read(), [false, undefined, 1]);
  assertEquals(read("--face=1"), [undefined, 1, 0]);
  assertEquals(read("--align"), [true, 0, 0]);
  assertEquals(read("--no-align"), [false, undefined, 0]);
});

gpuTest("repeat: other photos are reported", () =>
  inFolder(async (folder) => {
    await Deno.copyFile(demo, `${folder}/same.png`);
    const others = [
      `${mini}/../../tests/goldens/portraits/portrait-8.png`,
      "same.png",
    ];
    await made(folder, "--ref", demo, ...quick);
    const repeat = ["--from-image=output.png", "--quiet", "--output=b.png"];
    const same = await made(folder, "--ref", "same.png", ...repeat);
    assertEquals(same.notes, []);
    const other = await made(folder, "--ref", others[0], ...repeat);
    assertMatch(
      other.notes.join(),
      /^Note: The image will differ: reference 1 is another file .*SHA-256 [0-9a-f]{10}, was [0-9a-f]{10}\)$/,
    );
    const two = others.flatMap((path) => ["--ref", path]);
    const more = await made(folder, ...two, ...repeat);
    assertMatch(more.notes.join(), /made from 1 reference photos, got 2$/);
  }));

gpuTest(
  "json: kernels are reported whether they are timed or not",
  () =>
    inFolder(async (folder) => {
      const kinds = async (...args: string[]) => {
        const { out } = await made(folder, "--ref", demo, "--json", ...args);
        const { kernels }: { kernels: { kind: string; kernel: string }[] } =
          JSON.parse(out);
        assert(kernels.every(({ kernel }) => kernel.length > 0));
        return kernels.map(({ kind }) => kind).sort();
      };
      const off = await kinds(...quick, "--tune=off");
      for (const op of ["linear", "conv2d", "attention"]) {
        assert(off.some((kind) => kind.startsWith(op)), `${op}: ${off}`);
      }
      assertEquals(off, await kinds(...quick, "--tune=auto"));
    }),
);

gpuTest(
  "prompt: a warning names the prompt that is too long, and the rest",
  () =>
    inFolder(async (folder) => {
      const long = Array.from({ length: 100 }, (_, i) => `hat${i}`).join(" ");
      const { notes } = await made(
        folder,
        "--ref",
        demo,
        ...quick,
        "--negative-prompt",
        long,
        "--prompt=a man",
      );
      assertEquals(notes.length, 1);
      assertMatch(
        notes[0],
        /^Note: The negative prompt is longer than 77 tokens/,
      );
    }),
);
