/**
 * What bad input gets: one clear line, exit code 1 (2 for wrong usage), and
 * nothing written.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage, writePng } from "../src/host/files.ts";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import { command } from "./support/command.ts";
import { changedModel, withHeader } from "./support/model_folder.ts";
import { concat, pngHeader } from "./support/odd_images.ts";
import { repositoryPath } from "./support/paths.ts";

const demo = repositoryPath("weights/mini/demo.png");

/** A row of the table; `folder` is empty at first and the process' own. */
interface Case {
  /** What is wrong. */
  readonly what: string;
  /** Makes what is needed in the folder; returns the arguments. */
  readonly args: (folder: string) => string[] | Promise<string[]>;
  /** What the line must say. */
  readonly says: RegExp;
  /** 1 where not given. */
  readonly code?: number;
  /** Lines before it; none where not given. */
  readonly notes?: number;
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>;
}

const withDemo = (...args: string[]) => () => ["--ref", demo, ...args];

/** A photo file with these bytes. */
const photo = (bytes: Uint8Array) => async (folder: string) => {
  await Deno.writeFile(`${folder}/photo.png`, bytes);
  return ["--ref", "photo.png"];
};

/** The mini model with a changed file. */
const model = (
  ...change: Parameters<typeof changedModel> extends [unknown, ...infer Rest]
    ? Rest
    : never
) =>
async (folder: string) => [
  "--ref",
  demo,
  "--model",
  await changedModel(folder, ...change),
];

/** The mini model with another header in the adapter's file. */
const header = (
  ...[change]: Parameters<typeof withHeader> extends [unknown, infer Change]
    ? [Change]
    : never
) => model("identity_adapter.weave", (bytes) => withHeader(bytes, change));

const PROJ = "id_encoder.proj_in.weight";

const png = (width: number, height: number) =>
  concat([Uint8Array.from(PNG_SIGNATURE), pngHeader(width, height, 8, 2)]);

const demoBytes = await Deno.readFile(demo);

const usage: readonly Case[] = [
  {
    what: "an unknown option",
    args: withDemo("--stepz", "3"),
    says: /--stepz.*--help/,
  },
  { what: "no photo", args: () => ["--prompt", "a man"], says: /--ref FILE/ },
  {
    what: "an image to repeat, without its photos",
    args: () => ["--from-image", demo],
    says: /does not hold its reference photos: give them with --ref FILE/,
  },
  {
    what: "a word that belongs to no option",
    args: withDemo("beach"),
    says: /beach/,
  },
  { what: "an option without its value", args: () => ["--ref"], says: /--ref/ },
  {
    what: "steps that are no number",
    args: withDemo("--steps", "many"),
    says: /--steps takes a number, got many/,
  },
  {
    what: "a broken seed",
    args: withDemo("--seed", "1.5"),
    says: /--seed takes a whole number, got 1\.5/,
  },
  {
    what: "a face that is no number",
    args: withDemo("--face", "left"),
    says:
      /--face takes a number from 0, best or largest, or a list of these such as 0,best, got left/,
  },
  {
    what: "an unknown way to tune",
    args: withDemo("--tune", "maybe"),
    says: /--tune must be auto, off or force, got maybe/,
  },
  {
    what: "features reused for no step",
    args: withDemo("--reuse-features", "0"),
    says: /--reuse-features must be a whole number in 1\.\.1000, got 0/,
  },
  {
    what: "more merged tokens than can be",
    args: withDemo("--merge-tokens", "0.9"),
    says: /--merge-tokens must be a number in 0\.\.0\.75, got 0\.9/,
  },
  {
    what: "a range of guidance that is no range",
    args: withDemo("--guidance-range", "half"),
    says: /--guidance-range takes two numbers, such as 0,0\.5, got half/,
  },
  {
    what: "a range of guidance beyond the last step",
    args: withDemo("--guidance-range", "0.5,2"),
    says:
      /--guidance-range must be two rising fractions .* 0\.\.1.* got 0\.5,2/,
  },
  ...[
    ["--output", "a.webp", /--output takes a \.png or \.jpg .* got a\.webp/],
    ["--output", "b/c.TIFF", /--output takes .* got b\/c\.TIFF: \.tiff is not/],
    ["--output", "", /--output needs a path, got ""/],
    ["--model", "", /--model needs a path, got ""/],
    ["--seed", "18446744073709551616", /--seed must be .* got 18446744073709/],
    ["--seed", "-9223372036854775809", /--seed must be .* got -92233720368547/],
    ["--width", "127", /--width must be a multiple of 4, got 127/],
    ["--steps", "", /--steps takes a number, got ""/],
    ["--steps", "--quiet", /--steps needs a value, got the option --quiet/],
    ["--face", "7", /Cannot take face 7: the photo has 1/],
    ["--width", "1000000", /--width .* 32\.\.2048, got 1000000;/],
    ["--width", "8", /--width must be a whole number in 32\.\.2048, got 8;/],
    ["--width", "0", /--width must be a whole number in 32\.\.2048, got 0;/],
    ["--face", "100", /Cannot take face 100: the photo has 1.*--face/],
    ["--face", "1000", /Cannot take face 1000: the photo has 1.*--face/],
    ["--output", "./.webp", /--output takes .* got \.\/\.webp: \.webp is not/],
    ["--guidance_scale", "3", /--guidance_scale .* mean --guidance-scale\?/],
    ["-x", "3", /Option -x is unknown/],
  ].map(([flag, value, says]) => ({
    what: `${flag} ${value || '""'}`,
    args: withDemo(flag as string, value as string),
    says: says as RegExp,
  })),
  {
    what: "a value where none belongs",
    args: withDemo("--json=yes"),
    says: /--json takes no value, got yes/,
  },
  {
    what: "an image and JSON on one stream",
    args: withDemo("--output", "-", "--json"),
    says: /--output - or --json, not both/,
  },
  {
    what: "several images on one stream",
    args: withDemo("--output=-", "--num-images=2"),
    says: /--output - takes one image, got --num-images 2/,
  },
  {
    what: "references beside a stream",
    args: withDemo("--output=-", "--save-references"),
    says: /--save-references writes files beside the output, got --output -/,
  },
  {
    what: "--align and --no-align",
    args: withDemo("--align", "--no-align"),
    says: /not both/,
  },
  {
    what: "0 steps",
    args: withDemo("--steps", "0"),
    says: /--steps must be a whole number in 1\.\.1000, got 0/,
  },
  {
    what: "1001 steps",
    args: withDemo("--steps", "1001"),
    says: /--steps .* got 1001/,
  },
  {
    what: "a width that is no multiple",
    args: withDemo("--width", "130"),
    says: /--width must be a multiple of 4, got 130/,
  },
  {
    what: "a height below the least",
    args: withDemo("--height", "4"),
    says: /--height must be a whole number in \d+\.\.\d+, got 4/,
  },
  {
    what: "17 pictures",
    args: withDemo("--num-images", "17"),
    says: /--num-images .* got 17/,
  },
  {
    what: "an unknown generator",
    args: withDemo("--rng", "dice"),
    says: /--rng must be torch-cuda or torch-cpu, got dice/,
  },
  {
    what: "an unknown dtype",
    args: withDemo("--dtype", "f64"),
    says: /--dtype must be f16 or f32, got f64/,
  },
  {
    what: "a negative scale",
    args: withDemo("--id-scale=-1"),
    says: /--id-scale must be a number in 0\.\.10, got -1/,
  },
  {
    what: "four photos",
    args: () => [demo, demo, demo, demo].flatMap((ref) => ["--ref", ref]),
    says: /--ref takes 1 to 3 photos, got 4/,
  },
].map((row) => ({ ...row, code: 2 }));

const options: readonly Case[] = [
  {
    what: "an output in a folder that is not there",
    args: withDemo("--output", "nowhere/a.png"),
    says: /Cannot write nowhere\/a\.png: no such file or folder/,
  },
  {
    what: "an output that is a folder",
    args: (folder) => ["--ref", demo, "--output", folder],
    says: /it is a folder/,
  },
  {
    what: "an output over a reference",
    args: async (folder) => {
      await Deno.writeFile(`${folder}/me.png`, demoBytes);
      return ["--ref", "me.png", "--output", "./me.png"];
    },
    code: 2,
    says: /Cannot write \.\/me\.png: it is a reference photo/,
  },
  {
    what: "an output over a reference's other name",
    args: async (folder) => {
      await Deno.writeFile(`${folder}/me.png`, demoBytes);
      await Deno.link(`${folder}/me.png`, `${folder}/you.png`);
      return ["--ref", "me.png", "--output", "you.png"];
    },
    code: 2,
    says: /Cannot write you\.png: it is a reference photo/,
  },
  {
    what: "settings of a picture that has none",
    args: withDemo("--from-image", demo),
    says: /carries no settings/,
  },
  {
    what: "an image's width that the model cannot have",
    args: async (folder) => {
      const text = { software: "masterweaver 0.1.0", width: "36", height: "8" };
      const image = await readImage(demo);
      await writePng(`${folder}/a.png`, image, text);
      return ["--ref", demo, "--from-image=a.png"];
    },
    says:
      /The settings in a\.png cannot be used here: Option height must be a whole number in 32\.\.2048, got 8$/,
  },
  {
    what: "an image's face that the photo has not",
    args: async (folder) => {
      const text = { software: "masterweaver 0.1.0", face: "7" };
      await writePng(`${folder}/a.png`, await readImage(demo), text);
      return ["--ref", demo, "--from-image=a.png"];
    },
    says: /The settings in a\.png cannot be used here: .*Cannot take face 7/,
    notes: 1,
  },
  {
    what: "no file at all to repeat",
    args: withDemo("--from-image", "/dev/null"),
    says: /Cannot repeat \/dev\/null: it is (empty|no file)|Cannot read/,
  },
  {
    what: "no adapter",
    args: withDemo(),
    // A backend that this system does not have.
    env: {
      DENO_WEBGPU_BACKEND: Deno.build.os === "windows" ? "metal" : "dx12",
    },
    says: /Found no WebGPU adapter: .*tools\/setup\.sh/,
  },
];

const photos: readonly Case[] = [
  {
    what: "a photo that is not there",
    args: () => ["--ref", "nobody.png"],
    says: /Cannot read nobody\.png: no such file/,
  },
  {
    what: "a photo that is a folder",
    args: (folder) => ["--ref", folder],
    says: /Cannot read/,
  },
  {
    what: "a photo of zero bytes",
    args: photo(new Uint8Array()),
    says: /photo\.png is empty/,
  },
  {
    what: "a text as photo",
    args: photo(new TextEncoder().encode("a photo, honestly")),
    says: /photo\.png is not a PNG or JPEG/,
  },
  {
    what: "a truncated photo",
    args: photo(demoBytes.subarray(0, 1000)),
    says: /photo\.png .*(cut|ends|truncated)/,
  },
  {
    what: "a photo of one pixel",
    args: photo(png(1, 1)),
    says: /photo\.png .*1.?[x×].?1/,
  },
  {
    what: "a photo of 20,000 pixels a side",
    args: photo(png(20_000, 20_000)),
    says: /photo\.png .*20000/,
  },
];

const faces: readonly Case[] = [
  {
    what: "a photo without a face, where one is required",
    args: () => [
      "--ref",
      repositoryPath("tests/goldens/face/coffee_no_face.png"),
      "--require-face",
    ],
    says: /Reference 1: No face found: give a photo/,
  },
];

const models: readonly Case[] = [
  {
    what: "a model folder that is not there",
    args: withDemo("--model", "nowhere"),
    says: /Cannot read nowhere: no such file or folder/,
  },
  {
    what: "a model folder that is empty",
    args: (folder) => ["--ref", demo, "--model", folder],
    says: /unet\.weave, .* missing; convert/,
  },
  {
    what: "a model without its UNet",
    args: model("unet.weave", () => null),
    says: /Cannot use .*: unet\.weave missing/,
  },
  {
    what: "a truncated component",
    args: model("vae.weave", (bytes) => bytes.subarray(0, bytes.length - 9999)),
    says: /vae\.weave.* the file /,
  },
  {
    what: "an empty component",
    args: model("vae.weave", () => new Uint8Array()),
    says: /vae\.weave/,
  },
  {
    what: "another version",
    args: model("vae.weave", (bytes) => {
      bytes[8] = 9;
      return bytes;
    }),
    says: /vae\.weave: its version is 9, expected 1/,
  },
  {
    what: "a flipped bit in a tensor",
    args: model("vae.weave", (bytes) => {
      bytes[bytes.length - 300] ^= 4;
      return bytes;
    }),
    says: /vae\.weave: tensor .* is damaged/,
  },
  {
    what: "a flipped bit in the header",
    args: model("vae.weave", (bytes) => {
      bytes[100] ^= 4;
      return bytes;
    }),
    says: /vae\.weave.*header/,
  },
  {
    what: "a component in another's place",
    args: model(
      "vae.weave",
      () => Deno.readFileSync(repositoryPath("weights/mini/face_parser.weave")),
    ),
    says: /holds the component face_parser, expected vae/,
  },
  {
    what: "an adapter that is not there",
    args: withDemo("--adapter", "mine.weave"),
    says: /Cannot read mine\.weave/,
  },
  {
    what: "an offset beyond the file",
    args: header(({ tensors }) => {
      tensors[PROJ].offset = 256e6;
    }),
    says: /tensor id_encoder\.proj_in\.weight: it ends at byte/,
  },
  {
    what: "a negative size",
    args: header(({ tensors }) => {
      tensors[PROJ].shape = [-1];
    }),
    says: /id_encoder\.proj_in\.weight: its shape has the dimension -1/,
  },
  {
    what: "overlapping tensors",
    args: header(({ tensors }) => {
      tensors[PROJ].offset = tensors["id_encoder.latents"].offset;
    }),
    says: /inside tensor/,
  },
  {
    what: "10⁹ values in a tensor",
    args: header(({ tensors }) => {
      tensors[PROJ].shape = [1e9];
    }),
    says: /id_encoder\.proj_in\.weight: it takes .* bytes/,
  },
  {
    what: "a missing tensor",
    args: header(({ tensors }) => {
      delete tensors[PROJ];
    }),
    says: /missing.*id_encoder\.proj_in\.weight/,
  },
  {
    what: "a tensor too many",
    args: header(({ tensors }) => {
      const entry = tensors[PROJ];
      delete tensors[PROJ];
      tensors["id_encoder.proj_on.weight"] = entry;
    }),
    says: /unused.*id_encoder\.proj_on\.weight/,
  },
  {
    what: "a misshapen tensor",
    args: header(({ tensors }) => {
      tensors[PROJ].shape = [64, 256];
    }),
    says: /id_encoder\.proj_in\.weight.*\(64, 256\).*\(128, 128\)/,
  },
];

/** Every file below a folder. */
async function filesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) names.push(...await filesIn(path));
    else names.push(path);
  }
  return names.sort();
}

for (
  const { what, args, says, code = 1, notes = 0, env } of [
    ...usage,
    ...options,
    ...photos,
    ...faces,
    ...models,
  ]
) {
  Deno.test(`command: ${what} gets one clear line`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const given = await args(folder);
      const before = await filesIn(folder);
      // One step, so that input that is not refused does not take long.
      const steps = given.includes("--steps") ? [] : ["--steps=1"];
      const run = await command(
        [...given, ...steps, "--quiet"],
        { cwd: folder, env },
      );
      assertEquals(run.err.length, 1 + notes, run.err.join("\n"));
      assertMatch(run.err[notes], says);
      assertEquals(run.code, code);
      assertEquals(run.out, "");
      assert(/^[A-Z]/.test(run.err[0]), "starts with a capital letter");
      assertEquals(await filesIn(folder), before);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
