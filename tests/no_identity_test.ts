/**
 * Images without an identity: plain Stable Diffusion's, from any model.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  checkWeights,
  followsIdentities,
  openComponents,
  openModelComponents,
} from "../src/components/networks.ts";
import { FileSource, openModelFolder } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { Image } from "../src/image/image.ts";
import {
  identityComponents,
  type ModelFiles,
} from "../src/weights/components.ts";
import { convert } from "../tools/convert.ts";
import { inspect } from "../tools/inspect.ts";
import { makeFolder } from "./support/checkpoint_folder.ts";
import { psnr } from "./support/compare.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const mini = repositoryPath("weights/mini");
const settings = {
  prompt: "a man in the snow",
  steps: 3,
  width: 32,
  height: 32,
  seed: 7,
};

/** The mini model's files without some components, and without a manifest. */
function without(files: ModelFiles, names: readonly string[]): ModelFiles {
  return Object.fromEntries(
    Object.entries(files).filter(([name]) =>
      !names.includes(name) && name !== "manifest"
    ),
  );
}

function black(side: number): Image {
  const data = new Uint8ClampedArray(4 * side * side).fill(255);
  return { width: side, height: side, data };
}

gpuTest(
  "no identity: the same image as with an identity scale of 0",
  async () => {
    const weaver = await miniWeaver("f32");
    const identity = await weaver.encodeIdentity([black(64)], { parse: false });
    const runs = [{}, {
      guidanceRange: [0, 0.5],
      reuseFeatures: 2,
    }] as const;
    for (const change of runs) {
      const made = await weaver.generate({ ...settings, ...change });
      assertEquals(made.settings.idScale, 0);
      // What was used can be used again.
      const again = await weaver.generate(made.settings);
      assertEquals(again.images, made.images);
      const scaled = { ...settings, ...change, identity };
      const ignored = await weaver.generate({ ...scaled, idScale: 0 });
      const alike = psnr(made.images[0].data, ignored.images[0].data);
      assert(alike > 60, `PSNR ${alike}`);
      const followed = await weaver.generate(scaled);
      const other = psnr(made.images[0].data, followed.images[0].data);
      assert(other < 50, `PSNR ${other}`);
    }
  },
);

gpuTest("no identity: a scale for it is refused", async () => {
  const weaver = await miniWeaver("f32");
  const error = await assertRejects(
    () => weaver.generate({ ...settings, idScale: 0.5 }),
    MasterWeaverError,
    "Option idScale must be 0 or not given without an identity, got 0.5",
  );
  assertEquals(error.code, "bad-option");
});

gpuTest(
  "no identity: a plain model loads, and refuses identities",
  async () => {
    await using folder = await openModelFolder(mini);
    const plain = without(folder.files, identityComponents);
    const whole = await miniWeaver("f32");
    const identity = await whole.encodeIdentity([black(64)], { parse: false });
    await using weaver = await MasterWeaver.load(plain, {
      dtype: "f32",
      tune: "off",
    });
    assertEquals(weaver.maxReferences, 0);
    assert(weaver.hash !== whole.hash);
    const [own] = (await weaver.generate(settings)).images;
    assertEquals(own, (await whole.generate(settings)).images[0]);
    for (
      const work of [
        () => weaver.encodeIdentity([black(64)]),
        () => weaver.generate({ ...settings, identity }),
      ]
    ) {
      const error = await assertRejects(
        work,
        MasterWeaverError,
        "The model has no image_encoder.weave, identity_adapter.weave and face_parser.weave, which an identity needs: convert it with",
      );
      assertEquals(error.code, "bad-model");
    }
  },
);

Deno.test("no identity: one component missing is as good as all, unless the manifest lists it", async () => {
  await using folder = await openModelFolder(mini);
  for (const name of identityComponents) {
    const files = without(folder.files, [name]);
    const opened = await openModelComponents(files);
    assertEquals(Object.keys(opened), ["text", "unet", "vae"]);
    await assertRejects(
      () => openComponents(files),
      MasterWeaverError,
      `The model has no ${name}.weave, which an identity needs`,
    );
    const { manifest } = folder.files;
    const error = await assertRejects(
      () => openModelComponents({ ...files, manifest }),
      MasterWeaverError,
      `The model has no ${name}.weave, and ${mini}/model.json lists it`,
    );
    assertEquals(error.code, "bad-model");
  }
});

Deno.test("no identity: a folder without its components opens", () =>
  inFolder(async (folder) => {
    for (const name of ["text_encoder", "unet", "vae"]) {
      await Deno.symlink(`${mini}/${name}.weave`, `${folder}/${name}.weave`);
    }
    await using opened = await openModelFolder(folder);
    const components = await openModelComponents(opened.files);
    assertEquals(Object.keys(components), ["text", "unet", "vae"]);
  }));

/** Whether a folder's model follows identities, checked as loading does. */
async function loads(folder: string): Promise<boolean> {
  await using opened = await openModelFolder(folder);
  const components = await openModelComponents(opened.files);
  checkWeights("f32", components);
  return followsIdentities(components);
}

/** The components that a folder's manifest lists; all files are as listed. */
async function listed(folder: string): Promise<string[]> {
  await using source = await FileSource.open(`${folder}/model.json`);
  const { components = [] } = await inspect(source, true);
  return components.map(({ component }) => component);
}

Deno.test("no identity: a plain checkpoint is converted, and what an identity needs later", async () => {
  const checkpoint = await makeFolder();
  const { path } = checkpoint;
  const identity = `${path}/identity`;
  const output = `${path}/out`;
  await Deno.mkdir(identity);
  for await (const { name } of Deno.readDir(path)) {
    if (/^(image_encoder|adapter_|face_parser)/.test(name)) {
      await Deno.rename(`${path}/${name}`, `${identity}/${name}`);
    }
  }
  const told: string[] = [];
  const into = async (inputs: string[]) => {
    told.length = 0;
    const report = (line: string) => void told.push(line);
    await convert({ inputs, output, dtype: "f16", report });
    return told.filter((line) => !line.includes("→"));
  };
  assertEquals(await into([path]), [
    `${output}: without image_encoder, identity_adapter, face_parser the model makes images, but none from reference photos; convert them to the same folder for these`,
  ]);
  assertEquals(await loads(output), false);
  assertEquals(await listed(output), ["text_encoder", "unet", "vae"]);
  const files = ["adapter_final.pt", "face_parser.pth"]
    .map((name) => `${identity}/${name}`);
  assertEquals(await into(files), [
    `${output}: without image_encoder the model makes images, but none from reference photos; convert it to the same folder for these`,
  ]);
  assertEquals(await loads(output), false);
  assertEquals(await into([`${identity}/image_encoder`]), []);
  assertEquals(await loads(output), true);
  assertEquals((await listed(output)).length, 6);
  // One that is lost is no plain model.
  await Deno.remove(`${output}/image_encoder.weave`);
  await assertRejects(() => loads(output), MasterWeaverError, "lists it");
  await Deno.remove(path, { recursive: true });
});
