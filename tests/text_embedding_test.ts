/** Embeddings of textual inversion, in every form in which they are saved. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readTextEmbedding } from "../src/checkpoints/text_embedding_file.ts";
import { readPrompts, type TypedPrompts } from "../src/generate/prompts.ts";
import type { ScheduledPrompts } from "../src/generate/text_conditions.ts";
import { FileSource, readImageText } from "../src/host/files.ts";
import { embeddingWarnings } from "../src/host/embeddings.ts";
import { isNamed, mayName } from "../src/text/text_embeddings.ts";
import { command } from "./support/command.ts";
import { inFolder } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { madeUpEmbedding, miniTokenizer } from "./support/prompts.ts";
import { safetensorsBytes } from "./support/weights.ts";

type Tensors = Parameters<typeof safetensorsBytes>[0];

function source(tensors: Tensors, name = "style.safetensors"): MemorySource {
  return new MemorySource(safetensorsBytes(tensors), name);
}

/** A safetensors file with an embedding of vectors of 128 numbers, as mini takes. */
function file(name: string, tokens: number, channels = 128): MemorySource {
  const { vectors } = madeUpEmbedding(name, tokens, channels);
  const data = Array.from(vectors);
  return source({ emb_params: { shape: [tokens, channels], data } }, name);
}

const rising = Float32Array.from({ length: 16 }, (_, i) => i / 4);

Deno.test("embeddings: what PyTorch saves in each form is read", async () => {
  for (
    const [name, tokens] of [
      ["embedding_webui.pt", 2],
      ["embedding_parameters.pt", 2],
      ["embedding_concept.bin", 1],
    ] as const
  ) {
    const path = repositoryPath(`tests/fixtures/torch/${name}`);
    await using opened = await FileSource.open(path);
    assertEquals(
      await readTextEmbedding(opened, 8),
      { tokens, vectors: rising.slice(0, 8 * tokens) },
      name,
    );
  }
  const data = Array.from(rising);
  const shape = [2, 8];
  for (
    const tensors of [
      { emb_params: { shape, data } },
      { "<my.style>": { shape, data } },
      { emb_params: { shape, data }, other: { shape: [1], data: [1] } },
    ] as Tensors[]
  ) {
    const { vectors } = await readTextEmbedding(source(tensors), 8);
    assertEquals(vectors, rising);
  }
});

Deno.test("embeddings: what is for another model, or none, is refused in a line", async () => {
  const of = (...shape: number[]) => ({
    shape,
    data: Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0.5),
  });
  const wrong: [Tensors, number, RegExp][] = [
    [
      { emb_params: of(2, 1024) },
      768,
      /style\.safetensors: its vectors have 1024 numbers \(Stable Diffusion 2\), this model's text encoder takes 768; give/,
    ],
    [{ x: of(3, 5) }, 8, /have 5 numbers, this/],
    [
      { clip_l: of(1, 768), clip_g: of(1, 1280) },
      768,
      /Stable Diffusion XL, which has two/,
    ],
    [{}, 8, /has 0 tensors, expected the one/],
    [{ a: of(1, 8), b: of(8) }, 8, /has 2 tensors \(a, b\), expected/],
    [{ a: of(1, 1, 8) }, 8, /is \(1, 1, 8\), expected/],
    [{ a: of(0, 8) }, 8, /is \(0, 8\), expected/],
    [{ a: of(1001, 8) }, 8, /has 1001 vectors, expected at most 1000/],
    [{ a: { shape: [2], data: [1, NaN] } }, 2, /NaN or infinity/],
  ];
  for (const [tensors, channels, says] of wrong) {
    const error = await assertRejects(
      () => readTextEmbedding(source(tensors), channels),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-checkpoint");
    assertMatch(error.message, says);
  }
});

const tower = { tokenizer: miniTokenizer, channels: 128 };
const typed: TypedPrompts = {
  prompt: "a photo of STYLE one",
  negativePrompt: "[man:(zed:1.2):0.9]",
  promptSyntax: "a1111",
  steps: 10,
};

Deno.test("embeddings: only those that a prompt names are read", async () => {
  const damaged = new MemorySource(new Uint8Array(9), "other.pt");
  const files = {
    "style one": file("s", 3),
    zed: file("z", 1),
    other: damaged,
  };
  const { text } = await readPrompts(typed, tower, files);
  const { prompt, negative } = text as ScheduledPrompts;
  const [[chunk]] = prompt(10).variants;
  assertEquals(
    chunk.embeddings.map(({ at, embedding }) => [at, embedding.tokens]),
    [[4, 3]],
  );
  const [, [last]] = negative(10).variants;
  assertEquals(last.embeddings.map(({ embedding }) => embedding.name), ["zed"]);
  assertEquals(last.weights[1], Math.fround(1.2));
  const named = { ...typed, prompt: "other" };
  await assertRejects(
    () => readPrompts(named, tower, files),
    MasterWeaverError,
    "Cannot use other.pt",
  );
});

Deno.test("embeddings: plain prompts have none, and are warned of when they are long", async () => {
  const plain = { ...typed, promptSyntax: "plain" } as const;
  await assertRejects(
    () => readPrompts(plain, tower, { zed: file("z", 1) }),
    MasterWeaverError,
    "Option embeddings needs the promptSyntax a1111",
  );
  const warnings: string[] = [];
  const warn = (warning: string) => void warnings.push(warning);
  const long = {
    ...plain,
    negativePrompt: "",
    prompt: `${"man ".repeat(75)}snow`,
  };
  const cut = await readPrompts(long, tower, {}, warn);
  assertEquals([cut.truncatedPrompt, warnings.length], ["snow", 1]);
  const whole = { ...long, promptSyntax: "a1111" } as const;
  const { truncatedPrompt } = await readPrompts(whole, tower, {}, warn);
  assertEquals([truncatedPrompt, warnings.length], ["", 1]);
  const tags = { ...typed, prompt: "a <hypernet:fur:1>" };
  const { extraNetworks } = await readPrompts(tags, tower, {}, warn);
  assertEquals(extraNetworks.length, 1);
  assertMatch(warnings[1], /not supported here: <hypernet:fur>$/);
  const both = { ...typed, prompt: "a cat AND a dog" };
  await readPrompts(both, tower, {}, warn);
  assertEquals(warnings[2], "Read as plain words: AND");
});

Deno.test("prompts: plain ones that are written for AUTOMATIC1111 are warned of", async () => {
  const warned = async (prompt: string, negativePrompt = "") => {
    const warnings: string[] = [];
    const plain = { ...typed, promptSyntax: "plain" } as const;
    const asked = { ...plain, prompt, negativePrompt };
    await readPrompts(asked, tower, {}, (line) => void warnings.push(line));
    return warnings;
  };
  assertEquals(
    await warned("(man:1.2) <lora:ink:0.8> (man:1.2)", "[hat] (snow: .7)"),
    [
      "Read as plain text: (man:1.2), <lora:ink:0.8>, (snow: .7); promptSyntax a1111 reads it as AUTOMATIC1111 does",
    ],
  );
  for (const prompt of ["a man (smiling) [hat]", "(ratio 1:2) <3", "at 9:41"]) {
    assertEquals(await warned(prompt), [], prompt);
  }
});

Deno.test("embeddings: a prompt that may name one contains its letters", () => {
  for (
    const prompt of ["a (Bad-Hands  5:1.2)", "bad\\-hands-5", "[bad|x] hands5"]
  ) {
    assertEquals(mayName(prompt, "bad-hands-5"), prompt !== "[bad|x] hands5");
  }
  assert(mayName("", "…"));
});

gpuTest("embeddings: the library takes them by name", async () => {
  const weaver = await miniWeaver("f32");
  const make = async (options: object) => {
    const { images } = await weaver.generate({
      prompt: "a man in the style",
      steps: 1,
      width: 32,
      height: 32,
      ...options,
    });
    return images[0].data;
  };
  const plain = await make({});
  const a1111 = { promptSyntax: "a1111" };
  assertEquals(await make(a1111), plain);
  const embeddings = { style: file("style", 2) };
  const styled = await make({ ...a1111, embeddings });
  assert(styled.some((value, i) => value !== plain[i]));
  await assertRejects(
    () => make({ clipSkip: 12 }),
    MasterWeaverError,
    "Option clipSkip must be at most",
  );
  const skipped = await make({ clipSkip: 2 });
  assert(skipped.some((value, i) => value !== plain[i]));
});

gpuTest(
  "embeddings: the command finds them in a folder, and an image repeats it",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/more/embeddings`, { recursive: true });
      const path = `${folder}/more/embeddings/Style.safetensors`;
      const bytes = await file("style", 2).read(0, file("style", 2).size);
      await Deno.writeFile(path, bytes);
      await Deno.writeFile(
        `${folder}/more/embeddings/other.pt`,
        new Uint8Array(3),
      );
      const run = async (...args: string[]) => {
        const { code, err } = await command(args, { cwd: folder });
        return { code, err: err.join("\n") };
      };
      const quick = [
        ...["--prompt=a man, (style:1.3)", "--steps=1", "--width=32"],
        ...["--height=32", "--dtype=f32", "--tune=off", "--quiet"],
        ...["--prompt-syntax=a1111", "--clip-skip=2"],
      ];
      assertEquals(await run(...quick, "--output=a.png"), { code: 0, err: "" });
      const extras = ["--extras=more"];
      assertEquals(
        await run(...quick, ...extras, "--output=b.png"),
        { code: 0, err: "" },
      );
      const a = await Deno.readFile(`${folder}/a.png`);
      const b = await Deno.readFile(`${folder}/b.png`);
      assert(a.length !== b.length || a.some((byte, i) => byte !== b[i]));
      const { text } = await readImageText(`${folder}/b.png`);
      assertEquals([text.prompt_syntax, text.clip_skip], ["a1111", "2"]);
      assertMatch(text.parameters, /, Clip skip: 2, /);
      const again = ["--from-image=b.png", "--quiet", "--output=c.png"];
      assertEquals(await run(...again, ...extras), { code: 0, err: "" });
      assertEquals(await Deno.readFile(`${folder}/c.png`), b);
      await Deno.writeFile(path, new Uint8Array(3));
      const { code, err } = await run(...quick, ...extras, "--output=d.png");
      assertEquals(code, 1);
      assertMatch(err, /Cannot use more\/embeddings\/Style\.safetensors: /);
      await assertRejects(() => Deno.stat(`${folder}/d.png`));
    }),
);

Deno.test("text embedding: a prompt names it by whole words", () => {
  const named: [string, string, boolean][] = [
    ["a (Easy-Negative:1.2)", "easy-negative", true],
    ["easynegative2", "easynegative", true],
    ["hairstyle, a style", "style", true],
    ["hairstyle, styles", "style", false],
    ["<cat-toy>", "<cat-toy>", true],
    ["日猫日", "猫", true],
    ["", "a", false],
  ];
  for (const [prompt, name, expected] of named) {
    assertEquals(isNamed(prompt, name), expected, prompt);
  }
});

Deno.test("text embedding: another file than that of the image to repeat, or none, is said", () => {
  const recorded = "bad: 0123456789ab, toy: 00";
  assertEquals(embeddingWarnings(recorded, recorded, ["bad toy"]), []);
  assertEquals(embeddingWarnings(undefined, "bad: 01", ["bad"]), []);
  assertEquals(embeddingWarnings(recorded, "bad: ffff", ["bad toy"]), [
    "The image will differ: its embedding toy is not here",
    "The image will differ: its embedding bad has the hash 0123456789ab, the one here ffff",
  ]);
  assertEquals(embeddingWarnings(recorded, "", ["another prompt"]), []);
});
