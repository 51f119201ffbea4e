/**
 * What the page that computes everything itself keeps of a model, where the host
 * sends something else, the browser has no room, or all data of the site was
 * deleted.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { ChunkStore } from "../src/site/model/chunk_store.ts";
import { listAddress } from "../src/site/model/open_place.ts";
import type { SmallFiles } from "../src/site/model/small_files.ts";
import { manifestText } from "../src/weights/manifest.ts";

const encoder = new TextEncoder();

/** A manifest with one file. */
function manifest(digit: string): Uint8Array<ArrayBuffer> {
  const entry = { file: "vae.weave", hash: digit.repeat(64), bytes: 5 };
  return encoder.encode(manifestText(new Map([["vae", entry]])));
}

const page = "<!doctype html><title>Sign in</title>";

/** Small files in memory. */
class Kept implements SmallFiles {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  writes = 0;
  isFull = false;

  readWhole(url: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return Promise.resolve(this.files.get(new URL(url).pathname));
  }

  writeWhole(
    url: string,
    bytes: Uint8Array<ArrayBuffer> | null,
  ): Promise<void> {
    const { pathname } = new URL(url);
    if (!bytes) this.files.delete(pathname);
    else if (this.isFull) {
      return Promise.reject(new MasterWeaverError("cannot-write", "No room"));
    } else {
      this.writes++;
      this.files.set(pathname, bytes);
    }
    return Promise.resolve();
  }
}

/** A host of a model's list, and what asks it. */
class Host implements AsyncDisposable {
  readonly kept = new Kept();
  answer: (path: string) => Response;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (path: string) => Response) {
    this.answer = answer;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ url }) => this.answer(new URL(url).pathname),
    );
  }

  /** The hash of the file that the list has; whether there is a preview. */
  async list(how: "kept" | "fresh" = "fresh"): Promise<[string, boolean]> {
    const url = `http://127.0.0.1:${this.#server.addr.port}/`;
    const place = { kind: "address", url, name: "mini" } as const;
    const { files, preview } = await listAddress(place, this.kept, how);
    return [files[0][1].hash[0], preview !== undefined];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A body that breaks off. */
function broken(): Response {
  let isFirst = true;
  const body = new ReadableStream({
    pull(controller) {
      if (!isFirst) return controller.error(new Error("gone"));
      isFirst = false;
      controller.enqueue(encoder.encode("{"));
    },
  });
  return new Response(body);
}

const none = () => new Response("none", { status: 404 });

/** A host of a list and a preview. */
function model(digit: string): (path: string) => Response {
  return (path) =>
    path === "/model.json" ? new Response(manifest(digit)) : new Response("{}");
}

Deno.test("site small files: they are written where they changed", async () => {
  await using host = new Host(model("a"));
  assertEquals(await host.list(), ["a", true]);
  assertEquals(host.kept.writes, 2);
  assertEquals(await host.list(), ["a", true]);
  assertEquals(host.kept.writes, 2);
  host.answer = model("b");
  assertEquals(await host.list(), ["b", true]);
  assertEquals(host.kept.writes, 3);
});

Deno.test("site small files: without room for them, what came is used", async () => {
  await using host = new Host(model("a"));
  await host.list();
  host.kept.isFull = true;
  assertEquals(await host.list(), ["a", true]);
  host.answer = model("b");
  assertEquals(await host.list(), ["b", true]);
  // Others do not find the old one.
  assertEquals(await host.list("kept"), ["b", true]);
});

Deno.test("site small files: what a host sends in their place is never kept", async () => {
  const answers = [
    broken,
    () => new Response(page, { headers: { "content-type": "text/html" } }),
    () => new Response("[]"),
    none,
    () => new Response("", { status: 500 }),
  ];
  for (const answer of answers) {
    await using host = new Host(model("a"));
    await host.list();
    host.answer = (path) =>
      path === "/model.json" ? answer() : model("a")(path);
    assertEquals(await host.list(), ["a", true]);
    assertEquals(await host.list("kept"), ["a", true]);
  }
});

Deno.test("site small files: a preview that is a page of text is none", async () => {
  await using host = new Host(model("a"));
  await host.list();
  host.answer = (path) =>
    path === "/model.json" ? new Response(manifest("a")) : new Response(page);
  assertEquals(await host.list(), ["a", true]);
  host.kept.files.delete("/preview.json");
  assertEquals(await host.list(), ["a", false]);
  host.answer = (path) => path === "/model.json" ? model("a")(path) : none();
  assertEquals(await host.list(), ["a", false]);
});

Deno.test("site small files: what was kept of a page of text is fetched again", async () => {
  await using host = new Host(model("a"));
  host.kept.files.set("/model.json", encoder.encode(page));
  assertEquals(await host.list("kept"), ["a", true]);
});

Deno.test("site small files: at a first visit its words are for a visitor", async () => {
  const answers = [
    [broken, /its host does not answer, and nothing .* is kept here yet/],
    [
      () => new Response(page),
      /sends something else .*; sign in to the network/,
    ],
    [none, /its host answers 404; try again later, or tell the site's owner$/],
    [
      () => new Response("", { status: 500 }),
      /its host answers 500; try again later, or tell the site's owner$/,
    ],
  ] as const;
  for (const [answer, said] of answers) {
    await using host = new Host(answer);
    const { code, message } = await assertRejects(
      () => host.list(),
      MasterWeaverError,
    );
    assertEquals([code, said.test(message)], ["cannot-read", true], message);
    assertEquals(host.kept.files.size, 0);
  }
});

/** A browser's cache, until all data of its site is deleted. */
class FakeCache {
  isGone = false;
  readonly #kept = new Map<string, Response>();

  #check(): void {
    if (this.isGone) {
      throw new DOMException("Entry was not found.", "NotFoundError");
    }
  }

  async match(url: string): Promise<Response | undefined> {
    this.#check();
    return await this.#kept.get(url)?.clone();
  }

  async put(url: string, response: Response): Promise<void> {
    this.#check();
    await this.#kept.set(url, response);
  }

  async keys(url: string): Promise<{ url: string }[]> {
    this.#check();
    return await [...this.#kept.keys()].filter((one) => one.startsWith(url))
      .map((one) => ({ url: one }));
  }
}

const file = {
  url: "http://127.0.0.1/vae.weave",
  name: "vae.weave",
  bytes: 5,
  hash: "a",
};

Deno.test("site chunks: after all data of the site was deleted, they are kept anew", async () => {
  const opened: FakeCache[] = [];
  const store = await ChunkStore.open({
    open: () => {
      opened.push(new FakeCache());
      return Promise.resolve(opened.at(-1) as unknown as Cache);
    },
  });
  const bytes = encoder.encode("bytes");
  await store.write(file, 0, bytes);
  assertEquals(await store.indexes(file), new Set([0]));
  opened[0].isGone = true;
  assertEquals(await store.indexes(file), new Set());
  assertEquals(await store.read(file, 0), undefined);
  await store.write(file, 0, bytes);
  assertEquals(await store.read(file, 0), bytes);
  assertEquals(opened.length, 2);
});

Deno.test("site chunks: what the browser cannot do is said, and is no broken connection", async () => {
  const cache = new FakeCache();
  const store = await ChunkStore.open({
    open: () => Promise.resolve(cache as unknown as Cache),
  });
  cache.isGone = true;
  const { code, message } = await assertRejects(
    () => store.indexes(file),
    MasterWeaverError,
  );
  assertEquals(code, "cannot-write");
  assertEquals(message.includes("The browser cannot keep the model"), true);
});
