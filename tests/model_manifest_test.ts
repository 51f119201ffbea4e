/**
 * A model folder's manifest, and folders that do not match it.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { openModelFolder } from "../src/host/files.ts";
import {
  checkWeights,
  openComponents,
  readTokenizer,
} from "../src/components/networks.ts";
import { readManifest } from "../src/weights/manifest.ts";
import { convert, main } from "../tools/convert.ts";
import { inspect } from "../tools/inspect.ts";
import { FileSource } from "../src/host/files.ts";
import { type Folder, makeFolder } from "./support/checkpoint_folder.ts";
import { repositoryPath } from "./support/paths.ts";

const PARTS = [
  "face_parser",
  "identity_adapter",
  "image_encoder",
  "text_encoder",
  "unet",
  "vae",
];

/** Loads all of a model that needs no GPU. */
async function load(folder: string, adapter?: string): Promise<void> {
  await using opened = await openModelFolder(folder, adapter);
  const parts = await openComponents(opened.files);
  readTokenizer(parts);
  checkWeights("f32", parts);
}

async function manifestOf(folder: string) {
  await using source = await FileSource.open(`${folder}/model.json`);
  return (await readManifest(source)).components;
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) {
    await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** A tiny checkpoint, converted to `a`, and with other values to `b`. */
async function twoModels(): Promise<Folder & { a: string; b: string }> {
  const folder = await makeFolder();
  const a = `${folder.path}/a`;
  const b = `${folder.path}/b`;
  const inputs = [folder.path];
  await convert({ inputs, output: a, dtype: "f16" });
  await convert({ inputs, output: b, dtype: "f32" });
  return { ...folder, a, b };
}

Deno.test("manifest: a converted folder has one, and loads", async () => {
  const { path, a } = await twoModels();
  const manifest = await manifestOf(a);
  assertEquals([...manifest.keys()], PARTS);
  for (const [name, { file, hash, bytes }] of manifest) {
    assertEquals(file, `${name}.weave`);
    await using source = await FileSource.open(`${a}/${file}`);
    const found = await inspect(source, false);
    assertEquals([found.hash, found.size], [hash, bytes]);
  }
  await load(a);
  await Deno.remove(`${a}/model.json`);
  // What older versions wrote.
  await load(a);
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: a file of another conversion is refused by name", async () => {
  const { path, a, b } = await twoModels();
  for (const part of PARTS) {
    const file = `${a}/${part}.weave`;
    const own = await Deno.readFile(file);
    await Deno.copyFile(`${b}/${part}.weave`, file);
    const error = await assertRejects(
      () => load(a),
      MasterWeaverError,
      `Cannot use ${file}: ${a}/model.json lists another`,
    );
    assertEquals(error.code, "bad-model");
    assertStringIncludes(error.message, "convert the model again");
    await Deno.writeFile(file, own);
  }
  await load(a);
  // A file that grew has the same header.
  await Deno.writeFile(`${a}/vae.weave`, new Uint8Array(3), { append: true });
  await assertRejects(() => load(a), MasterWeaverError, "bytes, and it has");
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: another adapter is not compared", async () => {
  const { path, a, b } = await twoModels();
  const other = `${b}/identity_adapter.weave`;
  await load(a, other);
  await Deno.copyFile(other, `${a}/identity_adapter.weave`);
  await load(a, other);
  await assertRejects(() => load(a), MasterWeaverError, "lists another");
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: a replacement interrupted anywhere is refused", async () => {
  const { path, a, b } = await twoModels();
  // As tools/convert.ts puts them in place: the manifest first.
  const order = ["model.json", ...PARTS.map((part) => `${part}.weave`)];
  for (const hadManifest of [true, false]) {
    for (let done = 0; done <= order.length; done++) {
      const folder = `${path}/cut`;
      await copyFolder(a, folder);
      if (!hadManifest) await Deno.remove(`${folder}/model.json`);
      for (const name of order.slice(0, done)) {
        await Deno.copyFile(`${b}/${name}`, `${folder}/${name}`);
      }
      if (done === 0 || done === order.length) await load(folder);
      else await assertRejects(() => load(folder), MasterWeaverError, "lists");
      await Deno.remove(folder, { recursive: true });
    }
  }
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: one component converted into a folder changes only its entry", async () => {
  const { path, a, b } = await twoModels();
  const before = await manifestOf(a);
  await convert({ inputs: [`${path}/vae`], output: a, dtype: "f32" });
  const after = await manifestOf(a);
  for (const part of PARTS) {
    const expected = part === "vae" ? await manifestOf(b) : before;
    assertEquals(after.get(part), expected.get(part), part);
  }
  await load(a);
  // A folder that had none is listed as it is.
  await Deno.remove(`${a}/model.json`);
  await convert({ inputs: [`${path}/vae`], output: a, dtype: "f16" });
  assertEquals(await manifestOf(a), before);
  // Another adapter beside is not the model's.
  await Deno.copyFile(`${path}/adapter_final.pt`, `${path}/adapter_000007.pt`);
  const other = [`${path}/adapter_000007.pt`];
  await convert({ inputs: other, output: a, dtype: "f16" });
  assertEquals(await manifestOf(a), before);
  await load(a);
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: components of no model get no manifest", async () => {
  const { path, a } = await twoModels();
  const detector = [repositoryPath("weights/mini/face_detector.weave")];
  const alone = `${path}/alone`;
  await convert({ inputs: detector, output: alone, dtype: "f16" });
  const names = await Array.fromAsync(Deno.readDir(alone));
  assertEquals(names.map(({ name }) => name), ["face_detector.weave"]);
  await convert({ inputs: detector, output: a, dtype: "f16" });
  const listed = await manifestOf(a);
  assertEquals([...listed.keys()], ["face_detector", ...PARTS]);
  await load(a);
  // Replaced by hand, it still is a detector.
  await Deno.copyFile(detector[0], `${a}/face_detector.weave`);
  await load(a);
  await Deno.remove(path, { recursive: true });
});

const hash = "0".repeat(64);
const entry = { file: "unet.weave", hash, bytes: 1 };
const whole = (change: object) =>
  JSON.stringify({
    format: "masterweaver-model",
    version: 1,
    components: {},
    ...change,
  });
const bad: [string, string][] = [
  ["", "it is not JSON"],
  ['{"format":"masterweaver-model","version":1,"compo', "it is not JSON"],
  ["[]", "it is not a JSON object"],
  ["{}", "its format is undefined"],
  [whole({ version: 2 }), "its version is 2, expected 1"],
  [whole({ components: [] }), "it has no components"],
  [whole({ components: { unet: 7 } }), "its entry unet is not"],
  [whole({ components: { unet: { ...entry, hash: "x" } } }), "its entry unet"],
  [whole({ components: { unet: { ...entry, bytes: -1 } } }), "its entry unet"],
  [whole({ components: { unet: { ...entry, file: "../x" } } }), "its entry"],
  [
    '{"format":"masterweaver-model","version":1,"version":1,"components":{}}',
    "it is not sound JSON: it has version twice",
  ],
  ["[".repeat(1e5), "it is not JSON"],
  ["x".repeat(2 ** 20 + 1), "it has 1048577 bytes"],
];

Deno.test("manifest: a damaged or hostile one is refused, saying why", async () => {
  for (const [text, message] of bad) {
    const bytes = new TextEncoder().encode(text);
    const error = await assertRejects(
      () => readManifest(new MemorySource(bytes, "m/model.json")),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-model");
    assertStringIncludes(error.message, "Cannot use m/model.json: ");
  }
  const odd = whole({ components: { __proto__: null, constructor: entry } });
  const source = new MemorySource(new TextEncoder().encode(odd));
  assertEquals([...(await readManifest(source)).components.keys()], [
    "constructor",
  ]);
});

Deno.test("manifest: a damaged one stops a single component, and is replaced with a whole model", async () => {
  const { path, a, b } = await twoModels();
  await Deno.writeTextFile(`${a}/model.json`, "{");
  const vae = await Deno.readFile(`${a}/vae.weave`);
  await assertRejects(() => load(a), MasterWeaverError, "model.json: it is");
  await assertRejects(
    () => convert({ inputs: [`${path}/vae`], output: a, dtype: "f32" }),
    MasterWeaverError,
    `Cannot use ${a}/model.json`,
  );
  assertEquals(await Deno.readFile(`${a}/vae.weave`), vae);
  await convert({ inputs: [path], output: a, dtype: "f32" });
  assertEquals(await manifestOf(a), await manifestOf(b));
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: inspect shows it, and compares with --verify", async () => {
  const { path, a, b } = await twoModels();
  await using source = await FileSource.open(`${a}/model.json`);
  const found = await inspect(source, true);
  assertEquals([found.kind, found.verified], ["manifest", true]);
  assertEquals(found.components?.map(({ component }) => component), PARTS);
  await Deno.copyFile(`${b}/unet.weave`, `${a}/unet.weave`);
  await inspect(source, false);
  await assertRejects(
    () => inspect(source, true),
    MasterWeaverError,
    "unet.weave: ",
  );
  await Deno.remove(`${a}/unet.weave`);
  await assertRejects(
    () => inspect(source, true),
    MasterWeaverError,
    "no such file",
  );
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: loading and --verify refuse the same", async () => {
  const { path, a } = await twoModels();
  const file = `${a}/model.json`;
  const text = await Deno.readTextFile(file);
  const verify = async () => {
    await using source = await FileSource.open(file);
    await inspect(source, true);
  };
  // deno-lint-ignore no-explicit-any
  const changes: [(components: any) => void, string | null][] = [
    [(all) => delete all.unet, "model.json lists no such file"],
    [(all) => all.unet.file = "vae.weave", "lists vae.weave for it, expected"],
    [(all) => all.unet.file = "..", "lists .. for it, expected unet.weave"],
    [(all) => all.unet.bytes++, "bytes, and it has"],
    [(all) => all.other = { ...all.unet, file: "other.weave" }, null],
    [() => {}, null],
  ];
  for (const [change, message] of changes) {
    const json = JSON.parse(text);
    change(json.components);
    await Deno.writeTextFile(file, JSON.stringify(json));
    for (const use of [() => load(a), verify]) {
      if (message === null) await use();
      else {
        const error = await assertRejects(use, MasterWeaverError, message);
        assertStringIncludes(error.message, "unet.weave");
      }
    }
  }
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: --manifest lists a folder as it is", async () => {
  const { path, a, b } = await twoModels();
  await Deno.copyFile(`${b}/unet.weave`, `${a}/unet.weave`);
  await assertRejects(() => load(a), MasterWeaverError, "lists another");
  assertEquals(await main(["--manifest", a, "--quiet"]), 0);
  await load(a);
  assertEquals(
    (await manifestOf(a)).get("unet"),
    (await manifestOf(b)).get("unet"),
  );
  assertEquals(await main(["--manifest", `${path}/unet`, "--quiet"]), 1);
  assertEquals(await main(["--manifest", a, `${path}/unet`]), 2);
  await Deno.remove(path, { recursive: true });
});

Deno.test("manifest: weights/mini has one that lists its own files", async () => {
  const mini = repositoryPath("weights/mini");
  await using source = await FileSource.open(`${mini}/model.json`);
  const { components = [] } = await inspect(source, true);
  assert(components.length >= PARTS.length);
});
