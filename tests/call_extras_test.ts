/**
 * The extra files of a call: opened by path or by name alone, left out where that is
 * asked for, an error where it is not.
 */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { openCallExtras } from "../src/host/call_extras.ts";
import {
  type ControlChoice,
  controlChoices,
} from "../src/options/control_choices.ts";
import { checkSettings } from "../src/options/options.ts";
import type { Settings } from "../src/options/settings.ts";
import { controlNetBytes } from "./support/control_nets.ts";
import { inFolder } from "./support/file_systems.ts";
import { caseFile } from "./support/loras.ts";

/** A call's settings. */
function settings(given: Partial<Settings>): Settings {
  return checkSettings({ prompt: "", ...given }, { own: 64, multiple: 4 });
}

Deno.test("call extras: every kind by name, with what an image records", () =>
  inFolder(async (model) => {
    const files: readonly (readonly [string, Uint8Array])[] = [
      ["loras/film.safetensors", caseFile("kohya")],
      ["loras/other.safetensors", caseFile("loha")],
      ["embeddings/badly.pt", new Uint8Array(9)],
      ["embeddings/unasked.pt", new Uint8Array(9)],
      ["upscalers/sharp.weave", new Uint8Array(9)],
      ["controlnets/edges.weave", await controlNetBytes(1)],
    ];
    for (const [path, bytes] of files) {
      const folder = path.slice(0, path.indexOf("/"));
      await Deno.mkdir(`${model}/${folder}`, { recursive: true });
      await Deno.writeFile(`${model}/${path}`, bytes);
    }
    const asked = settings({
      prompt: "snow <lora:other:0.5> <lora:gone:1>",
      negativePrompt: "badly",
      promptSyntax: "a1111",
      lora: "film=0.75",
      upscale: "sharp",
    });
    const controls: ControlChoice[] = [{ name: "edges", scale: 0.5, end: 0.6 }];
    {
      await using extras = await openCallExtras(
        { settings: asked, controls },
        { model },
        { names: "names" },
      );
      assertEquals(extras.settings, asked);
      assertEquals(extras.loras.map(({ scale }) => scale), [0.75]);
      assertEquals(Object.keys(extras.promptLoras), ["other"]);
      assertEquals(Object.keys(extras.embeddings ?? {}), ["badly"]);
      assertEquals(Object.keys(extras.upscalers), ["sharp"]);
      const [{ net, ...how }] = extras.controls;
      assertEquals(how, { scale: 0.5, end: 0.6 });
      assertEquals(extras.hashes.controlnetHashes, [net.hash]);
      const names = extras.hashes.loraHashes?.replace(/: [0-9a-f]{12}/g, "");
      assertEquals(names, "film, other");
      assertEquals(extras.hashes.embeddingHashes, "badly: 3e7077fd2f66");
      assertEquals(extras.warnings, []);
    }
    await using plain = await openCallExtras(
      { settings: settings({ prompt: "<lora:other:1> badly" }), controls: [] },
      { model },
      { names: "paths" },
    );
    assertEquals(plain.promptLoras, {});
    assertEquals(plain.embeddings, undefined);
    assertEquals(plain.hashes, {});
    const byPath = {
      settings: settings({ lora: `${model}/loras/film.safetensors` }),
      controls: [],
    };
    const places = { model };
    await using found = await openCallExtras(byPath, places, {
      names: "paths",
    });
    assertEquals(found.loras.length, 1);
    await assertRejects(
      () => openCallExtras(byPath, places, { names: "names" }),
      MasterWeaverError,
      "Found no LoRA",
    );
  }));

Deno.test("call extras: what is missing is an error, or left out with all that needs it", () =>
  inFolder(async (model) => {
    await Deno.mkdir(`${model}/loras`);
    const file = caseFile("kohya");
    await Deno.writeFile(`${model}/loras/film.safetensors`, file);
    const asked = settings({
      lora: "gone=1;film=0.5",
      upscale: "sharp",
      upscaleBy: 2,
      hiresScale: 2,
      hiresUpscaler: "sharp",
    });
    const call = { settings: asked, controls: [{ name: "edges" }] };
    const error = await assertRejects(
      () => openCallExtras(call, { model }, { names: "paths" }),
      MasterWeaverError,
      "Found no ControlNet edges in",
    );
    assertEquals(error.code, "bad-option");
    await using left = await openCallExtras(call, { model }, {
      names: "paths",
      leaveOut: ["controlnets", "loras", "upscalers"],
    });
    const { lora, upscale, upscaleBy, hiresScale } = left.settings;
    assertEquals(lora, "film=0.5");
    assertEquals([upscale, upscaleBy, hiresScale], Array(3).fill(undefined));
    assertEquals(left.controls, []);
    assertEquals(
      left.warnings.map((line) => line.slice(0, line.indexOf(" in /"))),
      [
        "The image will differ: it was made with a ControlNet that cannot be used. Found no ControlNet edges",
        "The image will differ: Found no upscaler sharp",
        "The image will differ: Found no LoRA gone",
      ],
    );
  }));

Deno.test("call extras: a checkpoint in the place of a converted file is named as one", () =>
  inFolder(async (model) => {
    await Deno.mkdir(`${model}/loras`);
    await Deno.writeFile(`${model}/loras/film.safetensors`, caseFile("kohya"));
    await Deno.writeFile(`${model}/old.pth`, Uint8Array.of(0x80, 2, 0x8a));
    const cases = [
      [`${model}/loras/film.safetensors`, "a checkpoint"],
      [`${model}/old.pth`, "a checkpoint"],
      [`${model}/loras`, "a folder"],
    ];
    for (const [name, what] of cases) {
      const says =
        `Cannot use ${name}: it is ${what}, expected a .weave file; convert it first with tools/convert.ts`;
      for (
        const call of [
          { settings: settings({}), controls: [{ name }] },
          { settings: settings({ upscale: name }), controls: [] },
        ]
      ) {
        await assertRejects(
          () => openCallExtras(call, { model }, { names: "paths" }),
          MasterWeaverError,
          says,
        );
      }
    }
  }));

Deno.test("call extras: others are not told where files are", () =>
  inFolder(async (model) => {
    await Deno.mkdir(`${model}/loras`);
    await Deno.writeTextFile(`${model}/loras/film.safetensors`, "no LoRA");
    const call = { settings: settings({ lora: "film" }), controls: [] };
    const error = await assertRejects(
      () =>
        openCallExtras(call, { model, hidden: true }, {
          names: "names",
        }),
      MasterWeaverError,
      "film.safetensors",
    );
    assertEquals(error.message.includes(model), false, error.message);
  }));

Deno.test("ControlNets: a list has one value for all, or one for each", () => {
  const controlnet = ["a", "b"];
  assertEquals(controlChoices({}), []);
  assertEquals(controlChoices({ controlnet }), [{ name: "a" }, { name: "b" }]);
  assertEquals(
    controlChoices({
      controlnet,
      controlScale: [0.5],
      controlRange: [[0, 0.5], [0.5, 1]],
      controlPreprocess: ["canny"],
    }),
    [
      { name: "a", scale: 0.5, start: 0, end: 0.5, preprocess: "canny" },
      { name: "b", scale: 0.5, start: 0.5, end: 1, preprocess: "canny" },
    ],
  );
  const error = assertThrows(
    () => controlChoices({ controlnet, controlScale: [1, 1, 1] }),
    MasterWeaverError,
    "Option controlScale takes one value, or one for each ControlNet, got 3 for 2",
  );
  assertEquals(error.code, "bad-option");
});
