/**
 * The table of options: everything generated from it agrees, and what an image
 * file says about how it was made is repeated.
 */
import { assert, assertEquals } from "@std/assert";
import { encodeImage } from "../src/host/image_file.ts";
import { readFlags } from "../src/host/command/flags.ts";
import {
  identityChoices,
  readTask,
  type Task,
} from "../src/host/command/task.ts";
import { usage } from "../src/host/command/usage.ts";
import {
  anySize,
  checkSettings,
  defaultSettings,
} from "../src/options/options.ts";
import { optionsSchema } from "../src/options/schema.ts";
import type {
  CommandChoices,
  IdentityChoices,
  LoadChoices,
  Settings,
} from "../src/options/settings.ts";
import { type Provenance, toText } from "../src/options/settings_text.ts";
import { type OptionName, options, table } from "../src/options/table.ts";
import { withOptions } from "../tools/readme.ts";
import { inFolder } from "./support/file_systems.ts";
import { repositoryPath } from "./support/paths.ts";

type Values = Settings & IdentityChoices & LoadChoices & CommandChoices;

/** Of each option a value that is not its default. */
const others: { readonly [N in OptionName]: Values[N] } = {
  ref: ["b.png"],
  prompt: 'a man, "x": y\nNegative prompt: ☃',
  negativePrompt: "a hat",
  promptSyntax: "a1111",
  clipSkip: 2,
  model: "models/other",
  adapter: "other.weave",
  taesd: "tiny.weave",
  extras: "more",
  steps: 7,
  guidanceScale: 2.5,
  sampler: "DPM++ 2M Karras",
  schedule: "Karras",
  eta: 0.5,
  guidanceRescale: 0.75,
  idScale: 0.25,
  seed: -(2n ** 63n),
  numImages: 3,
  width: 64,
  height: 96,
  rng: "torch-cpu",
  cudaThreads: 40960,
  initImage: "init.png",
  strength: 0.5,
  initLatents: "mean",
  mask: "mask.png",
  maskFill: "noise",
  maskBlur: 4,
  maskPaste: false,
  onlyMasked: true,
  maskPadding: 8,
  outpaint: "left=64,top=32",
  dtype: "f32",
  keepLoaded: true,
  tune: "off",
  output: "b.png",
  saveReferences: true,
  align: false,
  parse: false,
  face: 2,
  requireFace: true,
  fit: "pad",
  reuseFeatures: 2,
  guidanceRange: [0.1, 0.75],
  mergeTokens: 0.25,
  lora: "style=0.8:1,0.5;film=-0.3/0.2",
  controlnet: ["canny", "nets/face.weave"],
  controlImage: ["edges.png"],
  controlScale: [0.75, -0.5],
  controlRange: [[0, 0.5], [0.25, 1]],
  controlPreprocess: ["none", "face"],
  guessMode: true,
  decoder: "taesd",
  vaeTiling: "on",
  hiresScale: 1.5,
  hiresWidth: 96,
  hiresHeight: 128,
  hiresUpscaler: "4x",
  hiresStrength: 0.5,
  hiresSteps: 12,
  upscale: "lanczos",
  upscaleBy: 3,
  fromImage: "b.png",
  json: true,
  quiet: true,
  help: true,
  version: true,
};

const provenance: Provenance = {
  model: "weights/mini",
  modelHash: "m",
  adapterHash: "a",
  dtype: "f16",
  tune: "auto",
  parse: true,
  requireFace: false,
  referenceHashes: ["r"],
};

/** An image with these settings, repeated by the command. */
async function repeated(
  format: "png" | "jpeg",
  value: Partial<Values>,
  typed: readonly string[] = [],
): Promise<Task> {
  const settings = checkSettings(
    { prompt: "", width: 64, height: 64 },
    anySize,
  );
  const text = toText({ ...settings, ...value }, { ...provenance, ...value });
  const data = new Uint8ClampedArray(16 * 16 * 4);
  const bytes = encodeImage(format, { width: 16, height: 16, data }, text);
  let task: Task | undefined;
  await inFolder(async (folder) => {
    const path = `${folder}/a.${format}`;
    await Deno.writeFile(path, bytes);
    const where = [`--from-image=${path}`, `--output=${folder}/b-%.png`];
    // Settings that need an initial image or a mask are repeated with one alone, those
    // of a second pass without.
    const isSecondPass = Object.keys(value).some((name) => /^hires/.test(name));
    const starts = (["init-image", "mask"] as const)
      .filter(() => !isSecondPass)
      .filter((flag) => !typed.some((word) => word.startsWith(`--${flag}=`)))
      .filter((flag) =>
        flag === "mask" ? !("mask" in value) : !("initImage" in value)
      )
      .filter((flag) => flag === "init-image" || !("initImage" in value))
      .map((flag) => `--${flag}=${flag}.png`);
    const words = ["--ref=a.png", ...where, ...starts, ...typed];
    task = await readTask(readFlags(words));
  });
  return task!;
}

/** What the command makes of a task, by option. */
function effective(task: Task): Readonly<Record<string, unknown>> {
  const { flags, recorded } = task;
  const made = { ...recorded.provenance, ...task.settings };
  const looks = Object.entries(identityChoices(task));
  const given = Object.entries(flags).filter(([, value]) =>
    value !== undefined
  );
  return { ...made, ...Object.fromEntries([...given, ...looks]) };
}

const keyed = options.filter(({ key }) => key !== undefined);

Deno.test("options: each has a key if it makes the image, or belongs to the call alone", () => {
  const without = options.filter(({ key }) => key === undefined);
  assertEquals(without.map(({ name }) => name), [
    ...["ref", "extras", "keepLoaded", "output", "saveReferences"],
    "controlImage",
    ...["fromImage", "json", "quiet", "help", "version"],
  ]);
  const keys = keyed.map(({ key }) => key);
  assertEquals(new Set(keys).size, keys.length);
});

for (const format of ["png", "jpeg"] as const) {
  Deno.test(`options: what a ${format} records is repeated, and flags override it`, async () => {
    for (const { name, flag, type } of keyed) {
      const value = others[name];
      const isSeed = typeof value === "bigint";
      assert(String(value) !== String(table[name].default), name);
      const task = await repeated(format, { [name]: value });
      assertEquals(effective(task)[name], value, name);

      // A flag overrides the image's value.
      const typed = type.form === "pair"
        ? value ? `--${flag}` : `--no-${flag}`
        : `--${flag}=${value}`;
      const over = await repeated(format, {}, [typed]);
      const same = isSeed ? value : type.parse(String(value));
      assertEquals(effective(over)[name], same, name);
    }
  });
}

Deno.test("options: the command reads what String writes", () => {
  for (const { name, type } of options) {
    const value = others[name];
    const read = type.parse(String(value));
    assertEquals(read, value, name);
    assertEquals(type.fault(value), undefined, name);
    for (const wrong of [null, {}, NaN, -1.5, [-1]]) {
      assert(
        type.fault(wrong) !== undefined || name === "width" ||
          name === "height" ||
          // A ControlNet's scale may be negative.
          (name === "controlScale" && Array.isArray(wrong)),
        name,
      );
    }
  }
});

Deno.test("options: defaults are of their type, and the library's", () => {
  for (const { name, type, default: value } of options) {
    if (value !== undefined) assertEquals(type.fault(value), undefined, name);
  }
  assertEquals(
    Object.keys(defaultSettings).length,
    14,
    "settings with a default: count a new one here",
  );
  assertEquals([defaultSettings.steps, defaultSettings.seed], [30, 42]);
});

Deno.test("options: --help names each, within 80 columns", () => {
  const text = usage("npx masterweaver-webgpu");
  for (const { flag, help, libraryOnly } of options) {
    assertEquals(text.includes(`--${flag}`), !libraryOnly, flag);
    const [word] = help.split(" ");
    assert(libraryOnly || text.includes(word), flag);
  }
  assertEquals(text.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("options: README's table is generated from them", async () => {
  const readme = await Deno.readTextFile(repositoryPath("README.md"));
  assert(readme.includes("| `--steps N` |"));
  assert(withOptions(readme) === readme, "run `deno task readme`");
  const torn = readme.replace("| `--steps N` |", "| `--stepz N` |");
  assertEquals(withOptions(torn), readme);
});

/** As much of JSON Schema as the options use. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
}

/** Whether a value is what a schema says. */
function fits(value: unknown, schema: Schema): boolean {
  const { anyOf, enum: words, type, minimum, maximum, multipleOf } = schema;
  if (anyOf) return anyOf.some((one) => fits(value, one));
  if (words) return words.includes(value);
  if (type === "array") return Array.isArray(value) && value.length === 2;
  if (type === "string" && schema.pattern !== undefined) {
    return typeof value === "string" && new RegExp(schema.pattern).test(value);
  }
  if (type === "boolean") return typeof value === "boolean";
  if (type === "string") return typeof value === "string";
  return typeof value === "number" &&
    (type === "number" || Number.isInteger(value)) &&
    value >= (minimum ?? -Infinity) && value <= (maximum ?? Infinity) &&
    (multipleOf === undefined || value % multipleOf === 0);
}

Deno.test("options: the schema describes what the library accepts", () => {
  const size = { own: 512, multiple: 8 };
  const schema = optionsSchema(size);
  assertEquals(JSON.parse(JSON.stringify(schema)), schema);
  assertEquals(schema.required, ["prompt"]);
  const properties: Readonly<Record<string, Schema>> = schema.properties;
  const expected = options.filter(({ group }) =>
    group === "image" || group === "identity"
  );
  assertEquals(
    Object.keys(properties),
    expected.map(({ name }) => name),
  );
  const values = ["", "crop", "best", true, 0, 1, -1, 0.5, 64, 68, 256, 2048];
  values.push(1000, 1001, 2056, 16, 17, 100, 2 ** 24, 2 ** 24 + 256, 2 ** 60);
  for (const { name, group, type } of expected) {
    const own = properties[name];
    assert(own.description, name);
    const fallback = own.default;
    if (fallback !== undefined) assert(fits(fallback, own), name);
    for (const value of values) {
      const given = { prompt: "", [name]: value };
      const isTaken = group === "identity"
        ? type.fault(value) === undefined
        : !throws(() => checkSettings(given, size));
      const isText = name === "seed" && typeof value === "string";
      assert(isText || fits(value, own) === isTaken, `${name}: ${value}`);
    }
  }
  const { width } = optionsSchema().properties;
  assertEquals([width.minimum, width.default], [1, undefined]);
  const { mergeTokens, seed } = properties;
  assert(!fits(0.76, mergeTokens) && fits(0.75, mergeTokens));
  assert(fits("-9223372036854775808", seed) && !fits("1.5", seed));
});

function throws(work: () => void): boolean {
  try {
    work();
    return false;
  } catch {
    return true;
  }
}
