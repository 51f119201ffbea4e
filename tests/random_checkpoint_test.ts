import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { readFile } from "../src/host/files.ts";
import { openWeave } from "../src/weights/weave.ts";
import { convert } from "../tools/convert.ts";
import { writeRandomCheckpoint } from "../tools/random_checkpoint.ts";
import {
  randomValues,
  startingDistributions,
} from "../tools/random_checkpoint/distributions.ts";
import {
  FULL_SIZE,
  NETWORKS,
  tensorsOf,
} from "../tools/random_checkpoint/model.ts";
import { makeTokenizer } from "../tools/random_checkpoint/tokenizer.ts";
import {
  ADAPTER,
  PARSER,
  TEXT,
  UNET,
  VAE,
  VISION,
} from "./support/checkpoint_folder.ts";

const TINY = {
  unet: UNET,
  vae: VAE,
  text_encoder: { ...TEXT, vocab_size: 600 },
  image_encoder: { model_type: "clip_vision_model", ...VISION },
  identity_adapter: ADAPTER,
  face_parser: PARSER,
};

Deno.test("random checkpoint: converts, from a folder and a single file alike", async () => {
  const root = await Deno.makeTempDir();
  const hashes: string[][] = [];
  for (const [i, singleFile] of [false, true].entries()) {
    const folder = `${root}/${i}`;
    await writeRandomCheckpoint({
      output: folder,
      singleFile,
      configs: TINY,
    });
    if (singleFile) {
      for (const part of ["unet", "vae", "text_encoder"]) {
        const json = TINY[part as keyof typeof TINY];
        await Deno.mkdir(`${folder}/${part}`);
        await Deno.writeTextFile(
          `${folder}/${part}/config.json`,
          JSON.stringify(json),
        );
      }
    }
    const done = await convert({
      inputs: [folder],
      output: `${root}/out${i}`,
      dtype: "f16",
    });
    assertEquals(
      done.map(({ component }) => component).sort(),
      [...NETWORKS].sort(),
    );
    for (const { maxRoundingError, component } of done) {
      // Values lie on f16's grid.
      assertEquals(maxRoundingError, 0, component);
    }
    hashes.push(
      await Promise.all(NETWORKS.map(async (part) => {
        const path = `${root}/out${i}/${part}.weave`;
        const { tensors } = await openWeave(
          new MemorySource(await readFile(path)),
        );
        const pieces: number[] = [];
        for (const tensor of tensors.values()) {
          for await (const chunk of tensor.chunks()) pieces.push(...chunk);
        }
        const digest = await crypto.subtle.digest(
          "SHA-256",
          new Uint8Array(pieces),
        );
        return new Uint8Array(digest).toHex();
      })),
    );
  }
  assertEquals(hashes[0], hashes[1]);
  await Deno.remove(root, { recursive: true });
});

Deno.test("random checkpoint: a seed and a name give the values", () => {
  const tensor = { name: "a.weight", shape: [4, 9] };
  const make = (name: string, seed: number) => {
    const [values] = randomValues(
      { ...tensor, name },
      startingDistributions([tensor])(tensor),
      seed,
      false,
    );
    return [...values];
  };
  assertEquals(make("a.weight", 1), make("a.weight", 1));
  assert(make("a.weight", 1)[0] !== make("a.weight", 2)[0]);
  assert(make("a.weight", 1)[0] !== make("b.weight", 1)[0]);
});

Deno.test("random checkpoint: distributions are PyTorch's", () => {
  const tensors = [
    { name: "l.weight", shape: [400, 100] },
    { name: "l.bias", shape: [4000] },
    { name: "norm.weight", shape: [40000] },
    { name: "norm.bias", shape: [40000] },
    { name: "token_embedding.weight", shape: [400, 100] },
  ];
  const distribution = startingDistributions(tensors);
  // Mean, deviation and limit; the deviation of an even spread is limit / √3.
  const expected = [
    [0, 0.1 / Math.sqrt(3), 0.1],
    [0, 0.1 / Math.sqrt(3), 0.1],
    [1, 0.1, 2],
    [0, 0.1, 1],
    [0, 0.02, 0.2],
  ];
  for (const [i, tensor] of tensors.entries()) {
    const values = randomValues(tensor, distribution(tensor), 3, false)
      .flatMap((piece) => [...piece]).toArray();
    const mean = values.reduce((a, b) => a + b) / values.length;
    const square = values.reduce((a, b) => a + (b - mean) ** 2, 0);
    const [m, deviation, limit] = expected[i];
    // Five standard errors of 4000 values, of which one stays well below.
    assertAlmostEquals(mean, m, deviation * 5 / Math.sqrt(values.length));
    assertAlmostEquals(
      Math.sqrt(square / values.length),
      deviation,
      deviation * 0.06,
    );
    assert(values.every((v) => Math.abs(v) <= limit), tensor.name);
  }
});

Deno.test("random checkpoint: full size is the size published", () => {
  const count = (part: typeof NETWORKS[number]) =>
    tensorsOf(part, FULL_SIZE).reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
  assertEquals(count("unet"), 859_520_964);
  assertEquals(count("vae"), 83_653_863);
  assertEquals(count("text_encoder"), 123_060_480);
  assertEquals(count("image_encoder"), 303_179_776);
});

Deno.test("random checkpoint: the tokenizer has CLIP's form", () => {
  const { vocab, merges } = makeTokenizer(49408);
  const numbers = Object.values(vocab);
  assertEquals(numbers.length, 49408);
  assertEquals(new Set(numbers).size, 49408);
  assertEquals(vocab["<|endoftext|>"], 49407);
  const lines = merges.trimEnd().split("\n");
  assertEquals(lines.length, 1 + 49408 - 512 - 2);
  for (const line of lines.slice(1)) assert(line.replace(" ", "") in vocab);
});

Deno.test("random checkpoint: where it is stopped, no config stands without weights", async () => {
  const output = await Deno.makeTempDir();
  // The weights' place is taken, so writing them fails.
  for (
    const taken of [
      "unet/diffusion_pytorch_model.safetensors",
      "adapter_final.pt",
      "face_parser.pth",
    ]
  ) {
    await Deno.mkdir(`${output}/${taken}`, { recursive: true });
  }
  for (const network of ["unet", "identity_adapter", "face_parser"] as const) {
    await assertRejects(() =>
      writeRandomCheckpoint({ output, networks: [network], configs: TINY })
    );
  }
  const left = await Array.fromAsync(Deno.readDir(output));
  const inside = await Array.fromAsync(Deno.readDir(`${output}/unet`));
  assertEquals([...left, ...inside].filter(({ isFile }) => isFile), []);
  await Deno.remove(output, { recursive: true });
});
