/**
 * The cache of frozen networks' outputs: whole or not at all, whatever process was
 * killed, and never larger than it may be.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  type CacheOptions,
  type CachePlace,
  CacheReader,
  FeatureCache,
} from "../tools/train/data/cache.ts";
import { HEADER_BYTES } from "../tools/train/data/cache_entry.ts";
import { cachedValues } from "./support/cached_values.ts";
import { deno } from "./support/command.ts";
import { repositoryPath } from "./support/paths.ts";

const values = Float32Array.of(1, -0.5, 3e-5, 70000, 0.1);
const large: CacheOptions = { maxBytes: 2 ** 30 };

function placeIn(root: string, image = "aa"): CachePlace {
  return { root, components: { image, reference: "bb" } };
}

async function withFolder(test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    await test(`${root}/cache`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("feature cache: what is kept comes back, by kind, component and key", async () => {
  await withFolder(async (root) => {
    const cache = await FeatureCache.open(placeIn(root), large);
    assertEquals(await cache.get("image", "a"), undefined);
    assertEquals(await cache.put("image", "a", values), true);
    assertEquals(await cache.get("image", "a"), values);
    assertEquals(await cache.get("image", "b"), undefined);
    assertEquals(await cache.get("reference", "a"), undefined);
    const other = new CacheReader(placeIn(root, "cc"));
    assertEquals(await other.get("image", "a"), undefined);
    const again = await FeatureCache.open(placeIn(root), large);
    assertEquals(await again.get("image", "a"), values);
    assertEquals(again.bytes, HEADER_BYTES + 20);
  });
});

Deno.test("feature cache: f16 takes half the room", async () => {
  await withFolder(async (root) => {
    const cache = await FeatureCache.open(placeIn(root), {
      ...large,
      dtype: "f16",
    });
    const some = Float32Array.of(1, -0.5, 0.1);
    await cache.put("image", "a", some);
    assertEquals(
      await cache.get("image", "a"),
      new Float32Array(new Float16Array(some)),
    );
    assertEquals(cache.bytes, HEADER_BYTES + 6);
    // 70000 is beyond f16.
    await cache.put("image", "b", values);
    assertEquals(await cache.get("image", "b"), values);
  });
});

Deno.test("feature cache: an entry that is cut or changed is none, and is written anew", async () => {
  await withFolder(async (root) => {
    const cache = await FeatureCache.open(placeIn(root), large);
    await cache.put("image", "a", values);
    const path = await cache.path("image", "a");
    const file = await Deno.readFile(path);
    for (let length = 0; length < file.length; length++) {
      await Deno.writeFile(path, file.subarray(0, length));
      assertEquals(await cache.get("image", "a"), undefined);
    }
    for (let i = 0; i < file.length; i++) {
      const changed = file.slice();
      changed[i] ^= 1;
      await Deno.writeFile(path, changed);
      assertEquals(await cache.get("image", "a"), undefined, `byte ${i}`);
    }
    assertEquals(await cache.put("image", "a", values), true);
    assertEquals(await cache.get("image", "a"), values);
    assertEquals(cache.bytes, file.length);
  });
});

Deno.test("feature cache: it never grows beyond its limit, and makes room of other models' entries", async () => {
  await withFolder(async (root) => {
    const size = HEADER_BYTES + 20;
    const old = await FeatureCache.open(placeIn(root, "old"), large);
    for (const key of ["a", "b", "c"]) await old.put("image", key, values);
    await old.put("reference", "of both", values);
    const cache = await FeatureCache.open(placeIn(root), {
      maxBytes: 5 * size,
    });
    const kept: string[] = [];
    for (const key of ["1", "2", "3", "4", "5", "6"]) {
      if (await cache.put("image", key, values)) kept.push(key);
      assert(cache.bytes <= 5 * size, `${cache.bytes}`);
    }
    assertEquals(kept, ["1", "2", "3", "4"]);
    assertEquals(cache.isFull, true);
    assertEquals(await cache.get("image", "4"), values);
    assertEquals(await cache.get("image", "5"), undefined);
    assertEquals(await cache.get("reference", "of both"), values);
    for (const key of ["a", "b", "c"]) {
      assertEquals(await old.get("image", key), undefined);
    }
  });
});

Deno.test("feature cache: a folder that cannot be made is an error", async () => {
  await withFolder(async (root) => {
    await Deno.writeTextFile(root, "a file");
    const error = await assertRejects(
      () => FeatureCache.open(placeIn(root), large),
      MasterWeaverError,
      root,
    );
    assertEquals(error.code, "cannot-write");
  });
});

Deno.test("feature cache: what is above it is not made again once it is gone", async () => {
  await withFolder(async (folder) => {
    const root = `${folder}/run/cache`;
    const cache = await FeatureCache.open(placeIn(root), large);
    await Deno.rename(root, `${folder}/run/moved`);
    assertEquals(await cache.put("image", "a", values), true);
    await Deno.rename(`${folder}/run`, `${folder}/moved`);
    const error = await assertRejects(
      () => cache.put("image", "b", values),
      MasterWeaverError,
    );
    assertEquals(error.code, "cannot-write");
    const names = await Array.fromAsync(Deno.readDir(folder));
    assertEquals(names.map(({ name }) => name), ["moved"]);
  });
});

Deno.test("feature cache: two processes killed at any moment leave nothing broken", async () => {
  await withFolder(async (root) => {
    const keys = 60;
    const script = repositoryPath("tests/support/cache_writer.ts");
    const start = async (seed: number) => {
      const process = deno(["run", "-A", script, root, `${keys}`, `${seed}`]);
      const reader = process.stdout.getReader();
      await reader.read();
      return { process, reader };
    };
    for (let round = 0; round < 5; round++) {
      const writers = await Promise.all([start(round), start(round + 31)]);
      await new Promise((resolve) => setTimeout(resolve, 3 + 17 * round));
      for (const { process, reader } of writers) {
        process.kill("SIGKILL");
        await reader.cancel();
        await process.stderr.cancel();
        await process.status;
      }
      const cache = new CacheReader(placeIn(root));
      for (let key = 0; key < keys; key++) {
        const found = await cache.get("image", `key ${key}`);
        if (found) assertEquals(found.length, cachedValues(key).length);
        // Whole or not there: no file under the key's own name is broken.
        const path = await cache.path("image", `key ${key}`);
        const exists = await Deno.stat(path).then(() => true, () => false);
        assertEquals(found !== undefined, exists, path);
      }
    }
    // What they left half written goes once it is old.
    const folder = `${root}/image-aa/00`;
    await Deno.mkdir(folder, { recursive: true });
    const left = `${folder}/x.feature.1.partial`;
    const fresh = `${folder}/x.feature.2.partial`;
    for (const path of [left, fresh]) await Deno.writeTextFile(path, "half");
    await Deno.utime(left, 1, 1);
    await FeatureCache.open(placeIn(root), large);
    await assertRejects(() => Deno.stat(left), Deno.errors.NotFound);
    assertEquals((await Deno.stat(fresh)).size, 4);
  });
});
