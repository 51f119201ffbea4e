/**
 * Writing files: existing ones are written through or replaced whole, and files
 * that pass the check beforehand can be written.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readFile, writePng } from "../src/host/files.ts";
import type { Image } from "../src/image/image.ts";
import { checkWritable, writeFileAtomic } from "../src/host/write.ts";
import type { FileSystem } from "../src/host/system.ts";
import {
  canProtect,
  inFolder,
  isPrivileged,
  namesIn,
  onSmallDisk,
  succeeds,
  systemError,
  withCalls,
} from "./support/file_systems.ts";

const isUnix = Deno.build.os !== "windows";

/** A test of what only Unix has. */
const unixTest = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, ignore: !isUnix, fn });
/** A test that needs to mount; others do the same with failing calls. */
const rootTest = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, ignore: ignore || !isPrivileged, fn });

const write = (path: string, text: string, system?: FileSystem) =>
  writeFileAtomic(
    path,
    (append) => append(new TextEncoder().encode(text)),
    system,
  );

const modeOf = async (path: string) => (await Deno.stat(path)).mode! & 0o7777;

/** Refused with `cannot-write`, by the check and when writing. */
async function isRefused(
  path: string,
  says: RegExp,
  system?: FileSystem,
): Promise<void> {
  for (
    const work of [
      () => checkWritable(path, 4096, system),
      () => write(path, "new", system),
    ]
  ) {
    const error = await assertRejects(work, MasterWeaverError);
    assertEquals(error.code, "cannot-write");
    assertMatch(error.message, says);
  }
}

Deno.test("write: a new file, and one over an old", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    for (const text of ["first", "second, longer", "3"]) {
      await checkWritable(path);
      await write(path, text);
      assertEquals(await Deno.readTextFile(path), text);
      assertEquals(await namesIn(folder), ["a.txt"]);
    }
  }));

Deno.test("write: a failure in between leaves the old file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    await write(path, "old");
    await assertRejects(
      () =>
        writeFileAtomic(path, async (append) => {
          await append(new Uint8Array(100));
          throw new Error("the maker failed");
        }),
      Error,
      "the maker failed",
    );
    assertEquals(await Deno.readTextFile(path), "old");
    assertEquals(await namesIn(folder), ["a.txt"]);
  }));

unixTest(
  "write: names of 255 bytes, and none longer",
  () =>
    inFolder(async (folder) => {
      for (const name of ["n".repeat(255), "é".repeat(127), "n".repeat(250)]) {
        await checkWritable(`${folder}/${name}`);
        await write(`${folder}/${name}`, "x");
      }
      assertEquals((await namesIn(folder)).length, 3);
      await isRefused(`${folder}/${"n".repeat(256)}`, /its name is too long/);
    }),
);

unixTest("write: mode and owner stay", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    for (const mode of [0o600, 0o640, 0o666, 0o755]) {
      await Deno.writeTextFile(path, "old");
      await Deno.chmod(path, mode);
      await write(path, "new");
      assertEquals(await modeOf(path), mode);
    }
    if (Deno.uid() === 0) {
      await Deno.chown(path, 65534, 65534);
      await write(path, "newer");
      const { uid, gid } = await Deno.stat(path);
      assertEquals([uid, gid], [65534, 65534]);
    }
  }));

unixTest(
  "write: the replacement of a private file is private from the start",
  () =>
    inFolder(async (folder) => {
      const path = `${folder}/a.txt`;
      await Deno.writeTextFile(path, "old");
      await Deno.chmod(path, 0o600);
      await writeFileAtomic(path, async (append) => {
        await append(new Uint8Array(1));
        for (const name of await namesIn(folder)) {
          assertEquals(await modeOf(`${folder}/${name}`), 0o600);
        }
      });
    }),
);

unixTest(
  "write: a symbolic link stays, what it leads to is replaced",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/far/in`, { recursive: true });
      await Deno.symlink("far/in", `${folder}/near`);
      await Deno.symlink("../real.txt", `${folder}/far/in/link`);
      await Deno.symlink("near/link", `${folder}/link`);
      // Once where it leads nowhere, once where a file is.
      for (const text of ["first", "second"]) {
        await checkWritable(`${folder}/link`);
        await write(`${folder}/link`, text);
        assertEquals(await Deno.readTextFile(`${folder}/far/real.txt`), text);
      }
      assert((await Deno.lstat(`${folder}/link`)).isSymlink);
      assert((await Deno.lstat(`${folder}/far/in/link`)).isSymlink);
      assertEquals(await namesIn(`${folder}/far`), ["in", "real.txt"]);
      // Atomically: whoever reads the old one goes on reading it.
      using old = await Deno.open(`${folder}/far/real.txt`);
      await write(`${folder}/link`, "third");
      const bytes = new Uint8Array(6);
      await old.read(bytes);
      assertEquals(new TextDecoder().decode(bytes), "second");

      await Deno.symlink("round", `${folder}/round`);
      await isRefused(`${folder}/round`, /symbolic links lead nowhere/);
      await Deno.symlink("gone/a.txt", `${folder}/lost`);
      await isRefused(`${folder}/lost`, /no such file or folder/);
    }),
);

unixTest(
  "write: all names of a file get the new content",
  () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/a`, "old and longer");
      await Deno.link(`${folder}/a`, `${folder}/b`);
      await write(`${folder}/a`, "new");
      assertEquals(await Deno.readTextFile(`${folder}/b`), "new");
      assertEquals(await namesIn(folder), ["a", "b"]);
    }),
);

unixTest("write: devices stay devices", () =>
  inFolder(async (folder) => {
    await checkWritable("/dev/null");
    await write("/dev/null", "x");
    assert((await Deno.stat("/dev/null")).isCharDevice);
    if (Deno.build.os === "linux") {
      const error = await assertRejects(
        () => write("/dev/full", "x"),
        MasterWeaverError,
      );
      assertMatch(error.message, /Cannot write \/dev\/full: the disk is full/);
    }
    const made = `${folder}/null`;
    if (await succeeds("mknod", made, "c", "1", "3")) {
      await write(made, "x");
      assert((await Deno.stat(made)).isCharDevice);
    }
    await Deno.symlink("/dev/null", `${folder}/link`);
    await write(`${folder}/link`, "x");
    assert((await Deno.lstat(`${folder}/link`)).isSymlink);
    assertEquals((await namesIn(folder)).includes("link"), true);
  }));

unixTest(
  "write: a pipe's reader gets all of it, and the pipe stays",
  () =>
    inFolder(async (folder) => {
      const pipe = `${folder}/pipe`;
      assert(await succeeds("mkfifo", pipe));
      // The check must not open it: that would end what its reader reads.
      await checkWritable(pipe);
      const reading = Deno.readTextFile(pipe);
      await write(pipe, "x".repeat(200_000));
      assertEquals((await reading).length, 200_000);
      assert((await Deno.lstat(pipe)).isFifo);
    }),
);

Deno.test("write: folders and nameless files are refused", () =>
  inFolder(async (folder) => {
    await isRefused(folder, /it is a folder/);
    await isRefused(`${folder}/new/`, /it names a folder/);
    await isRefused("", /Cannot write "": its name is empty/);
    await isRefused(`${folder}/no/a.txt`, /no such file or folder/);
    await Deno.writeTextFile(`${folder}/file`, "");
    await isRefused(
      `${folder}/file/a.txt`,
      /a part of its path is not a folder/,
    );
    assertEquals(await namesIn(folder), ["file"]);
  }));

Deno.test("write: a file that cannot be replaced is written in place", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    // A mount point, a sticky folder with another's file in it.
    for (const code of ["EBUSY", "EPERM", "EXDEV"]) {
      await Deno.writeTextFile(path, "old and longer");
      const system = withCalls({
        rename: (from, to) =>
          to === path
            ? Promise.reject(systemError(code))
            : Deno.rename(from, to),
      });
      await checkWritable(path, 4096, system);
      await write(path, "new", system);
      assertEquals(await Deno.readTextFile(path), "new");
      assertEquals(await namesIn(folder), ["a.txt"]);
    }
  }));

Deno.test("write: a folder that accepts no new file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    const system = withCalls({
      open: (name, options) =>
        options.createNew
          ? Promise.reject(systemError("EROFS"))
          : Deno.open(name, options),
    });
    await isRefused(path, /the file system is read-only/, system);
    await Deno.writeTextFile(path, "old and longer");
    await checkWritable(path, 4096, system);
    await write(path, "new", system);
    assertEquals(await Deno.readTextFile(path), "new");
  }));

Deno.test("write: a protected file or folder is refused beforehand", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    const system = withCalls({
      open: () => Promise.reject(systemError("EPERM")),
    });
    await isRefused(path, /the system does not permit it/, system);
    await Deno.writeTextFile(path, "old");
    await isRefused(path, /the system does not permit it/, system);
    assertEquals(await Deno.readTextFile(path), "old");
    // A folder that takes new files and gives none back.
    const renames = withCalls({
      rename: () => Promise.reject(systemError("EPERM")),
    });
    const fresh = `${folder}/b.txt`;
    await isRefused(fresh, /the system does not permit it/, renames);
    assertEquals(await namesIn(folder), ["a.txt"]);
  }));

Deno.test("write: a disk that fills up leaves the old file", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    await Deno.writeTextFile(path, "old");
    let room = 100_000;
    const system = withCalls({
      open: async (name, options) => {
        const file = await Deno.open(name, options);
        return {
          write: (bytes) => {
            room -= bytes.length;
            return room < 0
              ? Promise.reject(systemError("ENOSPC"))
              : file.write(bytes);
          },
          sync: () => file.sync(),
          close: () => file.close(),
        };
      },
    });
    const check = await assertRejects(
      () => checkWritable(path, 200_000, system),
      MasterWeaverError,
    );
    assertMatch(check.message, /the disk is full/);
    room = 100_000;
    await checkWritable(path, 50_000, system);
    const error = await assertRejects(
      () => write(path, "x".repeat(200_000), system),
      MasterWeaverError,
    );
    assertMatch(error.message, /the disk is full/);
    assertEquals(await Deno.readTextFile(path), "old");
    assertEquals(await namesIn(folder), ["a.txt"]);
  }));

Deno.test("write: a half overwritten file's new content is kept beside it", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a.txt`;
    await Deno.writeTextFile(path, "old");
    const system = withCalls({
      rename: () => Promise.reject(systemError("EBUSY")),
      open: async (name, options) => {
        const file = await Deno.open(name, options);
        const write = name === path
          ? () => Promise.reject(systemError("ENOSPC"))
          : (bytes: Uint8Array) => file.write(bytes);
        return { write, sync: () => file.sync(), close: () => file.close() };
      },
    });
    const { message } = await assertRejects(
      () => write(path, "new", system),
      MasterWeaverError,
    );
    const kept = /the disk is full.*; the whole file is kept in (.*)$/
      .exec(message)?.[1];
    assertEquals(await Deno.readTextFile(kept!), "new");
  }));

rootTest("write: a full disk, for real", () =>
  inFolder(async (folder) => {
    await onSmallDisk(folder, 64, async (disk) => {
      const path = `${disk}/a.txt`;
      await checkWritable(path, 30_000);
      const error = await assertRejects(
        () => checkWritable(path, 100_000),
        MasterWeaverError,
      );
      assertMatch(error.message, /the disk is full/);
      await assertRejects(() => write(path, "x".repeat(100_000)));
      assertEquals(await namesIn(disk), []);
    });
  }));

rootTest(
  "write: a mounted file and a read-only disk, on real file systems",
  () =>
    inFolder(async (folder) => {
      await onSmallDisk(folder, 64, async (disk) => {
        await Deno.writeTextFile(`${folder}/real`, "old and longer");
        await Deno.writeTextFile(`${disk}/bound`, "");
        await Deno.writeTextFile(`${disk}/plain`, "old");
        const path = `${disk}/bound`;
        assert(await succeeds("mount", "--bind", `${folder}/real`, path));
        try {
          await checkWritable(path);
          await write(path, "new");
          assertEquals(await Deno.readTextFile(`${folder}/real`), "new");
          assertEquals(await namesIn(disk), ["bound", "plain"]);
          assert(await succeeds("mount", "-o", "remount,ro", disk));
          await isRefused(`${disk}/plain`, /the file system is read-only/);
          await isRefused(`${disk}/new`, /the file system is read-only/);
          // The mounted file is of a disk that can be written.
          await checkWritable(path);
          await write(path, "newer");
          assertEquals(await Deno.readTextFile(`${folder}/real`), "newer");
        } finally {
          await succeeds("umount", path);
        }
      });
    }),
);

rootTest(
  "write: immutable files and folders, on a real file system",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/in`);
      const path = `${folder}/in/a.txt`;
      await Deno.writeTextFile(path, "old");
      assert(await succeeds("chattr", "+i", path));
      try {
        await isRefused(path, /the system does not permit it/);
      } finally {
        await succeeds("chattr", "-i", path);
      }
      assert(await succeeds("chattr", "+i", `${folder}/in`));
      try {
        await isRefused(`${folder}/in/b.txt`, /the system does not permit it/);
        await checkWritable(path);
        await write(path, "new");
      } finally {
        await succeeds("chattr", "-i", `${folder}/in`);
      }
      assertEquals(await Deno.readTextFile(path), "new");
    }),
  !canProtect,
);

Deno.test("read: a file that never ends, or is too large, is abandoned at the limit", async () => {
  const error = await assertRejects(
    () => readFile("/dev/zero", 2 ** 20),
    MasterWeaverError,
    "larger than 1048576 bytes",
  );
  assertEquals(error.code, "cannot-read");
  await inFolder(async (folder) => {
    const path = `${folder}/a.bin`;
    const bytes = crypto.getRandomValues(new Uint8Array(50_000));
    await Deno.writeFile(path, bytes);
    assertEquals(await readFile(path), bytes);
    assertEquals(await readFile(path, 50_000), bytes);
    await assertRejects(() => readFile(path, 49_999), MasterWeaverError);
    await Deno.writeFile(path, new Uint8Array());
    assertEquals((await readFile(path)).length, 0);
  });
});

Deno.test("write: what is not an image is refused before anything is written", async () => {
  await inFolder(async (folder) => {
    for (
      const image of [
        undefined,
        { width: 32, height: 32, data: new Float32Array(4096) },
        { width: 2, height: 2, data: new Uint8ClampedArray(12) },
        { width: 0, height: 0, data: new Uint8ClampedArray(0) },
      ]
    ) {
      const error = await assertRejects(
        () => writePng(`${folder}/a.png`, image as Image),
        MasterWeaverError,
        "Image to write",
      );
      assertEquals(error.code, "bad-image");
    }
    assertEquals(await namesIn(folder), []);
  });
});
