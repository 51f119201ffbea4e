/**
 * How the page that computes everything itself fetches a file: from hosts that
 * know no ranges, break off, answer shortly or have another file.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { CHUNK_BYTES, type RemoteFile } from "../src/site/model/chunk_store.ts";
import { ChunkSource } from "../src/site/model/sources.ts";
import { download, type DownloadOptions } from "../src/site/model/download.ts";

/** More than one request asks for. */
const content = new Uint8Array(18 * CHUNK_BYTES + 1000)
  .map((_, i) => (i * i) >>> 8);

/** Keeps chunks in memory. */
class Kept {
  readonly chunks = new Map<number, Uint8Array<ArrayBuffer>>();

  indexes(): Promise<Set<number>> {
    return Promise.resolve(new Set(this.chunks.keys()));
  }

  read(
    _file: RemoteFile,
    index: number,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return Promise.resolve(this.chunks.get(index));
  }

  write(
    _file: RemoteFile,
    index: number,
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    this.chunks.set(index, bytes);
    return Promise.resolve();
  }

  /** The whole file. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const inOrder = [...this.chunks].sort(([a], [b]) => a - b);
    return await new Blob(inOrder.map(([, bytes]) => bytes)).bytes();
  }
}

/** Answers a request for some bytes, the last one included. */
type Answer = (first: number, last: number) => Response;

/** A host of the file, and what fetches from it. */
class Host implements AsyncDisposable {
  /** What was asked for. */
  readonly asked: [first: number, last: number][] = [];
  readonly kept = new Kept();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: Answer) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ headers }) => {
        const range = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range")!)!;
        const [first, last] = [Number(range[1]), Number(range[2])];
        this.asked.push([first, last]);
        return answer(first, last);
      },
    );
  }

  /** The file, as a model's list has it. */
  get file(): RemoteFile {
    const url = `http://127.0.0.1:${this.#server.addr.port}/unet.weave`;
    return { url, name: "unet.weave", bytes: content.length, hash: "0" };
  }

  async download(options: DownloadOptions = {}): Promise<void> {
    await download(this.file, this.kept, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Bytes of the file, as a host with ranges sends them. */
function ranged(first: number, last: number, total = content.length): Response {
  return new Response(content.subarray(first, last + 1), {
    status: 206,
    headers: { "content-range": `bytes ${first}-${last}/${total}` },
  });
}

Deno.test("site download: requests of 16 MiB, each byte once", async () => {
  await using host = new Host(ranged);
  let done = 0;
  await host.download({ onBytes: (count) => done += count });
  assertEquals(host.asked, [
    [0, 16 * CHUNK_BYTES - 1],
    [16 * CHUNK_BYTES, content.length - 1],
  ]);
  assertEquals(done, content.length);
  assertEquals(await host.kept.bytes(), content);
});

Deno.test("site download: a host without ranges sends a long file once", async () => {
  await using host = new Host(() => new Response(content));
  await host.kept.write(
    null!,
    2,
    content.slice(2 * CHUNK_BYTES, 3 * CHUNK_BYTES),
  );
  let done = 0;
  await host.download({ onBytes: (count) => done += count });
  assertEquals(host.asked.length, 1);
  assertEquals(done, content.length - CHUNK_BYTES);
  assertEquals(await host.kept.bytes(), content);
});

Deno.test("site download: goes on for as long as something comes", async () => {
  // Four MiB an answer: between two chunks, where nothing looks cut off.
  await using host = new Host((first, last) =>
    ranged(first, Math.min(last, first + 4 * CHUNK_BYTES - 1))
  );
  await host.download();
  // Four breaks; three without anything between them end it.
  assertEquals(host.asked.length, 5);
  assertEquals(await host.kept.bytes(), content);
});

Deno.test("site download: a connection that brings nothing is given up", async () => {
  await using host = new Host((first, last) =>
    first === 0
      ? ranged(first, last)
      : new Response("", { status: 503, headers: { "retry-after": "1" } })
  );
  await assertRejects(
    () => host.download(),
    MasterWeaverError,
    "the connection breaks (the host answers 503); what was fetched is kept",
  );
  assertEquals(host.kept.chunks.size, 16);
  // The first request, one that brings nothing, and three more after it.
  assertEquals(host.asked.length, 5);
});

Deno.test("site download: another file is refused before any of it is kept", async () => {
  const answers: readonly (readonly [Answer, string])[] = [
    [(first, last) => ranged(first, last, 5), "the host has 5 bytes of it"],
    [() => new Response("none", { status: 404 }), "the host answers 404"],
    [() => new Response("a page"), "the host has 6 bytes of it"],
    [() => ranged(1, 2), "the host has"],
  ];
  for (const [answer, said] of answers) {
    await using host = new Host(answer);
    await assertRejects(() => host.download(), MasterWeaverError, said);
    assertEquals(host.asked.length, 1);
    assertEquals(host.kept.chunks.size, 0);
  }
});

Deno.test("site download: stops where it is told to, and keeps what came", async () => {
  await using host = new Host(ranged);
  const controller = new AbortController();
  const stopped = await assertRejects(
    () =>
      host.download({
        signal: controller.signal,
        onBytes: () => controller.abort(),
      }),
    MasterWeaverError,
  );
  assertEquals(stopped.code, "aborted");
  assertEquals(host.kept.chunks.size, 1);
});

Deno.test("site download: two that want a file fetch it once", async () => {
  await using host = new Host(ranged);
  await Promise.all([host.download(), host.download()]);
  assertEquals(host.asked.length, 2);
});

Deno.test("site download: what the browser has dropped is fetched again, when it is read", async () => {
  await using host = new Host(ranged);
  await host.download();
  host.asked.length = 0;
  host.kept.chunks.delete(7);
  const source = new ChunkSource(host.file, host.kept);
  // Across the borders of chunks, and two reads at once.
  const start = 6 * CHUNK_BYTES - 5, length = 4 * CHUNK_BYTES;
  const expected = content.slice(start, start + length);
  const reads = [source.read(start, length), source.read(start, length)];
  for (const bytes of await Promise.all(reads)) assertEquals(bytes, expected);
  assertEquals(host.asked, [[7 * CHUNK_BYTES, 8 * CHUNK_BYTES - 1]]);
});

Deno.test("site download: a host that falls silent is given up", async () => {
  const start = content.slice(0, CHUNK_BYTES + 5);
  await using host = new Host(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(start),
      }),
    )
  );
  await assertRejects(
    () => host.download({ silence: 100 }),
    MasterWeaverError,
    "the connection breaks (the host sends nothing for 0.1 s)",
  );
  assertEquals(host.kept.chunks.size, 1);
});

Deno.test("site download: a page of text of unknown length is refused at once", async () => {
  await using host = new Host(() =>
    new Response(new Blob(["<!doctype html>"]).stream(), {
      headers: { "content-type": "text/html" },
    })
  );
  await assertRejects(
    () => host.download(),
    MasterWeaverError,
    "the host sends a page of text instead; sign in to the network",
  );
  assertEquals(host.asked.length, 1);
});
