/**
 * The folder of a training run where there is no room, or where it is gone.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { hostFileSystem } from "../src/host/system.ts";
import type { WeightsFile } from "../tools/train/run/checkpoint_writer.ts";
import { RunFolder } from "../tools/train/run/run_folder.ts";
import {
  inFolder,
  isPrivileged,
  namesIn,
  onSmallDisk,
  systemError,
  withCalls,
} from "./support/file_systems.ts";
import {
  checkContent,
  runSettings,
  stepContent,
  stepWeights,
} from "./support/train_run.ts";

/** Fails as a full disk does once so many bytes are written to a checkpoint. */
function fullAfter(bytes: number) {
  let left = bytes;
  return withCalls({
    open: async (path, options) => {
      const file = await hostFileSystem.open(path, options);
      if (!path.includes(".masterweaver-run-")) return file;
      return {
        write: async (chunk) => {
          if (left < chunk.length) throw systemError("ENOSPC");
          left -= chunk.length;
          return await file.write(chunk);
        },
        sync: () => file.sync(),
        close: () => file.close(),
      };
    },
  });
}

Deno.test("train run: without room it goes on and keeps what it has", () =>
  inFolder(async (folder) => {
    const lines: string[] = [];
    using run = await RunFolder.open(folder, runSettings(), {
      keepLast: 1,
      warn: (line) => lines.push(line),
      system: fullAfter(12_000),
    });
    assert(await run.trySave(stepContent(1)));
    const before = await namesIn(folder);
    assertEquals(await run.trySave(stepContent(2)), undefined);
    assertEquals(lines, [
      "The checkpoint of step 2 was not saved: the disk is full; training goes on, that of step 1 is kept",
    ]);
    assertEquals(await namesIn(folder), before);
    assertEquals((await run.latest()).checkpoint!.step, 1);
    const error = await assertRejects(
      () => run.save(stepContent(2)),
      MasterWeaverError,
    );
    assertEquals(error.code, "cannot-write");
    assertMatch(
      error.message,
      /checkpoint-000002\/state\.safetensors: the disk is full/,
    );
  }));

Deno.test({
  name: "train run: a disk that is really full",
  ignore: !isPrivileged,
  fn: () =>
    inFolder(async (folder) => {
      await onSmallDisk(folder, 256, async (disk) => {
        const path = `${disk}/run`;
        const lines: string[] = [];
        using run = await RunFolder.open(path, runSettings(), {
          warn: (line) => lines.push(line),
        });
        for (let step = 1; lines.length === 0; step++) {
          await run.trySave(stepContent(step, 10_000));
        }
        const { checkpoint, broken } = await run.latest();
        assertEquals(broken, []);
        checkContent(checkpoint!, 10_000);
        assertMatch(lines[0], /was not saved: the disk is full; training goes/);
      });
    }),
});

Deno.test({
  name: "train run: where the disk is full, what need not be kept goes first",
  ignore: !isPrivileged,
  fn: () =>
    inFolder(async (folder) => {
      await onSmallDisk(folder, 256, async (disk) => {
        const path = `${disk}/run`;
        using run = await RunFolder.open(path, runSettings(), { keepLast: 2 });
        // Two of them fit.
        for (const step of [1, 2, 3]) await run.save(stepContent(step, 10_000));
        assertEquals(
          (await namesIn(path)).filter((name) => name.startsWith("checkpoint")),
          ["checkpoint-000002", "checkpoint-000003"],
        );
      });
    }),
});

Deno.test({
  name: "train run: the final weights are of one step, or none is written",
  ignore: !isPrivileged,
  fn: () =>
    inFolder(async (folder) => {
      await onSmallDisk(folder, 256, async (disk) => {
        const path = `${disk}/run`;
        using run = await RunFolder.open(path, runSettings());
        await run.save(stepContent(7));
        const before = await namesIn(path);
        const large: WeightsFile = {
          stem: "adapter",
          ending: "weave",
          write: (append) => append(new Uint8Array(2 ** 18).fill(1)),
        };
        const error = await assertRejects(
          () => run.saveFinal([stepWeights(8), large]),
          MasterWeaverError,
        );
        assertEquals(error.code, "cannot-write");
        assertMatch(
          error.message,
          /adapter_final\.weave: the disk is full; .*; the trained weights of step 7 are in .*adapter_000007\.pt$/,
        );
        assertEquals(await namesIn(path), before);
      });
    }),
});

Deno.test("train run: what was stopped says why it is not saved", () =>
  inFolder(async (folder) => {
    const lines: string[] = [];
    using run = await RunFolder.open(folder, runSettings(), {
      warn: (line) => lines.push(line),
      system: fullAfter(12_000),
    });
    assertEquals(await run.saveStopped(stepContent(1)), {
      folder: `${folder}/checkpoint-000001`,
    });
    const failure =
      "The checkpoint of step 2 was not saved: the disk is full; that of step 1 is kept";
    assertEquals(await run.saveStopped(stepContent(2)), { failure });
    assertEquals([lines, run.warnings], [[], [failure]]);
  }));

Deno.test("train run: a folder that was moved away is not made again", () =>
  inFolder(async (folder) => {
    const path = `${folder}/run`;
    using run = await RunFolder.open(path, runSettings());
    await run.save(stepContent(1));
    await Deno.rename(path, `${folder}/moved`);
    const works = [
      () => run.trySave(stepContent(2)),
      () => run.saveStopped(stepContent(2)),
      () => run.saveFinal([stepWeights(2)]),
    ];
    for (const work of works) {
      const error = await assertRejects(work, MasterWeaverError);
      assertEquals(error.code, "cannot-write");
      assertMatch(error.message, /the folder of the run is gone/);
    }
    await assertRejects(
      () => run.saveGrid(2, new Uint8Array([1])),
      MasterWeaverError,
    );
    assertEquals(await namesIn(folder), ["moved"]);
  }));
