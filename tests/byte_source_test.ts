/**
 * A caller's own source of bytes: its results may be views of a larger buffer, as
 * Node's Buffers are.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  alignedSource,
  type ByteSource,
  MemorySource,
} from "../src/base/bytes.ts";
import type { ModelFiles } from "../src/weights/components.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { DlibStream } from "../src/checkpoints/dlib_stream.ts";
import { FaceFinder } from "../src/face/finder.ts";
import { readImage } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import { openWeave } from "../src/weights/weave.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import { readZipDirectory } from "../src/checkpoints/zip.ts";
import { sameBytes } from "./support/compare.ts";
import { DlibWriter } from "./support/dlib.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { safetensorsBytes } from "./support/weights.ts";

/** Every way in which bytes may be placed in a larger buffer. */
const places: Readonly<
  Record<string, (bytes: Uint8Array) => Uint8Array<ArrayBuffer>>
> = {
  "at an odd offset": (bytes) => {
    const room = new Uint8Array(bytes.length + 20).fill(0xa5);
    room.set(bytes, 7);
    return room.subarray(7, 7 + bytes.length);
  },
  "at the start of a longer buffer": (bytes) => {
    const room = new Uint8Array(bytes.length + 9).fill(0xa5);
    room.set(bytes);
    return room.subarray(0, bytes.length);
  },
  "in a Node Buffer": (bytes) => {
    const pool = Buffer.alloc(bytes.length + 16, 0xa5);
    pool.set(bytes, 3);
    return pool.subarray(3, 3 + bytes.length) as Uint8Array as Uint8Array<
      ArrayBuffer
    >;
  },
};

/** A source that gives views, as the place says. */
function viewing(
  bytes: Uint8Array,
  place: (bytes: Uint8Array) => Uint8Array<ArrayBuffer>,
  name = "views",
): ByteSource {
  const source = new MemorySource(bytes, name);
  return {
    name,
    size: source.size,
    read: async (offset, length) => place(await source.read(offset, length)),
  };
}

const mini = repositoryPath("weights/mini");
const components = (await Array.fromAsync(Deno.readDir(mini)))
  .map(({ name }) => name).filter((name) => name.endsWith(".weave")).sort();

for (const [where, place] of Object.entries(places)) {
  Deno.test(`bytes ${where}: every component's tensors are the file's`, async () => {
    assert(components.length >= 7);
    for (const name of components) {
      const bytes = await Deno.readFile(`${mini}/${name}`);
      const plain = await openWeave(new MemorySource(bytes, name));
      const viewed = await openWeave(viewing(bytes, place, name));
      assertEquals(viewed.hash, plain.hash);
      assertEquals([...viewed.tensors.keys()], [...plain.tensors.keys()]);
      for (const [path, tensor] of viewed.tensors) {
        const own = plain.tensors.get(path)!;
        const isReal = ["f32", "f16", "q8", "q4"].includes(tensor.dtype);
        const read = async (of: typeof tensor) =>
          isReal
            ? await Array.fromAsync(weaveFloats(of))
            : await Array.fromAsync(of.chunks());
        assertEquals(await read(tensor), await read(own), `${name} ${path}`);
      }
    }
  });

  Deno.test(`bytes ${where}: checkpoints of every kind are read`, async () => {
    const torch = new URL("fixtures/torch/", import.meta.url);
    const files: [string, Uint8Array][] = [
      [
        "a.safetensors",
        safetensorsBytes({ a: { shape: [3], data: [1, 2.5, -7] } }),
      ],
    ];
    for (
      const name of ["values.pt", "values_protocol4.pt", "values_legacy.pth"]
    ) {
      files.push([name, await Deno.readFile(new URL(name, torch))]);
    }
    for (const [name, bytes] of files) {
      const plain = await openCheckpoint(new MemorySource(bytes, name));
      const viewed = await openCheckpoint(viewing(bytes, place, name));
      assert(plain.tensors.size > 0);
      for (const [path, tensor] of plain.tensors) {
        const other = viewed.tensors.get(path)!;
        assertEquals(await other.read(), await tensor.read(), path);
        if (!/^(F|BF)\d+$/.test(tensor.dtype)) continue;
        assertEquals(await readFloats(other), await readFloats(tensor), path);
      }
      await viewed.verify();
    }
    const zip = files[1][1];
    assertEquals(
      await readZipDirectory(viewing(zip, place)),
      await readZipDirectory(new MemorySource(zip)),
    );
  });

  Deno.test(`bytes ${where}: dlib's numbers are read`, async () => {
    const { bytes } = new DlibWriter().int(5, -1234567).double(0.375);
    const stream = new DlibStream(viewing(bytes, place));
    await stream.ahead(40);
    assertEquals(stream.integer("a"), 5);
    assertEquals(stream.integer("b"), -1234567);
    assertEquals(stream.double("c"), 0.375);
  });
}

Deno.test("bytes: a source that gives more, less or nothing is named", async () => {
  const wrong: Record<string, () => unknown> = {
    "gave 3 bytes for 4 at 0": () => new Uint8Array(3),
    "gave 5 bytes for 4 at 0": () => new Uint8Array(5),
    "gave no bytes for 4 at 0": () => new ArrayBuffer(4),
    "gave no bytes": () => undefined,
  };
  for (const [message, read] of Object.entries(wrong)) {
    const source = alignedSource({
      name: "odd.weave",
      size: 100,
      read: () => Promise.resolve(read() as Uint8Array<ArrayBuffer>),
    });
    const error = await assertRejects(
      () => source.read(0, 4),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "cannot-read");
    assert(error.message.includes("odd.weave"));
  }
});

Deno.test("bytes: bytes at the start of their buffer are not copied", async () => {
  const own = new Uint8Array(8);
  const source = alignedSource({
    name: "own",
    size: 8,
    read: () => Promise.resolve(own),
  });
  assert(await source.read(0, 8) === own);
  assert(alignedSource(source) === source);
});

gpuTest("bytes: a model of views makes the same image", async () => {
  const files: Record<string, ByteSource> = {};
  for (const name of components) {
    const bytes = await Deno.readFile(`${mini}/${name}`);
    files[name.replace(".weave", "")] = viewing(
      bytes,
      places["at an odd offset"],
      name,
    );
  }
  const photo = await readImage(`${mini}/demo.png`);
  const paint = async (weaver: MasterWeaver) => {
    const identity = await weaver.encodeIdentity([photo], { align: false });
    const options = { identity, prompt: "a man", steps: 2 };
    return (await weaver.generate(options)).images[0];
  };
  await using weaver = await MasterWeaver.load(files as ModelFiles, {
    dtype: "f32",
    tune: "off",
  });
  const { data } = await paint(weaver);
  const own = await paint(await miniWeaver("f32"));
  assert(sameBytes(data, own.data));
  const finder = await FaceFinder.load(files.face_detector);
  assertEquals(
    await finder.detect(photo),
    await weaver.detectFaces(photo),
  );
});

Deno.test("bytes: a source that throws is named, with its cause", async () => {
  const cause = new TypeError("the network is down");
  const read = () => Promise.reject(cause);
  const source = alignedSource({ name: "odd.weave", size: 100, read });
  const error = await assertRejects(
    () => source.read(0, 4),
    MasterWeaverError,
    "Cannot read odd.weave: its source failed for 4 bytes at 0 (the network is down)",
  );
  assertEquals([error.code, error.cause], ["cannot-read", cause]);
});

Deno.test("bytes: what is no source or no bytes is refused", async () => {
  const bytes = new Uint8Array(8);
  for (
    const [vae, says] of [
      [bytes, "got bytes; give new MemorySource(bytes)"],
      ["vae.weave", 'got "vae.weave"'],
      [{ name: "a", size: -1, read: () => {} }, "got an object"],
    ] as const
  ) {
    const error = await assertRejects(
      () => MasterWeaver.load({ vae } as unknown as ModelFiles),
      MasterWeaverError,
      "Option model must have a ByteSource as vae",
    );
    assertEquals(error.code, "bad-option");
    assert(error.message.endsWith(says), error.message);
  }
  for (
    const [given, says] of [
      [3, "got 3"],
      [bytes.buffer, "write new Uint8Array(buffer)"],
    ] as const
  ) {
    const error = assertThrows(
      () => new MemorySource(given as unknown as Uint8Array),
      MasterWeaverError,
      says,
    );
    assertEquals(error.code, "bad-option");
  }
  await assertRejects(
    () => MasterWeaver.load(`file://${mini}`),
    MasterWeaverError,
    "write new URL",
  );
});

/** The mini model's files, one of which stops answering when it is told to. */
async function stallingModel(stalled: string) {
  const files: Record<string, ByteSource> = {};
  const state = { isStalled: false };
  for (const name of components) {
    const source = new MemorySource(await Deno.readFile(`${mini}/${name}`));
    files[name.replace(".weave", "")] = name !== stalled ? source : {
      name,
      size: source.size,
      read: (offset, length) =>
        state.isStalled ? new Promise(() => {}) : source.read(offset, length),
    };
  }
  return { files: files as ModelFiles, state };
}

/** Fails where a call is not stopped soon after its time is up. */
async function assertStops(
  call: (signal: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const started = performance.now();
  const error = await assertRejects(
    () => call(AbortSignal.timeout(300)),
    MasterWeaverError,
  );
  assertEquals(error.code, "aborted");
  const seconds = (performance.now() - started) / 1000;
  assert(seconds < 5, `${seconds} s`);
}

gpuTest("bytes: a source that never answers is not waited for", async () => {
  const { files, state } = await stallingModel("vae.weave");
  state.isStalled = true;
  await assertStops((signal) => MasterWeaver.load(files, { signal }));
  state.isStalled = false;
  const options = { dtype: "f32", tune: "off" } as const;
  const weaver = await MasterWeaver.load(files, options);
  const photo = await readImage(`${mini}/demo.png`);
  const identity = await weaver.encodeIdentity([photo], { align: false });
  const settings = { identity, prompt: "", steps: 1, width: 64, height: 64 };
  state.isStalled = true;
  await assertStops((signal) => weaver.generate({ ...settings, signal }));
  // Afterwards the model works, and can be disposed of while it waits.
  state.isStalled = false;
  assertEquals((await weaver.generate(settings)).images.length, 1);
  state.isStalled = true;
  const waiting = assertRejects(
    () => weaver.generate(settings),
    MasterWeaverError,
  );
  await new Promise((resume) => setTimeout(resume, 300));
  await weaver[Symbol.asyncDispose]();
  await waiting;

  const finder = await stallingModel("face_detector.weave");
  finder.state.isStalled = true;
  await using other = await MasterWeaver.load(finder.files, options);
  await assertStops((signal) => other.detectFaces(photo, { signal }));
  await assertStops((signal) =>
    other.encodeIdentity([photo], { align: true, signal })
  );
});
