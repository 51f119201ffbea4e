import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import { SD15_UNET_CONFIG } from "../src/checkpoints/tables/stable_diffusion.ts";
import { checkpointKey } from "../src/checkpoints/tables/identity_adapter.ts";
import { writeZip } from "../src/checkpoints/zip_writer.ts";
import { locateZipEntry, readZipDirectory } from "../src/checkpoints/zip.ts";
import { convert } from "../tools/convert.ts";
import { toPyTorch } from "../tools/convert/to_pytorch.ts";
import { attentionLayers } from "./support/attention_layers.ts";
import { makeFolder } from "./support/checkpoint_folder.ts";

Deno.test("to pytorch: an adapter comes back with the reference's keys and values", async () => {
  const folder = await makeFolder();
  const model = `${folder.path}/model`;
  await convert({ inputs: [folder.path], output: model, dtype: "f16" });
  const file = `${folder.path}/back.pt`;
  const written = await toPyTorch(
    `${model}/identity_adapter.weave`,
    file,
    false,
  );
  const bytes = await Deno.readFile(file);
  assertEquals(written.bytes, bytes.length);
  const source = new MemorySource(bytes, "back.pt");
  const checkpoint = await openCheckpoint(source);
  await checkpoint.verify();
  assertEquals(checkpoint.kind, "torch-zip");
  const expected = folder.tensors.identity_adapter;
  assertEquals(
    [...checkpoint.tensors.keys()].sort(),
    Object.keys(expected).sort(),
  );
  for (const [name, { shape, data }] of Object.entries(expected)) {
    const tensor = checkpoint.tensors.get(name)!;
    assertEquals([tensor.dtype, tensor.shape], ["F32", shape], name);
    // All values are k / 64, which f16 holds exactly.
    assertEquals([...await readFloats(tensor)], data, name);
  }
  // And in again: the same component, byte for byte, its provenance aside.
  await convert({ inputs: [file], output: model, dtype: "f16" });
  const tail = async (name: string) => {
    const file = await Deno.readFile(`${model}/${name}.weave`);
    return file.subarray(-2000);
  };
  assertEquals(await tail("back"), await tail("identity_adapter"));
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("to pytorch: the file is laid out as torch.save's", async () => {
  const folder = await makeFolder();
  const model = `${folder.path}/model`;
  await convert({ inputs: [folder.path], output: model, dtype: "f16" });
  const file = `${folder.path}/back.pt`;
  await toPyTorch(`${model}/identity_adapter.weave`, file, false);
  const bytes = await Deno.readFile(file);
  const source = new MemorySource(bytes);
  const entries = await readZipDirectory(source);
  const names = [...entries.keys()];
  const count = names.filter((name) => /^archive\/data\/\d+$/.test(name));
  assertEquals(
    count.length,
    Object.keys(folder.tensors.identity_adapter).length,
  );
  const content = async (name: string) => {
    const entry = entries.get(`archive/${name}`)!;
    return await source.read(await locateZipEntry(source, entry), entry.size);
  };
  assertEquals(new TextDecoder().decode(await content("version")), "3\n");
  assertEquals(new TextDecoder().decode(await content("byteorder")), "little");
  for (const entry of entries.values()) {
    const start = await locateZipEntry(source, entry);
    assertEquals(start % 64, 0, `${entry.name} starts at ${start}`);
  }
  // What the pickle names is what torch.load(weights_only=True) allows.
  const pickle = await content("data.pkl");
  assertEquals([...pickle.subarray(0, 2)], [0x80, 2]);
  const text = new TextDecoder("latin1").decode(pickle);
  const allowed = [
    "ccollections\nOrderedDict\n",
    "ctorch\nFloatStorage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
  ];
  const lines = [...text.matchAll(/[\x20-\x7e]+\n[\x20-\x7e]+\n/g)];
  assert(lines.length > 100);
  for (const [line] of lines) {
    assert(allowed.some((name) => line.endsWith(name)), line);
  }
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("to pytorch: positions are those of diffusers' attn_processors", () => {
  const layers = attentionLayers(SD15_UNET_CONFIG);
  const names = layers.filter((path) => path.endsWith("attn2"))
    .map((path) => `${path}.to_k_img.weight`);
  // In any order: it is found from the paths.
  const key = checkpointKey(names.toReversed());
  for (const [i, path] of layers.entries()) {
    const found = key(`${path}.to_k_img.weight`);
    assertEquals(
      found?.name,
      path.endsWith("attn2") ? `${i}.to_k_img.weight` : undefined,
    );
  }
  assertEquals(key("id_encoder.latents"), {
    dict: "id_encoder",
    name: "latents",
  });
  assertEquals(key("conv_in.weight"), undefined);
});

Deno.test("to pytorch: only adapters; nothing is left behind", async () => {
  const folder = await makeFolder();
  const model = `${folder.path}/model`;
  await convert({ inputs: [folder.path], output: model, dtype: "f16" });
  const error = await assertRejects(
    () => toPyTorch(`${model}/vae.weave`, `${model}/vae.pt`, false),
    MasterWeaverError,
    "it holds the component vae, expected identity_adapter",
  );
  assertEquals(error.code, "bad-model");
  const names = (await Array.fromAsync(Deno.readDir(model))).map((e) => e.name);
  assert(
    names.every((name) => /\.weave$|^model\.json$/.test(name)),
    names.join(),
  );
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("zip: content that is not as long as stated is refused", async () => {
  const parts: Uint8Array[] = [];
  await assertRejects(
    () =>
      writeZip((bytes) => Promise.resolve(void parts.push(bytes)), [
        { name: "a", size: 3, data: () => [new Uint8Array(2)] },
      ]),
    MasterWeaverError,
    "Cannot write zip entry a: it gave 2 bytes, expected 3",
  );
  await assertRejects(
    () =>
      writeZip((bytes) => Promise.resolve(void parts.push(bytes)), [
        { name: "a", size: 1, data: () => [new Uint8Array(1)] },
        { name: "b", size: 2 ** 32 - 100, data: () => [] },
      ]),
    MasterWeaverError,
    "Cannot write a zip file of 42949",
  );
  assertEquals(parts, []);
});
