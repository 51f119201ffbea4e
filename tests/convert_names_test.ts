/**
 * Names of files and in headers lead to no other folder and no other component.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { convert } from "../tools/convert.ts";
import { makeFolder } from "./support/checkpoint_folder.ts";
import { floatTensor, weaveBytes } from "./support/weights.ts";

/** Names below a folder, hidden ones too, with their contents. */
async function tree(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) {
      found[`${name}/`] = JSON.stringify(await tree(`${folder}/${name}`));
    } else {
      const bytes = await Deno.readFile(`${folder}/${name}`);
      const digest = await crypto.subtle.digest("SHA-256", bytes);
      found[name] = new Uint8Array(digest).toHex();
    }
  }
  return Object.fromEntries(Object.entries(found).sort());
}

const COMPONENTS = [
  "../victim/unet",
  "/absolute",
  "a/b",
  "a\\b",
  "..",
  ".",
  "toString",
  "__proto__",
  "UNET",
  "unet ",
  "model.json",
  "\x1b[31mred",
  "nul\0byte",
  "x".repeat(300),
];

Deno.test("names: a header's component that is unknown is refused", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/models/victim`, { recursive: true });
  await Deno.writeTextFile(`${folder}/models/victim/unet.weave`, "another's");
  for (const component of COMPONENTS) {
    const input = `${folder}/input.weave`;
    const tensors = [floatTensor("a", [1], [1])];
    await Deno.writeFile(input, await weaveBytes({ component, tensors }));
    const before = await tree(folder);
    const error = await assertRejects(
      () =>
        convert({
          inputs: [input],
          output: `${folder}/models/mine`,
          dtype: "f16",
        }),
      MasterWeaverError,
      "its header names the component ",
    );
    assertEquals(error.code, "bad-checkpoint");
    // deno-lint-ignore no-control-regex
    assertEquals(/[\u0000-\u001f]/.test(error.message), false, error.message);
    assertEquals(await tree(folder), before, component);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("names: an adapter does not replace another component", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f16" });
  const before = await tree(output);
  const names = [
    "vae",
    "unet",
    "VAE",
    "Identity_Adapter",
    "face_detector",
    "landmarks",
    "text_encoder",
    "image_encoder",
    "face_parser",
  ];
  const adapter = `${output}/identity_adapter.weave`;
  await Deno.mkdir(`${folder.path}/other`);
  for (const name of names) {
    for (const ending of ["pt", "weave"]) {
      const from = ending === "pt"
        ? `${folder.path}/adapter_final.pt`
        : adapter;
      const file = `${folder.path}/other/${name}.${ending}`;
      await Deno.copyFile(from, file);
      const error = await assertRejects(
        () => convert({ inputs: [file], output, dtype: "f16" }),
        MasterWeaverError,
        "rename the file",
      );
      assertEquals(error.code, "bad-checkpoint");
      assertEquals(await tree(output), before, file);
      await Deno.remove(file);
    }
  }
  for (const name of [".hidden.pt", "a\nb.pt", "con.pt", " x.pt"]) {
    const file = `${folder.path}/other/${name}`;
    await Deno.copyFile(`${folder.path}/adapter_final.pt`, file);
    await assertRejects(
      () => convert({ inputs: [file], output, dtype: "f16" }),
      MasterWeaverError,
      "not a plain one",
    );
    assertEquals(await tree(output), before, name);
    await Deno.remove(file);
  }
  // Any other name is its own.
  const own = `${folder.path}/other/Jane's adapter 2.pt`;
  await Deno.copyFile(`${folder.path}/adapter_final.pt`, own);
  await Deno.copyFile(
    `${folder.path}/adapter_config.json`,
    `${folder.path}/other/adapter_config.json`,
  );
  const [done] = await convert({ inputs: [own], output, dtype: "f16" });
  assertEquals(done.file, `${output}/Jane's adapter 2.weave`);
  await Deno.remove(folder.path, { recursive: true });
});
