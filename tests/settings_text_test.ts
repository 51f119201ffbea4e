/**
 * What an image says about how it was made: text chunks, the one text of a JPEG's
 * comment, and back.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { anySize, checkSettings } from "../src/options/options.ts";
import {
  fromParameters,
  toParameters,
} from "../src/options/parameters_text.ts";
import {
  fromText,
  type Provenance,
  toText,
} from "../src/options/settings_text.ts";

const provenance: Provenance = {
  model: "models/mine, the second",
  modelHash: "0123456789abcdef".repeat(4),
  adapter: 'ada"pter.weave',
  adapterHash: "fedcba9876543210".repeat(4),
  dtype: "f32",
  tune: "off",
  align: false,
  parse: false,
  face: 2,
  requireFace: true,
  referenceHashes: ["aa", "bb"],
  controlnet: ["canny", "nets/face.weave"],
  controlScale: [0.5, -1],
  controlRange: [[0, 0.5], [0, 1]],
  controlPreprocess: ["canny"],
  embeddingHashes: "badly: 0123",
  controlnetHashes: ["cc", "dd"],
  controlImageHashes: ["ee", "ff"],
};

const settings = checkSettings({
  prompt: "a man",
  negativePrompt: "a hat",
  promptSyntax: "a1111",
  clipSkip: 2,
  seed: -1n,
  steps: 7,
  numImages: 3,
  width: 64,
  height: 96,
  rng: "torch-cpu",
  guidanceRange: [0.1, 0.75],
  mergeTokens: 0.25,
  guessMode: true,
}, anySize);

Deno.test("settings: everything that made an image is read back", () => {
  const text = toText(settings, provenance);
  assertEquals(fromText(text, "a.png"), { settings, provenance });
  // What was not asked for is not made up.
  const { align: _, face: _f, adapter: _a, ...plain } = provenance;
  const back = fromText(toText(settings, plain), "a.png");
  assertEquals(back.provenance, plain);
  for (const choice of ["largest", "best", [0, "largest", 12]] as const) {
    const again = fromText(
      toText(settings, { ...provenance, face: choice }),
      "a",
    );
    assertEquals(again.provenance.face, choice);
  }
  // Images of version 0.1.0 say less.
  const { settings: older, provenance: nothing } = fromText(
    { software: "masterweaver 0.1.0", prompt: "x", steps: "3" },
    "a.png",
  );
  assertEquals([older, nothing], [{ prompt: "x", steps: 3 }, {}]);
});

Deno.test("settings: invalid ones are reported with their file", () => {
  const text = toText(settings, provenance);
  const broken: [string, string][] = [
    ["steps", "many"],
    ["steps", "5000"],
    ["rng", "dice"],
    ["dtype", "f64"],
    ["tune", "maybe"],
    ["align", "perhaps"],
    ["face", "left"],
    ["face", "0,,1"],
    ["seed", "1.5"],
  ];
  for (const [key, value] of broken) {
    const error = assertThrows(
      () => fromText({ ...text, [key]: value }, "a.png"),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-image");
    assertMatch(error.message, /^The settings in a\.png are not valid: /);
    assert(error.message.includes(value), error.message);
  }
});

Deno.test("parameters: written as AUTOMATIC1111's web UI writes them", () => {
  const text = toText(settings, provenance);
  const lines = toParameters(text).split("\n");
  assertEquals(lines.slice(0, 2), ["a man", "Negative prompt: a hat"]);
  // Its order of names, and its names of the generators of noise.
  assertMatch(
    lines[2],
    /^Steps: 7, Sampler: DDIM, CFG scale: 5, Seed: -1, Size: 64x96, Model hash: 0123/,
  );
  assertMatch(lines[2], /, Model: "models\/mine, the second", RNG: CPU, /);
  assertMatch(lines[2], /, Version: masterweaver [\d.]+$/);
  assertEquals(lines.length, 3);
  // Without a prompt there is no line of it.
  const bare = toText({ ...settings, prompt: "", negativePrompt: "" }, {
    ...provenance,
  });
  assertMatch(toParameters(bare), /^Steps: 7, .*$/);
});

Deno.test("parameters: any prompt is read back", () => {
  const prompts = [
    "",
    "a man",
    "two\nlines",
    "Negative prompt: inside",
    "x\nNegative prompt: inside\nSteps: 3, Seed: 5",
    '"quoted", and: so on',
    "ends with\n",
    "\n\n",
    " spaces ",
    "☃ snow\ttab\r\nwindows",
    "Steps: 9, Exact prompts: 3",
  ];
  for (const prompt of prompts) {
    for (const negative of prompts) {
      const words = { ...settings, prompt, negativePrompt: negative };
      const text = toText(words, provenance);
      assertEquals(fromParameters(toParameters(text)), text);
    }
  }
});

Deno.test("parameters: other texts are not settings, and do no harm", () => {
  for (const text of ["", "hello", "\n\n\n", "Steps: , Size: x", '"": "\\']) {
    assertThrows(
      () => fromText(fromParameters(text), "a.jpg"),
      MasterWeaverError,
      "carries no settings",
    );
  }
});
