/**
 * The `parameters` text of AUTOMATIC1111's web UI and similar programs: what they
 * wrote is read, and no text does harm.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { encodeJpeg, encodePng } from "../src/host/codecs/codec.ts";
import { pngChunk } from "../src/host/codecs/png_chunks.ts";
import { chooseModel } from "../src/host/command/model_choice.ts";
import { referenceWarnings } from "../src/host/command/photos.ts";
import { ProgressLines } from "../src/host/progress_lines.ts";
import { concat } from "./support/odd_images.ts";
import { repositoryPath } from "./support/paths.ts";
import { parseImageText } from "../src/host/codecs/image_text.ts";
import { encodeImage } from "../src/host/image_file.ts";
import { anySize, checkSettings } from "../src/options/options.ts";
import {
  fromParameters,
  toParameters,
} from "../src/options/parameters_text.ts";
import { otherProgramWarnings } from "../src/options/other_program_warnings.ts";
import {
  fromText,
  missingWarnings,
  type Recorded,
  toText,
} from "../src/options/settings_text.ts";

const image = {
  width: 16,
  height: 16,
  data: new Uint8ClampedArray(16 * 16 * 4).fill(128),
};

/** What the command makes of an image with such a text, as PNG and as JPEG. */
function recorded(parameters: string): Recorded {
  const png = parseImageText(encodePng(image, { parameters }), "a.png");
  const jpeg = parseImageText(encodeJpeg(image, parameters), "a.png");
  const read = fromText(png.text, "a.png");
  assertEquals(fromText(jpeg.text, "a.png"), read);
  return read;
}

Deno.test("parameters: settings that the web UI writes are repeated", () => {
  const read = recorded(
    `a (smiling:1.2) woman AND <lora:hair:0.5>
red hair, Steps: 3, "snow"
Negative prompt: a hat,
blurry
Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 3718437551, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, VAE: "a: b, c", Clip skip: 2, RNG: CPU, Lora hashes: "hair: 0123, x: 4567", Version: v1.10.1`,
  );
  assertEquals(read, {
    settings: {
      prompt:
        'a (smiling:1.2) woman AND <lora:hair:0.5>\nred hair, Steps: 3, "snow"',
      negativePrompt: "a hat,\nblurry",
      promptSyntax: "a1111",
      clipSkip: 2,
      steps: 25,
      sampler: "DPM++ 2M",
      schedule: "Karras",
      guidanceScale: 7.5,
      seed: 3718437551n,
      width: 512,
      height: 768,
      rng: "torch-cpu",
    },
    provenance: {},
    otherProgram: {
      model: "v1-5-pruned-emaonly",
      modelHash: "6ce0161689",
      unsupported: ["VAE"],
    },
  });
  const warnings = otherProgramWarnings(
    read,
    "a.png",
    "weights/mini",
    new Set(),
  );
  assertEquals(warnings.length, 2);
  assertMatch(
    warnings[0],
    /another program made a\.png, with the model v1-5-pruned-emaonly \(6ce0161689\) and without these references; .* repeated with weights\/mini$/,
  );
  assertMatch(
    warnings[0],
    /; its prompt, negative prompt, clip skip, steps, CFG scale, seed, size, RNG, sampler and schedule are repeated/,
  );
  assertEquals(
    warnings[1],
    "The image will differ: not supported here: VAE; read as plain words: AND",
  );
  // What is typed is neither repeated nor wrong.
  const typed = new Set(["prompt", "negative_prompt", "seed"]);
  const [first, second] = otherProgramWarnings(read, "a.png", "m", typed);
  assertMatch(
    first,
    /; its clip skip, steps, CFG scale, size, RNG, sampler and schedule are repeated/,
  );
  assertMatch(second, /VAE$/);
});

Deno.test("parameters: settings that other programs leave out stay absent", () => {
  const read = recorded(
    "Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 64x64",
  );
  assertEquals(read.otherProgram, {});
  assertEquals(read.settings, {
    prompt: "",
    negativePrompt: "",
    promptSyntax: "a1111",
    steps: 20,
    guidanceScale: 7,
    seed: 1n,
    width: 64,
    height: 64,
  });
  const [warning, ...more] = otherProgramWarnings(
    read,
    "a.png",
    "m",
    new Set(),
  );
  assertMatch(warning, /with a model it does not name and/);
  assertEquals(more, []);
  // Blanks after a colon or at a line's end, and what no value of ours is.
  const odd = recorded(
    'a man\r\nNegative prompt:a hat\r\nSteps:  9 , Sampler: Euler a, CFG scale: 7, RNG: dice, Hashes: {"model":"0a","lora:x":"1,2"}, Size: big\n',
  );
  assertEquals(odd.settings.steps, 9);
  assertEquals(odd.settings.rng, undefined);
  assertEquals(odd.settings.width, undefined);
  assertEquals(odd.settings.negativePrompt?.trim(), "a hat");
  assertEquals(odd.settings.sampler, "Euler a");
  assertEquals(odd.otherProgram, { unsupported: ["RNG"] });
});

Deno.test("parameters: a sampler of another program is repeated where it is known", () => {
  const of = (sampler: string) => {
    const read = recorded(`a\nSteps: 20, ${sampler}, CFG scale: 7, Seed: 1`);
    const { sampler: name, schedule } = read.settings;
    const { sampler: unknown } = read.otherProgram!;
    return [name, schedule, unknown];
  };
  assertEquals(of("Sampler: DPM++ 2M Karras"), [
    "DPM++ 2M Karras",
    undefined,
    undefined,
  ]);
  // The web UI gives this one Karras' schedule by itself.
  const automatic = "Sampler: DPM++ 2M, Schedule type: Automatic";
  assertEquals(of(automatic), ["DPM++ 2M", "Karras", undefined]);
  const plain = "Sampler: Euler, Schedule type: Automatic";
  assertEquals(of(plain), ["Euler", undefined, undefined]);
  const unknown = [undefined, undefined, "Restart"];
  assertEquals(of("Sampler: Restart"), unknown);
  const odd = "Sampler: Euler, Schedule type: KL Optimal";
  assertEquals(of(odd), [undefined, undefined, "Euler"]);
  const [, warning] = otherProgramWarnings(
    recorded("a\nSteps: 20, Sampler: Restart, CFG scale: 7, Seed: 1"),
    "a.png",
    "m",
    new Set(),
  );
  assertMatch(
    warning,
    /sampler Restart, which is not known here; this is DDIM$/,
  );
});

Deno.test("parameters: pairs with our names are not settings of another program", () => {
  const { settings, otherProgram } = recorded(
    'a\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 123, Size: 512x512, steps: 3, seed: 9, prompt: hacked, width: 8, negative prompt: hacked2, guidance scale: 99, software: masterweaver 1, Exact prompts: "[\\"x\\",\\"y\\"]"',
  );
  assertEquals(settings, {
    prompt: "a",
    negativePrompt: "",
    promptSyntax: "a1111",
    steps: 20,
    sampler: "Euler a",
    guidanceScale: 7,
    seed: 123n,
    width: 512,
    height: 512,
  });
  assert(otherProgram?.unsupported?.includes("prompt"));
  // Nor do they replace the real ones in a text that says it is ours.
  const own = recorded(
    "a\nSteps: 20, Seed: 123, Size: 512x512, steps: 3, prompt: hacked, width: 8, id scale: 2, Version: masterweaver 0.1.0",
  );
  assertEquals(own.settings, {
    prompt: "a",
    negativePrompt: "",
    steps: 20,
    seed: 123n,
    width: 512,
    height: 512,
    idScale: 2,
  });
});

Deno.test("parameters: lines are read as the web UI reads them", () => {
  const row = "Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 64x64";
  const words = (text: string) => {
    const { prompt, negativePrompt } = recorded(text).settings;
    return [prompt, negativePrompt];
  };
  const texts: [string, string, string][] = [
    [`a man\r\nNegative prompt: a hat\r\n${row}\r\n`, "a man", "a hat"],
    [`  a man \n  Negative prompt:  a hat  \n${row}`, "a man", "a hat"],
    [
      `a\nNegative prompt: b\nc\nNegative prompt: d\n${row}`,
      "a",
      "b\nc\nd",
    ],
    [`\n\na\n\nb\nNegative prompt:\nc\n${row}\n\n`, "a\n\nb", "c"],
    [row, "", ""],
  ];
  for (const [text, prompt, negative] of texts) {
    assertEquals(words(text), [prompt, negative], text);
  }
});

Deno.test("parameters: what another program's image lacks is named", () => {
  const read = recorded("a\nSteps: 20, Sampler: DDIM, Seed: 1");
  const settings = checkSettings({ prompt: "", ...read.settings }, anySize);
  const used = toText(settings, {
    model: "m",
    modelHash: "0",
    adapterHash: "1",
    dtype: "f16",
    tune: "off",
    parse: true,
    requireFace: false,
    referenceHashes: [],
  });
  const missing = (...typed: string[]) =>
    missingWarnings(read, {}, used, new Set(typed));
  assertEquals(missing(), [
    "The image does not say its guidance_scale, width, height: 5, 512, 512 are used",
  ]);
  assertEquals(missing("guidance_scale", "width", "height"), []);
});

Deno.test("parameters: a text that contradicts our own chunks is reported", () => {
  const text = toText(checkSettings({ prompt: "x\0y\nz \ud800" }, anySize), {
    model: "m",
    modelHash: "0",
    adapterHash: "1",
    dtype: "f16",
    tune: "off",
    parse: true,
    requireFace: false,
    referenceHashes: ["2"],
  });
  const file = (parameters: string) =>
    parseImageText(encodePng(image, { ...text, parameters }), "a.png");
  assertEquals(file(toParameters(text)).warnings, []);
  const edited = file(
    toParameters(text).replace(/Steps: \d+/, "Steps: 7")
      .replace(/Seed: \d+/, "Seed: 8"),
  );
  assertEquals(edited.text.steps, "30");
  assertEquals(edited.warnings, [
    "The text parameters in a.png says another steps, seed than the file's own texts: those are used",
  ]);
});

Deno.test("parameters: no text of an image is obeyed by a terminal", async () => {
  const read = recorded(
    'a\u001b[2J AND\nSteps: 20, Sampler: \x1b[2JEuler, CFG scale: 7, Model: "a\\n\\u001b[31mred\\u0007\\nError: fake", Model hash: \x1b[3m',
  );
  const damaged = inspected("\u009b31m\u202eevil");
  const warnings = [
    ...otherProgramWarnings(read, "a.png", "m", new Set()),
    ...damaged.warnings,
    ...missingWarnings({ settings: {}, provenance: {} }, {}, {
      model: "\x1b[2J\n",
      model_hash: "\x1b[2J\n",
    }, new Set()),
    ...referenceWarnings(["\x1b[2J\n"], ["0"]),
    ...(await chooseModel({
      defaultModel: repositoryPath("weights/mini"),
      recorded: {
        model: "no\n\x1b[2J",
        modelHash: "\x1b[2J\n",
        adapter: "no\n\x1b[2J",
        adapterHash: "\x1b[2J\n",
      },
    })).warnings,
  ];
  assertEquals(warnings.length, 8);
  for (const line of warnings) {
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(line), JSON.stringify(line));
  }
  // Whatever a warning is made from, its line is one line.
  let shown = "";
  using lines = new ProgressLines((text) => shown += text, false);
  lines.warning("a\n\x1b[31mred\x07\r\nError: fake");
  assertEquals(shown, "Note: a \\u001b[31mred\\u0007 Error: fake\n");
});

/** A file with a damaged text of this keyword. */
function inspected(keyword: string) {
  const png = encodePng(image, {});
  const body = Uint8Array.from(
    `${keyword}\0\x01`,
    (c) => c.charCodeAt(0) & 255,
  );
  const bytes = [png.subarray(0, 33), pngChunk("zTXt", body), png.subarray(33)];
  return parseImageText(concat(bytes), "a.png");
}

Deno.test("parameters: they alone repeat our own image completely", () => {
  const settings = checkSettings({
    prompt: 'two\nlines, "quoted": ☃',
    negativePrompt: "Negative prompt: x",
    seed: 2n ** 64n - 1n,
    guidanceRange: [0, 0.5],
  }, anySize);
  const text = toText(settings, {
    model: 'a, "b": c\\d',
    modelHash: "0".repeat(64),
    adapterHash: "1".repeat(64),
    dtype: "f16",
    tune: "off",
    align: true,
    parse: false,
    requireFace: true,
    referenceHashes: ["2".repeat(64), "3".repeat(64)],
  });
  const whole = parseImageText(encodeImage("png", image, text), "a.png").text;
  assertEquals(whole.parameters, toParameters(text));
  const { parameters } = whole;
  const { text: left } = parseImageText(encodePng(image, { parameters }), "a");
  assertEquals(left, text);
  assertEquals(fromText(left, "a"), fromText(whole, "a"));
  assertEquals(fromText(left, "a").otherProgram, undefined);
});

Deno.test("parameters: every value is read back, however it is quoted", () => {
  const values = [
    ...["", " ", "a", "a,b", "a: b", '"', '""', '"a"', "\\", '\\"', 'a"b,"'],
    ...["\n", "a\r\nb", "\t", "☃", "\u2028", "{}", '["a","b"]', "Steps: 3"],
    ...["1x2", "DDIM", "NV", "__proto__", "\ud800"],
  ];
  for (const value of values) {
    for (const key of ["model", "adapter", "reference_hashes"]) {
      const text = { software: "masterweaver 1", steps: "1", [key]: value };
      const expected = { ...text, prompt: "", negative_prompt: "" };
      assertEquals(fromParameters(toParameters(text)), expected, value);
    }
  }
});

Deno.test("parameters: an invalid value is reported with its file", () => {
  const row = "Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 64x64";
  for (
    const [from, to] of [
      ["Steps: 20", "Steps: 0"],
      ["Steps: 20", `Steps: ${"9".repeat(400)}`],
      ["CFG scale: 7", "CFG scale: many"],
      ["CFG scale: 7", "CFG scale: -1"],
      ["Seed: 1", "Seed: 1e9"],
      ["Seed: 1", `Seed: ${"9".repeat(30_000)}`],
    ]
  ) {
    const error = assertThrows(
      () => recorded(row.replace(from, to)),
      MasterWeaverError,
      "The settings in a.png are not valid: ",
    );
    assertEquals(error.code, "bad-image");
    assert(error.message.length < 300, error.message);
    const given = to.replace(/.*: /, "").slice(0, 40);
    assert(error.message.includes(given), error.message);
  }
});

/** Small pseudo-random numbers, the same every time. */
function* numbers(seed: number): Generator<number> {
  for (;;) yield seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
}

Deno.test("parameters: hostile texts are read in short time, or refused", () => {
  const bits = [
    ...["Steps: ", "20", "Steps: 3", ", ", ":", '"', "\\", "\n", "Size: 1x1"],
    ...["Negative prompt:", "Sampler: ", "a", " ", '"a, b"', "RNG: CPU", "☃"],
    ...["Exact prompts: [1,2]", "Exact prompts: [[[", "__proto__: 1", "\0"],
    ...["CFG scale: 5, Seed: 1", "Version: masterweaver 0.1.0, ", "\ud800"],
  ];
  const random = numbers(7);
  const read = (parameters: string) => {
    const text = fromParameters(parameters);
    for (const said of [{ parameters }, text]) {
      try {
        checkSettings({ prompt: "", ...fromText(said, "a").settings }, anySize);
      } catch (error) {
        assert(error instanceof MasterWeaverError, String(error));
      }
    }
    if (parameters.length < 1000) toParameters(text);
  };
  for (let i = 0; i < 3000; i++) {
    const length = random.next().value! % 24;
    const parts = Array.from(
      { length },
      () => bits[(random.next().value! >>> 8) % bits.length],
    );
    read(parts.join(""));
  }
  const started = performance.now();
  for (const bit of [...bits, 'a: "', "a: \\", '"\\",a:', "a:,", "[", ",,"]) {
    read(bit.repeat(60_000 / bit.length));
    read(`Steps: 3, Seed: 5, Size: 8x8, ${bit.repeat(60_000 / bit.length)}`);
    read(bit.repeat(3e6 / bit.length));
  }
  const seconds = (performance.now() - started) / 1000;
  assert(seconds < 10, `${seconds} s`);
});
