/**
 * The studio's engine: the mini model in a Worker makes the library's images, is
 * stopped, dies, is freed and comes back, and never keeps the server waiting.
 */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { decodeImage, readPngText } from "../src/host/codecs/codec.ts";
import { checkShape } from "../src/graph/launch_checks.ts";
import { readImage } from "../src/host/files.ts";
import { type LoadOptions, MasterWeaver } from "../src/host/masterweaver.ts";
import { checkSettings } from "../src/options/options.ts";
import type { Settings } from "../src/options/settings.ts";
import {
  type EncodedIdentity,
  type EngineCall,
  type ImageTask,
  noSources,
  type Person,
  type Photo,
  type Preview,
} from "../src/studio/engine/engine.ts";
import { checkedPhoto } from "../src/studio/api/photos.ts";
import { ModelKeeper } from "../src/studio/engine/model_keeper.ts";
import { GpuEngine } from "../src/studio/engine/gpu_engine.ts";
import { LocalQueue } from "../src/studio/jobs/local_queue.ts";
import { Job } from "../src/studio/jobs/job.ts";
import { sameBytes } from "./support/compare.ts";
import { facePath, facePng } from "./support/face_photos.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/model.ts";

const MODEL = repositoryPath("weights/mini");
const DEMO = repositoryPath("weights/mini/demo.png");
/** What the library is loaded with, too: other kernels and types round otherwise. */
const load = { dtype: "f32", tune: "off" } as const;

let opened: Promise<GpuEngine> | undefined;

/** One engine for all tests: each leaves it able to work. */
function sharedEngine(): Promise<GpuEngine> {
  return opened ??= GpuEngine.open(MODEL, {
    ...load,
    module: new URL("support/mortal_gpu_worker.ts", import.meta.url),
  });
}

Deno.test.afterAll(async () => {
  await (await opened)?.[Symbol.asyncDispose]();
});

async function photo(path = DEMO): Promise<Photo> {
  return await checkedPhoto(await Deno.readFile(path), "photo");
}

async function demo(): Promise<Person> {
  return { photos: [await photo()], choices: {} };
}

/** Few and small: 64 pixels are half the model's own size. */
function task(
  engine: GpuEngine,
  person: EncodedIdentity,
  given: Partial<Settings> = {},
): ImageTask {
  const small = { prompt: "a man in the snow", steps: 3, seed: 7 };
  const size = { width: 64, height: 64 };
  return {
    settings: checkSettings({ ...small, ...size, ...given }, engine.model.size),
    person,
    sources: noSources,
    format: "png",
    preview: false,
  };
}

/** Makes one image; gives its file. */
async function makeOne(
  engine: GpuEngine,
  given: Partial<Settings> = {},
  call: EngineCall = {},
): Promise<Uint8Array> {
  const person = await engine.encode(await demo(), {});
  const { images } = await engine.generate(task(engine, person, given), call);
  return images[0].bytes;
}

gpuTest("studio engine: pixels and texts are the library's", async () => {
  const engine = await sharedEngine();
  assertEquals([engine.isLoaded, engine.model.dtype], [false, null]);
  const person = await engine.encode(await demo(), {});
  assertEquals(engine.model.dtype, "f32");
  assertNotEquals(engine.model.gpu, null);
  const previews: Preview[] = [];
  const stages = new Set<string>();
  const made = await engine.generate(
    { ...task(engine, person, { numImages: 2 }), preview: true },
    {
      onPreview: (preview) => previews.push(preview),
      onProgress: ({ stage }) => stages.add(stage),
    },
  );
  assertEquals(previews.map(({ step, total }) => [step, total]), [[2, 3]]);
  const shown = previews[0].images.map((png) => decodeImage(png, "preview"));
  assertEquals(shown.map(({ width }) => width), [32, 32]);
  assert(stages.has("denoise") && stages.has("decode"));

  await using weaver = await MasterWeaver.load(MODEL, load);
  assertEquals(engine.model.hash, weaver.hash);
  const identity = await weaver.encodeIdentity([await readImage(DEMO)]);
  assertEquals(person.identity.tokens, identity.tokens);
  const { settings } = task(engine, person, { numImages: 2 });
  const { images } = await weaver.generate({ ...settings, identity });
  for (const [i, { data }] of images.entries()) {
    const { bytes, width, height } = made.images[i];
    assertEquals([width, height], [64, 64]);
    const own = decodeImage(bytes, "made");
    assert(sameBytes(own.data, data), `image ${i} differs`);
    const text = readPngText(bytes);
    assertEquals(text.prompt, "a man in the snow");
    assertEquals(text.model, "weights/mini");
    assertEquals(text.model_hash, weaver.hash);
  }
  const [face] = person.faces;
  assert(sameBytes(
    decodeImage(face.bytes, "face").data,
    identity.references[0].data,
  ));
});

gpuTest("studio engine: a person is encoded once", async () => {
  const engine = await sharedEngine();
  const first = await engine.encode(await demo(), {});
  let reports = 0;
  const again = await engine.encode(await demo(), {
    onProgress: () => reports++,
  });
  assert(again === first);
  assertEquals(reports, 0);
  // What decides the result decides the name.
  const { photos } = await demo();
  const other = await engine.encode({ photos, choices: { parse: false } }, {});
  assertNotEquals(other.id, first.id);
  const three = await engine.encode({
    photos: [...photos, ...photos, await photo(facePath("astronaut_crop.jpg"))],
    choices: {},
  }, {});
  assertEquals(three.faces.length, 3);
  assertEquals(new Set(three.photoHashes).size, 2);
  const { tokens } = three.identity;
  assertEquals(tokens.length, first.identity.tokens.length);
  assertNotEquals(tokens, first.identity.tokens);
});

gpuTest(
  "studio engine: photos without a face are refused where one is needed",
  async () => {
    const engine = await sharedEngine();
    const bytes = await facePng("coffee_no_face");
    const photos = [
      ...(await demo()).photos,
      await checkedPhoto(bytes, "photo"),
    ];
    const error = await assertRejects(
      () => engine.encode({ photos, choices: { requireFace: true } }, {}),
      MasterWeaverError,
    );
    assertEquals(error.code, "no-face");
  },
);

gpuTest("studio engine: stops within a second, and works again", async () => {
  const engine = await sharedEngine();
  const stop = new AbortController();
  let stopped = 0;
  const error = await assertRejects(
    () =>
      makeOne(engine, { steps: 200 }, {
        signal: stop.signal,
        onProgress: ({ stage, done }) => {
          if (stage !== "denoise" || done < 2 || stopped > 0) return;
          stopped = performance.now();
          stop.abort();
        },
      }),
    MasterWeaverError,
  );
  const taken = performance.now() - stopped;
  assertEquals(error.code, "aborted");
  assert(taken < 1000, `stopped after ${taken} ms`);
  // By itself: the Worker, with the model in it, was not replaced.
  assert(!error.message.includes("replaced"), error.message);
  const loads: string[] = [];
  const onProgress: EngineCall["onProgress"] = ({ stage }) => loads.push(stage);
  assert((await makeOne(engine, {}, { onProgress })).length > 0);
  assert(!loads.includes("load"), "the model was loaded again");
});

gpuTest(
  "studio engine: a Worker that dies is started again, its job told why",
  async () => {
    const engine = await sharedEngine();
    const before = await makeOne(engine);
    const queue = new LocalQueue(engine, {
      maxWaiting: 10,
      jobTimeout: 60_000,
    });
    const person = await engine.encode(await demo(), {});
    const [lost, next] = ["die", "a man in the snow"].map((prompt) =>
      new Job("someone", {
        ...task(engine, person, { prompt, steps: prompt === "die" ? 50 : 3 }),
        modelHash: engine.model.hash,
      })
    );
    await queue.add(lost);
    await queue.add(next);
    await lost.ended;
    assertEquals(lost.state, "failed");
    const { error } = lost.resource();
    assertEquals(error?.code, "gpu");
    assertStringIncludes(error!.message, "The GPU Worker died");
    assertStringIncludes(error!.message, "The GPU is on fire");
    assertStringIncludes(error!.message, "is started again; try again");
    await next.ended;
    assertEquals(next.state, "done");
    assert(sameBytes(next.images[0].bytes, before));
  },
);

gpuTest(
  "studio engine: the server's event loop never waits for an image",
  async () => {
    const engine = await sharedEngine();
    await makeOne(engine);
    // Twice more where another program took the time.
    const lags: number[] = [];
    do {
      lags.push(await worstLag(() => makeOne(engine, { steps: 12 })));
    } while (lags.at(-1)! >= 100 && lags.length < 3);
    assert(lags.at(-1)! < 100, `the event loop stood for ${lags} ms`);
  },
);

/** The longest time in milliseconds that a timer was late while something ran. */
async function worstLag(run: () => Promise<unknown>): Promise<number> {
  let worst = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 5);
    last = now;
  }, 5);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  return worst;
}

gpuTest(
  "studio engine: the GPU is freed when idle, and the model comes back",
  async () => {
    await using engine = await GpuEngine.open(MODEL, {
      ...load,
      idleRelease: 1,
    });
    const first = await makeOne(engine);
    await until(() => !engine.isLoaded);
    const loads = new Set<string>();
    const again = await makeOne(engine, {}, {
      onProgress: ({ stage }) => loads.add(stage),
    });
    assert(loads.has("load"));
    assert(sameBytes(again, first));
    await until(() => !engine.isLoaded);
  },
);

gpuTest(
  "studio engine: a call that is too large leaves the networks loaded",
  async () => {
    let loads = 0;
    const loader = {
      keepLoaded: true,
      load: (options: LoadOptions) =>
        MasterWeaver.load(MODEL, { ...options, ...load }),
      hasRoom: () => Promise.resolve(true),
    };
    const keeper = new ModelKeeper(loader, () => loads++);
    /** Fails some times; gives how often it worked, and its warnings. */
    const failing = async (message: string, times: number) => {
      const warnings: string[] = [];
      let works = 0;
      await keeper.use(
        { onWarning: (warning) => warnings.push(warning) },
        () => {
          if (works++ < times) {
            throw new MasterWeaverError("out-of-memory", message);
          }
          return Promise.resolve();
        },
      ).catch(() => {});
      return { works, warnings };
    };
    // As the core tells an adapter's limits.
    const { message } = assertThrows(
      () => checkShape({ width: 1, height: 9, shift: 0 }, "x", 8),
      MasterWeaverError,
    );
    assertEquals(await failing(message, 9), { works: 1, warnings: [] });
    assertEquals(loads, 1);
    const full = "The GPU has no memory left for x";
    assertEquals(await failing(full, 9), { works: 2, warnings: [] });
    // All networks are kept again, and let go only where that helps.
    const { works, warnings } = await failing(full, 1);
    assertEquals([works, warnings.length], [2, 1]);
    assertEquals((await failing(full, 9)).works, 1);
    await keeper.release();
  },
);

/** Waits for something, ten seconds at most. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert(holds(), "it did not come about");
}
