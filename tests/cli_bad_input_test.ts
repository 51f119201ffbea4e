/**
 * What bad input gets: one clear line, exit code 1, and nothing written. Wrong
 * usage is in `cli_flags_test.ts`.
 */
import { readImage, writePng } from "../src/host/files.ts";
import { PNG_SIGNATURE } from "../src/image/signature.ts";
import {
  type BadInput,
  badInputTests,
  demo,
  withDemo,
} from "./support/bad_input.ts";
import { changedModel, withHeader } from "./support/model_folder.ts";
import { concat, pngHeader } from "./support/odd_images.ts";
import { repositoryPath } from "./support/paths.ts";

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

const options: readonly BadInput[] = [
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
    what: "an output over a control image",
    args: async (folder) => {
      await Deno.writeFile(`${folder}/me.png`, demoBytes);
      return [
        ...["--prompt", "a man", "--controlnet", "canny"],
        ...["--control-image", "me.png", "--output", "me.png"],
      ];
    },
    code: 2,
    says: /Cannot write me\.png: it is the image to start from, its mask or a/,
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

const photos: readonly BadInput[] = [
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

const faces: readonly BadInput[] = [
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

const models: readonly BadInput[] = [
  {
    what: "a model folder that is not there",
    args: withDemo("--model", "nowhere"),
    says:
      /Cannot read nowhere: no such file or folder; give the folder of a model that tools\/convert\.ts has written/,
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

badInputTests([...options, ...photos, ...faces, ...models]);
