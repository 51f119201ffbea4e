/**
 * Networks come to the GPU when they are needed and leave when they are done,
 * and host memory holds no second copy of them.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import { Graph } from "../src/graph/graph.ts";
import { Network } from "../src/graph/network.ts";
import { Tuner } from "../src/graph/tuner.ts";
import {
  type StoredParameter,
  WeightStore,
} from "../src/graph/weight_store.ts";
import { map } from "../src/ops/map.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { Progress } from "../src/base/progress.ts";
import { deno, finished } from "./support/command.ts";
import { openControlNet } from "./support/control_nets.ts";
import { convertFiles, upscalerTensors } from "./support/extra_networks.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { repositoryPath } from "./support/model.ts";
import { largeWeight } from "./support/large_weight.ts";

const mini = repositoryPath("weights/mini");
const portrait = await readImage(
  repositoryPath("tests/goldens/portraits/portrait-1.png"),
);
const small = { prompt: "a woman", steps: 2, width: 64, height: 64 };

/** An image, and the bytes on the GPU before, between and after. */
async function paint(keepLoaded: boolean) {
  await using weaver = await MasterWeaver.load(mini, { keepLoaded });
  const { buffers } = weaver.gpu;
  const bytes = [buffers.bytes];
  const loads: string[] = [];
  const onProgress = ({ stage, network, done }: Progress) => {
    if (stage === "load" && done === 0) loads.push(network!);
  };
  const identity = await weaver.encodeIdentity([portrait], {
    align: false,
    onProgress,
  });
  bytes.push(buffers.bytes);
  const { images } = await weaver.generate({ ...small, identity, onProgress });
  bytes.push(buffers.bytes);
  // Once more, at another size.
  await weaver.generate({ ...small, identity, height: 72, onProgress });
  return { pixels: images[0].data, bytes, loads, peak: buffers.peakBytes };
}

const each = ["face parser", "image encoder", "text encoder", "UNet", "VAE"];

gpuTest(
  "networks: each is loaded when it is needed, freed when it is done",
  async () => {
    const freed = await paint(false);
    assertEquals(freed.loads, [...each, ...each.slice(2)]);
    const [before, between, after] = freed.bytes;
    assertEquals([before, between], [0, 0]);
    // Latents, keys and values stay for the next image of that size.
    assert(after < 2 ** 20, `${after} bytes after an image`);

    const kept = await paint(true);
    assertEquals(kept.loads, each);
    assert(kept.bytes[2] > kept.bytes[1] && kept.bytes[1] > 2 ** 20);
    assert(
      freed.peak < 0.8 * kept.peak,
      `peak ${freed.peak} bytes, ${kept.peak} where all are kept`,
    );
    assertEquals(freed.pixels, kept.pixels);
  },
);

gpuTest("networks: what stops a call frees them", async () => {
  await using weaver = await MasterWeaver.load(mini);
  const identity = await weaver.encodeIdentity([portrait], { align: false });
  const stop = new AbortController();
  await assertRejects(
    () =>
      weaver.generate({
        ...small,
        identity,
        signal: stop.signal,
        onProgress: ({ stage }) => stage === "denoise" && stop.abort(),
      }),
    MasterWeaverError,
    "Stopped",
  );
  assert(weaver.gpu.buffers.bytes < 2 ** 20);
  const { images } = await weaver.generate({ ...small, identity });
  assertEquals(images.length, 1);
});

gpuTest(
  "networks: kernels of all plans are chosen before any is made",
  async () => {
    const events: string[] = [];
    // One that tells when it is asked.
    const tuner = Object.assign(new Tuner(await sharedGpu()), {
      prepare: (graph: Graph) => {
        events.push(`choose for ${[...graph.outputs.keys()]}`);
        return Promise.resolve();
      },
    });
    using network = new Network(await sharedGpu(), true, tuner);
    const recipe = (name: string) => ({
      key: name,
      graph: () => {
        const g = new Graph("f32");
        const x = g.input("x", [4], "f32");
        g.output(name, g.apply(map, { x }, { offset: 1 }));
        return g;
      },
    });
    const use = async (...names: string[]) => {
      const plans = Object.fromEntries(names.map((n) => [n, recipe(n)]));
      const onPrepare = (done: number, total: number) =>
        events.push(`${done} of ${total}`);
      await network.use({ plans, onPrepare }, async (plans) => {
        for (const name of names) {
          plans[name].write("x", Float32Array.of(1, 2, 3, 4));
          plans[name].run();
          assertEquals((await plans[name].read(name))[name][3], 5);
        }
      });
      return events.splice(0);
    };
    const first = await use("a", "b");
    assertEquals(first.slice(0, 2), ["choose for a", "choose for b"]);
    assertEquals([first[2], first.at(-1)], ["0 of 2", "2 of 2"]);
    // What is there stays; what is not is added.
    assertEquals(await use("b", "a"), []);
    assertEquals(await use("b", "c"), ["choose for c", "0 of 1", "1 of 1"]);
  },
);

gpuTest("weights: a load that is stopped leaves nothing behind", async () => {
  const gpu = await sharedGpu();
  using store = new WeightStore(gpu);
  const { count, bytes } = gpu.buffers;
  const weights = [largeWeight(0), largeWeight(1)];
  const stopAt = (limit: number) => (done: number) => {
    if (done >= limit) throw new Error("enough");
  };
  await assertRejects(
    () => store.load(weights, stopAt(20 * 2 ** 20)),
    Error,
    "enough",
  );
  assertEquals([gpu.buffers.count, gpu.buffers.bytes], [count, bytes]);
  await store.load(weights);
  assert(store.find(weights[1]));
});

gpuTest("weights: what a stopped load leaves is whole", async () => {
  const gpu = await sharedGpu();
  using store = new WeightStore(gpu);
  let mayRead = false;
  // Trained weights lie in a block each, so that the first is there before the second.
  const weight = (value: number): StoredParameter => {
    const name = `weight of ${value}`;
    async function* chunks() {
      await Promise.resolve();
      if (value === 2 && !mayRead) throw new Error("stopped");
      yield new Uint8Array(new Float32Array(6).fill(value).buffer);
    }
    const tensor = {
      name,
      dtype: "f32",
      shape: [6],
      bytes: 24,
      chunks,
    } as const;
    const ref = { name, shape: [6], tensor };
    return { ref, dtype: "f32", layout: "rows", trainable: true };
  };
  const weights = [weight(1), weight(2)];
  await assertRejects(() => store.load(weights), Error, "stopped");
  assert(store.find(weights[0]));
  mayRead = true;
  await store.load(weights);
  for (const [i, parameter] of weights.entries()) {
    assertEquals([...await store.read(parameter)], Array(6).fill(i + 1));
  }
});

gpuTest(
  "weights: what a stopped change leaves is whole or written again",
  async () => {
    const gpu = await sharedGpu();
    using store = new WeightStore(gpu);
    let mayRead = false;
    const tensor = (name: string, value: number, isLate = false) => {
      async function* chunks() {
        await Promise.resolve();
        if (isLate && !mayRead) throw new Error("stopped");
        yield new Uint8Array(new Float32Array(6).fill(value).buffer);
      }
      return { name, dtype: "f32", shape: [6], bytes: 24, chunks } as const;
    };
    const own = [tensor("first", 1), tensor("second", 2)];
    const weights = own.map((tensor): StoredParameter => ({
      ref: { name: tensor.name, shape: [6], tensor },
      dtype: "f32",
      layout: "rows",
      trainable: false,
    }));
    await store.load(weights);
    const contents = new Map(own.map((before, i) => [
      before,
      { key: "changed", tensor: tensor(before.name, 11 + i, i === 1) },
    ]));
    await assertRejects(() => store.hold(contents), Error, "stopped");
    mayRead = true;
    await store.hold(contents);
    for (const [i, parameter] of weights.entries()) {
      assertEquals([...await store.read(parameter)], Array(6).fill(11 + i));
    }
  },
);

gpuTest(
  "weights: 384 MB are streamed within 150 MB of host memory",
  async () => {
    // In a process of its own: others use this one's memory, too.
    const script = repositoryPath("tests/support/streamed_weights.ts");
    const { code, out, err } = await finished(deno(["run", "-A", script]));
    assertEquals([code, err], [0, []]);
    assert(Number.parseFloat(out) < 150, `${out} MiB of host memory`);
  },
  Deno.build.os !== "linux",
);

gpuTest(
  "networks: what one image has beside the model leaves with it, though loaded",
  async () => {
    await using converted = await convertFiles({
      "small.safetensors": upscalerTensors(2),
    });
    const upscaler = converted.sources.get("upscaler")!;
    await using weaver = await MasterWeaver.load(mini, {
      dtype: "f32",
      tune: "off",
      keepLoaded: true,
    });
    const bytes = async (height: number, isControlled: boolean) => {
      const image = {
        width: 32,
        height,
        data: new Uint8ClampedArray(32 * height * 4),
      };
      // Opened again for each image, as the studio opens it for each job.
      const net = isControlled && await openControlNet(7);
      await weaver.generate({
        prompt: "a",
        steps: 1,
        width: 32,
        height,
        ...net && { controls: [{ net, image }] },
      });
      await weaver.upscale(image, { upscaler });
      return weaver.gpu.buffers.bytes;
    };
    const first = await bytes(32, true);
    await bytes(48, true);
    assertEquals(await bytes(32, true), first);
    const plain = await bytes(32, false);
    const net = await openControlNet(7);
    const largest = Math.max(
      ...[...net.component.file.tensors.values()].map(({ bytes }) => bytes),
    );
    assert(plain < first - largest, `${plain} of ${first} bytes`);
  },
);
