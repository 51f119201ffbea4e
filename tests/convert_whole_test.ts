/**
 * A conversion that fails changes nothing, whichever component is wrong and
 * whenever that shows.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { openModelFolder } from "../src/host/files.ts";
import { convert } from "../tools/convert.ts";
import { type Folder, makeFolder } from "./support/checkpoint_folder.ts";

/** Hashes of a folder's files, by name. */
async function snapshot(folder: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile) continue;
    const bytes = await Deno.readFile(`${folder}/${name}`);
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    hashes[name] = new Uint8Array(digest).toHex();
  }
  return hashes;
}

/** Values of a tensor changed to one. */
function filled(
  folder: Folder,
  component: string,
  name: string,
  value: number,
) {
  const tensors = folder.tensors[component];
  const { shape, data } = tensors[name];
  return { ...tensors, [name]: { shape, data: data.map(() => value) } };
}

const without = (folder: Folder, component: string, name: string) =>
  Object.fromEntries(
    Object.entries(folder.tensors[component]).filter(([key]) => key !== name),
  );

const NORM = "text_model.final_layer_norm.weight";
const faults: Record<string, (folder: Folder) => Promise<void>> = {
  "a key is missing": (folder) =>
    folder.write(
      "vae/model.safetensors",
      without(folder, "vae", "decoder.conv_in.bias"),
    ),
  "a value is not finite": (folder) =>
    folder.write(
      "face_parser.pth",
      filled(folder, "face_parser", "ffm.conv1.weight", NaN),
    ),
  "a value is too large for f16": (folder) =>
    folder.write(
      "text_encoder/model.safetensors",
      filled(folder, "text_encoder", NORM, 1e6),
    ),
  "a file is cut short": async (folder) => {
    const path = `${folder.path}/image_encoder/model.safetensors`;
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1));
  },
  "a config is not one that is computed": (folder) =>
    folder.write("vae/config.json", {
      _class_name: "AutoencoderKL",
      block_out_channels: [4, 8],
      layers_per_block: 1,
      latent_channels: 4,
      norm_num_groups: 3,
    }),
  "a scheduler is not one that is computed": (folder) =>
    folder.write("scheduler/scheduler_config.json", {
      prediction_type: "sample",
    }),
};

for (const [what, spoil] of Object.entries(faults)) {
  Deno.test(`convert: where ${what}, the folder stays as it was`, async () => {
    const folder = await makeFolder();
    const output = `${folder.path}/out`;
    const attempt = () =>
      convert({ inputs: [folder.path], output, dtype: "f16" });
    await attempt();
    const before = await snapshot(output);
    assertEquals(Object.keys(before).length, 7);
    // The UNet, which comes first, is valid but different.
    await folder.write(
      "unet/model.safetensors",
      filled(folder, "unet", "conv_in.bias", 0.5),
    );
    await spoil(folder);
    const error = await assertRejects(attempt, MasterWeaverError);
    assertEquals(error.code, "bad-checkpoint");
    assertEquals(await snapshot(output), before);
    await Deno.remove(folder.path, { recursive: true });
  });
}

Deno.test("convert: an output that cannot be written to is refused before the work", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await Deno.mkdir(`${output}/face_parser.weave`, { recursive: true });
  const error = await assertRejects(
    () => convert({ inputs: [folder.path], output, dtype: "f16" }),
    MasterWeaverError,
    `Cannot write ${output}/face_parser.weave: it is a folder`,
  );
  assertEquals(error.code, "cannot-write");
  assertEquals(await snapshot(output), {});
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: an aborted conversion leaves everything as it was", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f16" });
  const before = await snapshot(output);
  const stop = new AbortController();
  let lines = 0;
  await folder.write("scheduler/scheduler_config.json", {
    _class_name: "PNDMScheduler",
  });
  const error = await assertRejects(
    () =>
      convert({
        inputs: [folder.path],
        output,
        dtype: "f32",
        signal: stop.signal,
        report: () => {
          lines++;
          stop.abort();
        },
      }),
    MasterWeaverError,
  );
  assertEquals(error.code, "aborted");
  assert(lines >= 1);
  assertEquals(await snapshot(output), before);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: a model is not replaced by what is made from it", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f32" });
  const before = await snapshot(output);
  await Deno.symlink(output, `${folder.path}/link`);
  for (const input of [output, `${folder.path}/link`, `${output}/vae.weave`]) {
    for (const dtype of ["f32", "f16", "q4"] as const) {
      const error = await assertRejects(
        () => convert({ inputs: [input], output, dtype }),
        MasterWeaverError,
        "to itself: it would be lost; give another folder with --output",
      );
      assertEquals(error.code, "bad-option");
    }
  }
  assertEquals(await snapshot(output), before);
  // Where nothing would change, nothing is lost.
  const again = `${folder.path}/again`;
  await convert({ inputs: [output], output: again, dtype: "f32" });
  const stored = await snapshot(again);
  const done = await convert({ inputs: [again], output: again, dtype: "f32" });
  assertEquals(done.length, 6);
  assertEquals(await snapshot(again), stored);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: a failed conversion removes the folder it made", async () => {
  const folder = await makeFolder();
  await folder.write(
    "vae/model.safetensors",
    filled(
      folder,
      "vae",
      "decoder.conv_in.bias",
      NaN,
    ),
  );
  const attempt = (output: string) =>
    convert({ inputs: [folder.path], output, dtype: "f16" });
  await assertRejects(
    () => attempt(`${folder.path}/new/deep/out`),
    MasterWeaverError,
  );
  await assertRejects(
    () => Deno.stat(`${folder.path}/new`),
    Deno.errors.NotFound,
  );
  await Deno.mkdir(`${folder.path}/empty`);
  await assertRejects(() => attempt(`${folder.path}/empty`), MasterWeaverError);
  await Deno.stat(`${folder.path}/empty`);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test({
  name:
    "convert: after one that was killed, the next one leaves nothing hidden",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await makeFolder();
    const output = `${folder.path}/out`;
    const again = (dtype: "f16" | "f32") =>
      convert({ inputs: [folder.path], output, dtype });
    await again("f16");
    const script = new URL("../tools/convert.ts", import.meta.url).pathname;
    const hidden = async () =>
      (await Array.fromAsync(Deno.readDir(output)))
        .map(({ name }) => name).filter((name) => name.startsWith("."));
    let left: string[] = [];
    for (let round = 0; round < 20 && left.length === 0; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", script, folder.path, "--output", output],
        stdout: "null",
        stderr: "null",
      }).spawn();
      let isRunning = true;
      const ended = child.status.then(() => isRunning = false);
      while (isRunning && (await hidden()).length === 0);
      if (isRunning) child.kill("SIGKILL");
      await ended;
      left = await hidden();
    }
    assert(left.length > 0, "no conversion was killed in time");
    await again("f32");
    assertEquals(await hidden(), []);
    // A component that is only there under its `.old` name.
    await Deno.rename(
      `${output}/unet.weave`,
      `${output}/.masterweaver-model-0123abcd-unet.weave.old`,
    );
    await assertRejects(
      () => openModelFolder(output),
      MasterWeaverError,
      "unet.weave missing (an interrupted conversion left .masterweaver-model-0123abcd-unet.weave.old",
    );
    const lines: string[] = [];
    await convert({
      inputs: [`${folder.path}/vae`],
      output,
      dtype: "f16",
      report: (line) => lines.push(line),
    });
    assert(
      lines[0].includes("unet.weave: restored after an interrupted conversion"),
      lines[0],
    );
    assertEquals(await hidden(), []);
    await (await openModelFolder(output))[Symbol.asyncDispose]();
    await Deno.remove(folder.path, { recursive: true });
  },
});
