/**
 * From a file's weights to the GPU's: types are converted in chunks, deltas are
 * added on the way, and a network cannot distinguish them from weights that were
 * changed in the file.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { planReconversion } from "../src/checkpoints/reconversion.ts";
import { type Components, componentsOf } from "../src/components/networks.ts";
import type { StorageType } from "../src/gpu/gpu.ts";
import { Graph } from "../src/graph/graph.ts";
import { fullDelta, lowRankDelta } from "../src/weights/delta_kinds.ts";
import { type WeightDelta, withDeltas } from "../src/weights/deltas.ts";
import { weaveFloats } from "../src/weights/floats.ts";
import type { ModelDtype } from "../src/weights/quantisation_policy.ts";
import { WeightScope } from "../src/weights/scope.ts";
import { weightChunks } from "../src/weights/source.ts";
import {
  openWeave,
  type WeaveFile,
  type WeaveTensor,
} from "../src/weights/weave.ts";
import { unetPass } from "../tools/compare/passes.ts";
import { runPass } from "../tools/compare/run.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents, repositoryPath } from "./support/model.ts";
import { floatTensor, join, random, weaveBytes } from "./support/weights.ts";

const LINEAR = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight";
const CONV = "down_blocks.0.resnets.0.conv1.weight";
const NORM = "conv_norm_out.bias";

/** The mini model's UNet, stored as another type. */
async function miniUnet(dtype: ModelDtype): Promise<WeaveFile> {
  const path = repositoryPath("weights/mini/unet.weave");
  const file = await openWeave(new MemorySource(await Deno.readFile(path)));
  const { tensors } = planReconversion(file, dtype);
  const bytes = await weaveBytes({ config: file.config, tensors });
  return await openWeave(new MemorySource(bytes, `unet-${dtype}.weave`));
}

/** Values in −size..size. */
function values(seed: number, length: number, size = 0.05): Float32Array {
  const next = random(seed);
  return Float32Array.from(
    { length },
    () => size * (next(2 ** 20) / 2 ** 19 - 1),
  );
}

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

async function floats(tensor: WeaveTensor): Promise<Float32Array> {
  const chunks = await Array.fromAsync(weaveFloats(tensor));
  const all = new Float32Array(count(tensor.shape));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  assertEquals(at, all.length);
  return all;
}

/** One delta of each kind: a linear layer, a convolution, twice a norm. */
function deltasFor(file: WeaveFile): WeightDelta[] {
  const shape = (name: string) => file.tensors.get(name)!.shape;
  const rank = 3;
  const lowRank = (name: string, seed: number) =>
    lowRankDelta(name, shape(name), {
      rank,
      up: values(seed, shape(name)[0] * rank, 0.5),
      down: values(seed + 1, rank * count(shape(name).slice(1)), 0.5),
    }, 0.7);
  const norm = (seed: number, scale: number) =>
    fullDelta(NORM, shape(NORM), values(seed, count(shape(NORM)), 1), scale);
  return [lowRank(LINEAR, 1), lowRank(CONV, 3), norm(5, 0.5), norm(6, -1)];
}

/** The same changes made in the file: those tensors are then f32. */
async function changedFile(
  file: WeaveFile,
  deltas: readonly WeightDelta[],
): Promise<WeaveFile> {
  const tensors = [];
  for (const tensor of file.tensors.values()) {
    const { name, dtype, shape } = tensor;
    const own = deltas.filter((delta) => delta.name === name);
    if (own.length === 0) {
      tensors.push({ name, dtype, shape, data: () => tensor.chunks() });
      continue;
    }
    const all = await floats(tensor);
    for (const delta of own) await delta.addTo(all, 0);
    tensors.push(floatTensor(name, shape, [...all]));
  }
  const bytes = await weaveBytes({ config: file.config, tensors });
  return await openWeave(new MemorySource(bytes, "changed.weave"));
}

async function withUnet(unet: WeaveFile): Promise<Components> {
  const parts = await miniComponents;
  const files = new Map(
    Object.values(parts).map(({ file }) => [file.component, file]),
  );
  return componentsOf((name) => name === "unet" ? unet : files.get(name)!);
}

/** The noise that a UNet predicts in some latents. */
async function predict(unet: WeaveFile, storage: StorageType) {
  const side = 8;
  const tokens = [1, 7, Number(unet.config.cross_attention_dim)];
  const shape = [1, side, side, 4];
  const { outputs } = await runPass(
    { gpu: await sharedGpu(), storage },
    unetPass(null, "eps"),
    await withUnet(unet),
    new Map([
      ["unet.sample", { shape, data: values(11, count(shape), 1) }],
      ["unet.timesteps", { shape: [1], data: Float32Array.of(501) }],
      ["unet.text", { shape: tokens, data: values(12, count(tokens), 1) }],
    ]),
  );
  return outputs.get("eps")!.data;
}

for (const dtype of ["f32", "q8"] as const) {
  gpuTest(`deltas, ${dtype}: as weights changed in the file`, async () => {
    const file = await miniUnet(dtype);
    const deltas = deltasFor(file);
    const found = await predict(withDeltas(file, deltas), "f32");
    const expected = await predict(await changedFile(file, deltas), "f32");
    assert(nmse(found, expected) <= 1e-12, `NMSE ${nmse(found, expected)}`);
    const untouched = await predict(file, "f32");
    assert(nmse(untouched, expected) > 1e-3, "the deltas change nothing");
  });
}

Deno.test("deltas: every stored type, in chunks, to the last bit", async () => {
  for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
    const file = await miniUnet(dtype);
    const deltas = deltasFor(file);
    const changed = withDeltas(file, deltas);
    const expected = await changedFile(file, deltas);
    assertEquals([...changed.tensors.keys()], [...file.tensors.keys()]);
    for (const [name, tensor] of changed.tensors) {
      const own = file.tensors.get(name)!;
      if (![LINEAR, CONV, NORM].includes(name)) {
        assert(tensor === own, `${name} is read another way`);
        continue;
      }
      const bytes = join(await Array.fromAsync(tensor.chunks(1024)));
      assertEquals(tensor.dtype, "f32", name);
      assertEquals(tensor.bytes, bytes.length, name);
      assertEquals(
        new Float32Array(bytes.buffer),
        await floats(expected.tensors.get(name)!),
        `${dtype} ${name}`,
      );
    }
  }
});

Deno.test("deltas: a graph sees the type that a weight is read as", async () => {
  const file = await miniUnet("q8");
  const { shape } = file.tensors.get(LINEAR)!;
  for (
    const [of, expected] of [
      [file, "q8"],
      [withDeltas(file, deltasFor(file)), "f16"],
    ] as const
  ) {
    const g = new Graph("f16");
    const ref = new WeightScope(of).tensor(LINEAR, shape);
    assertEquals(g.parameter(ref).dtype, expected);
  }
});

Deno.test("deltas: all unknown names and wrong shapes are refused together", async () => {
  const file = await openWeave(
    new MemorySource(
      await weaveBytes({
        tensors: [
          floatTensor("a.weight", [2, 4], Array(8).fill(0)),
          {
            ...floatTensor("a.ids", [2], [0, 0]),
            dtype: "i32",
          },
        ],
      }),
      "toy.weave",
    ),
  );
  const delta = (name: string, shape: number[]) =>
    fullDelta(name, shape, new Float32Array(count(shape)));
  const error = assertThrows(
    () =>
      withDeltas(file, [
        delta("b.weight", [2, 4]),
        delta("a.weight", [4, 2]),
        delta("a.ids", [2]),
      ]),
    MasterWeaverError,
    "Cannot change the weights of toy.weave: its tensors are not those the " +
      "deltas are for: 1 unknown: b.weight; 2 misshapen: a.weight is (2, 4), " +
      "its delta (4, 2), a.ids holds i32, not weights; give deltas",
  );
  assertEquals(error.code, "bad-model");
  assertThrows(
    () => fullDelta("a", [2, 4], new Float32Array(7)),
    MasterWeaverError,
    "Cannot make a delta for a: it has 7 values, expected 8",
  );
  const [up, down] = [new Float32Array(4), new Float32Array(8)];
  for (
    const [make, says] of [
      [() => lowRankDelta("a", [], { rank: 1, up, down }), "its shape is []"],
      [() => fullDelta("a", [], new Float32Array(1)), "its shape is []"],
      [
        () => lowRankDelta("a", [2, 2, 2], { rank: 2, up, down }, NaN),
        "its scale is NaN",
      ],
      [
        () => fullDelta("a", [1], new Float32Array(1), Infinity),
        "its scale is Infinity",
      ],
    ] as const
  ) {
    const error = assertThrows(make, MasterWeaverError, says);
    assertEquals(error.code, "bad-option");
  }
  lowRankDelta("a", [2, 2, 2], { rank: 2, up, down });
  for (const matrices of [{ up: down, down }, { up, down: up }]) {
    assertThrows(
      () => lowRankDelta("a", [2, 2, 2], { rank: 2, ...matrices }),
      MasterWeaverError,
      "Cannot make a delta for a: it has ",
    );
  }
});

Deno.test("deltas: a large weight is never whole in memory", async () => {
  // 100 million values: 200 MB as f16, 400 MB as f32.
  const shape = [100_000, 1000];
  const chunk = 4 * 2 ** 20;
  let read = 0;
  const tensor: WeaveTensor = {
    name: "large",
    dtype: "f16",
    shape,
    bytes: 2 * count(shape),
    async *chunks() {
      for (let at = 0; at < this.bytes; at += chunk) {
        const bytes = Math.min(chunk, this.bytes - at);
        read += bytes;
        yield await Promise.resolve(new Uint8Array(bytes));
      }
    },
  };
  const file = {
    ...(await miniComponents).unet.file,
    tensors: new Map([[tensor.name, tensor]]),
  };
  const delta: WeightDelta = {
    name: "large",
    shape,
    addTo: (values, offset) => void (values[0] += offset),
  };
  let at = 0;
  const changed = withDeltas(file, [delta]).tensors.get("large")!;
  for await (const { bytes, read: taken } of weightChunks(changed, "f16")) {
    assert(bytes.length <= chunk, `a chunk of ${bytes.length} bytes`);
    assertEquals(taken, 2 * bytes.length);
    const values = new Float16Array(bytes.buffer);
    assertEquals(values[0], Math.f16round(at));
    at += values.length;
    assert(read - 2 * at <= chunk, `${read} bytes are read for ${at} values`);
  }
  assertEquals(at, count(shape));
});

Deno.test("weight source: scales of a large weight are found after its values", async () => {
  for (const dtype of ["q8", "q4"] as const) {
    const shape = [2560, dtype === "q8" ? 2 ** 14 : 2 ** 15];
    const blocks = count(shape) / 32;
    const quants = blocks * (dtype === "q8" ? 32 : 16);
    const scale = (block: number) => 1 + block % 1000 / 1024;
    const stored = new Uint8Array(quants + 2 * blocks);
    // Every value is 1.
    stored.fill(dtype === "q8" ? 1 : 0x99, 0, quants);
    stored.set(
      new Uint8Array(
        Float16Array.from({ length: blocks }, (_, i) => scale(i)).buffer,
      ),
      quants,
    );
    const tensor: WeaveTensor = {
      name: "large",
      dtype,
      shape,
      bytes: stored.length,
      async *chunks(most = 4 * 2 ** 20) {
        for (let at = 0; at < stored.length; at += most) {
          yield await Promise.resolve(stored.slice(at, at + most));
        }
      },
    };
    let block = 0;
    for await (const values of weaveFloats(tensor)) {
      assert(values.byteLength <= 4 * 2 ** 20);
      for (let i = 0; i < values.length; i += 32, block++) {
        assert(
          values[i] === scale(block) && values[i + 31] === scale(block),
          `${dtype} block ${block} is ${values[i]}, ${values[i + 31]}`,
        );
      }
    }
    assertEquals(block, blocks);
  }
});

Deno.test("weight source: each type becomes any other, and all bytes are counted", async () => {
  const original = values(1, 96 * 64, 1);
  const path = repositoryPath("weights/mini/unet.weave");
  const unet = await openWeave(new MemorySource(await Deno.readFile(path)));
  const tensors = [floatTensor("mid.proj.weight", [96, 64], [...original])];
  const single = await openWeave(
    new MemorySource(await weaveBytes({ config: unet.config, tensors })),
  );
  for (const from of ["f32", "f16", "q8", "q4"] as const) {
    const stored = planReconversion(single, from).tensors;
    const file = await openWeave(
      new MemorySource(await weaveBytes({ tensors: stored })),
    );
    const tensor = file.tensors.get("mid.proj.weight")!;
    assertEquals(tensor.dtype, from);
    const exact = await floats(tensor);
    for (const to of ["f32", "f16", from] as const) {
      const chunks = await Array.fromAsync(weightChunks(tensor, to));
      const bytes = join(chunks.map(({ bytes }) => bytes));
      const read = chunks.reduce((sum, { read }) => sum + read, 0);
      assertEquals(read, tensor.bytes, `${from} to ${to}`);
      if (to === from) {
        assertEquals(bytes, join(await Array.fromAsync(tensor.chunks())));
      } else {
        assertEquals(
          to === "f32"
            ? new Float32Array(bytes.buffer)
            : new Float16Array(bytes.buffer),
          to === "f32" ? exact : new Float16Array(exact),
        );
      }
    }
    if (from === "q8") continue;
    await assertRejects(
      () => Array.fromAsync(weightChunks(tensor, "q8")),
      MasterWeaverError,
      `Weight mid.proj.weight is stored as ${from}, expected q8`,
    );
  }
});
