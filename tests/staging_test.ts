/**
 * Several files are replaced, all or none.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { restoreOld } from "../tools/convert/neighbours.ts";
import { Staging } from "../tools/convert/staging.ts";

const text = (content: string) => new TextEncoder().encode(content);

async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isFile } of Deno.readDir(folder)) {
    found[name] = isFile ? await Deno.readTextFile(`${folder}/${name}`) : "—";
  }
  return Object.fromEntries(
    Object.entries(found).sort(([a], [b]) => a < b ? -1 : 1),
  );
}

Deno.test("staging: nothing changes before all is committed", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/a`, "old a");
  {
    await using staging = new Staging();
    await staging.write(`${folder}/a`, (append) => append(text("new a")));
    await staging.write(`${folder}/b`, (append) => append(text("new b")));
    assertEquals(await Deno.readTextFile(`${folder}/a`), "old a");
  }
  assertEquals(await contents(folder), { a: "old a" });
  await using staging = new Staging();
  await staging.write(`${folder}/a`, (append) => append(text("new a")));
  await staging.write(`${folder}/b`, (append) => append(text("new b")));
  await staging.commit();
  assertEquals(await contents(folder), { a: "new a", b: "new b" });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("staging: where one file cannot be put in place, all are taken back", async () => {
  const folder = await Deno.makeTempDir();
  for (const name of ["a", "b", "d"]) {
    await Deno.writeTextFile(`${folder}/${name}`, `old ${name}`);
  }
  {
    await using staging = new Staging();
    for (const name of ["a", "b", "c", "d"]) {
      await staging.write(
        `${folder}/${name}`,
        (append) => append(text(`new ${name}`)),
      );
    }
    // Comes while the others are written.
    await Deno.mkdir(`${folder}/c`);
    const error = await assertRejects(
      () => staging.commit(`${folder}/d`),
      MasterWeaverError,
      `Cannot write ${folder}/c: it is not a file; nothing was changed`,
    );
    assertEquals(error.code, "cannot-write");
  }
  assertEquals(await contents(folder), {
    a: "old a",
    b: "old b",
    c: "—",
    d: "old d",
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("staging: a write that fails leaves nothing behind", async () => {
  const folder = await Deno.makeTempDir();
  {
    await using staging = new Staging();
    await staging.write(`${folder}/a`, (append) => append(text("a")));
    await assertRejects(
      () =>
        staging.write(`${folder}/b`, async (append) => {
          await append(text("half"));
          throw new Error("The source ended");
        }),
      Error,
      "The source ended",
    );
    await assertRejects(
      () => staging.write(`${folder}/absent/c`, () => Promise.resolve()),
      MasterWeaverError,
      "no such file or folder",
    );
    await assertRejects(
      () => staging.write(folder, () => Promise.resolve()),
      MasterWeaverError,
      "it is a folder",
    );
  }
  assertEquals(await contents(folder), {});
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "staging: links and modes stay, long names work",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    await Deno.mkdir(`${folder}/far`);
    await Deno.writeTextFile(`${folder}/far/real`, "old", { mode: 0o600 });
    await Deno.symlink("far/real", `${folder}/link`);
    await Deno.symlink("far/later", `${folder}/dangling`);
    const long = "x".repeat(255);
    await using staging = new Staging();
    for (const name of ["link", "dangling", long]) {
      await staging.write(`${folder}/${name}`, (append) => append(text(name)));
    }
    await staging.commit();
    assertEquals((await Deno.lstat(`${folder}/link`)).isSymlink, true);
    assertEquals(await contents(`${folder}/far`), {
      later: "dangling",
      real: "link",
    });
    assertEquals((await Deno.stat(`${folder}/far/real`)).mode! & 0o777, 0o600);
    assertEquals(await Deno.readTextFile(`${folder}/${long}`), long);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name:
    "staging: files of killed conversions are removed, those of running ones are not",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    const left = [
      ".masterweaver-model-0123abcd.partial",
      ".masterweaver-model-0123abcd-a.old",
      ".masterweaver-model-0123abce.old",
    ];
    const others = [
      ".masterweaver-0123abcd.partial",
      ".masterweaver-model-notes.partial",
      ".partial",
    ];
    for (const name of [...left, ...others]) {
      await Deno.writeTextFile(`${folder}/${name}`, name);
    }
    await Deno.writeTextFile(`${folder}/a`, "old a");
    {
      await using running = new Staging();
      const partial = await running.write(
        `${folder}/b`,
        (append) => append(text("running")),
      );
      await using staging = new Staging();
      await staging.write(`${folder}/a`, (append) => append(text("new a")));
      await staging.commit();
      const names = Object.keys(await contents(folder));
      assertEquals(names.filter((name) => left.includes(name)), []);
      assertEquals(await Deno.readTextFile(partial), "running");
      await running.commit();
    }
    assertEquals(await contents(folder), {
      ...Object.fromEntries(others.map((name) => [name, name])),
      a: "new a",
      b: "running",
    });
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test("staging: there is a file at every moment of a replacement", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/a`;
  await Deno.writeTextFile(path, "old");
  await using staging = new Staging();
  await staging.write(path, (append) => append(text("new")));
  const stops = new Set<string>();
  const rename = Deno.rename;
  // Whenever a name changes, the component's file is there.
  Deno.rename = async (from, to) => {
    stops.add(await Deno.readTextFile(path));
    await rename(from, to);
    stops.add(await Deno.readTextFile(path));
  };
  try {
    await staging.commit();
  } finally {
    Deno.rename = rename;
  }
  assertEquals([...stops], ["old", "new"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("staging: an old file whose name is free gets it back", async () => {
  const folder = await Deno.makeTempDir();
  const old = `${folder}/.masterweaver-model-0123abcd-unet.weave.old`;
  await Deno.writeTextFile(old, "old");
  assertEquals(
    await restoreOld(folder),
    Deno.build.os === "windows" ? [] : [`${folder}/unet.weave`],
  );
  if (Deno.build.os !== "windows") {
    await Deno.writeTextFile(old, "older");
    assertEquals(await restoreOld(folder), []);
    assertEquals(await Deno.readTextFile(`${folder}/unet.weave`), "old");
  }
  await Deno.remove(folder, { recursive: true });
});
