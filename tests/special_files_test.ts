/**
 * Pipes and devices where a file is expected, and files that are far too long.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FileSource } from "../src/host/files.ts";
import { convert } from "../tools/convert.ts";
import type { Folder } from "./support/checkpoint_folder.ts";
import { withFolder } from "./support/convert_component.ts";

const isPosix = Deno.build.os !== "windows";

async function makePipe(path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
  const { success } = await new Deno.Command("mkfifo", { args: [path] })
    .output();
  assert(success);
}

/** Opens a pipe's other end, so that whoever waits for it waits no longer. */
async function letGo(path: string): Promise<void> {
  const { O_NONBLOCK, O_WRONLY } = (await import("node:fs")).constants;
  const { open } = await import("node:fs/promises");
  const file = await open(path, O_WRONLY | O_NONBLOCK).catch(() => null);
  await file?.close();
}

/** Fails, and does not wait for ever, where `work` waits for the pipe. */
async function notWaiting<T>(path: string, work: Promise<T>): Promise<T> {
  let waited = false;
  const timer = setTimeout(() => {
    waited = true;
    letGo(path);
  }, 5000);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    assert(!waited, `It waited for ${path}`);
  }
}

const attempt = ({ path }: Folder) =>
  convert({ inputs: [path], output: `${path}/out`, dtype: "f16" });

Deno.test({
  name: "special files: a pipe is refused at once, wherever a file is expected",
  ignore: !isPosix,
  async fn(t) {
    for (
      const name of [
        "unet/model.safetensors",
        "unet/config.json",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
        "adapter_final.pt",
      ]
    ) {
      await t.step(name, () =>
        withFolder(async (folder) => {
          const path = `${folder.path}/${name}`;
          await makePipe(path);
          const error = await notWaiting(
            path,
            assertRejects(
              () => attempt(folder),
              MasterWeaverError,
              `Cannot read ${path}: it is not a file`,
            ),
          );
          assertEquals(error.code, "cannot-read");
        }));
    }
  },
});

Deno.test({
  name: "special files: a link to a device is refused, not read",
  ignore: !isPosix,
  fn: () =>
    withFolder(async (folder) => {
      for (const name of ["unet/config.json", "tokenizer/merges.txt"]) {
        const path = `${folder.path}/${name}`;
        const text = await Deno.readTextFile(path);
        await Deno.remove(path);
        // Ends, so that code that reads it fails and does not hang.
        await Deno.symlink("/dev/null", path);
        await assertRejects(
          () => attempt(folder),
          MasterWeaverError,
          `Cannot read ${path}: it is not a file`,
        );
        await Deno.remove(path);
        await folder.write(name, text);
      }
    }),
});

Deno.test("special files: a config that is too long is refused with its length", () =>
  withFolder(async (folder) => {
    const path = `${folder.path}/unet/config.json`;
    await Deno.truncate(path, 2 ** 25 + 1);
    await assertRejects(
      () => attempt(folder),
      MasterWeaverError,
      `Cannot read ${path}: it has 33554433 bytes, expected at most 33554432`,
    );
  }));

Deno.test({
  name: "special files: a FileSource must be a file",
  ignore: !isPosix,
  async fn() {
    const path = await Deno.makeTempFile();
    await makePipe(path);
    await notWaiting(
      path,
      assertRejects(
        () => FileSource.open(path),
        MasterWeaverError,
        "it is not a file",
      ),
    );
    await Deno.remove(path);
  },
});
