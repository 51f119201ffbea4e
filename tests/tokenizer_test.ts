import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { mergePairs, pairKey } from "../src/text/byte_pairs.ts";
import { ClipTokenizer } from "../src/text/tokenizer.ts";
import { randomIntegers } from "./support/odd_images.ts";

const goldens = new URL("goldens/", import.meta.url);

function readText(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, goldens));
}

const numbers: Record<string, number> = JSON.parse(
  await readText("tokenizer/vocab.json"),
);
const vocab: string[] = [];
for (const [token, id] of Object.entries(numbers)) vocab[id] = token;
const merges = (await readText("tokenizer/merges.txt")).trim().split("\n")
  .slice(1);
const tokenizer = new ClipTokenizer({ vocab, merges });
const eos = numbers["<|endoftext|>"];

/** Without padding: up to and with the first of the closing marks. */
function unpadded(ids: Int32Array): number[] {
  let end = ids.length;
  while (end > 1 && ids[end - 1] === eos && ids[end - 2] === eos) end--;
  return Array.from(ids.subarray(0, end));
}

Deno.test("tokenizer: every golden prompt has PyTorch's tokens", async () => {
  const cases: { prompt: string; ids: number[] }[] = JSON.parse(
    await readText("tokens.json"),
  );
  assert(cases.length >= 7);
  for (const { prompt, ids } of cases) {
    assertEquals(Array.from(tokenizer.encode(prompt).ids), ids, prompt);
  }
});

// Made with CLIPTokenizer of transformers 4.35 and again with 4.48: scripts,
// emoji, controls, lone surrogates, case, marks, and what is cut; seeded random.
Deno.test("tokenizer: odd prompts have the tokens of transformers", async () => {
  const cases: { prompt: string; ids: number[]; length: number }[] = JSON
    .parse(await readText("tokens_more.json"));
  assert(cases.length >= 200);
  for (const { prompt, ids, length } of cases) {
    const encoded = tokenizer.encode(prompt);
    assertEquals(encoded.ids.length, 77);
    assertEquals(unpadded(encoded.ids), ids, JSON.stringify(prompt));
    assertEquals(encoded.truncated !== "", length > 77, JSON.stringify(prompt));
  }
});

// Made with CLIPTokenizer of transformers 4.48 and an added_tokens.json.
Deno.test("tokenizer: added tokens are found as transformers finds them", async () => {
  const { added, cases }: {
    added: Record<string, number>;
    cases: { prompt: string; ids: number[] }[];
  } = JSON.parse(await readText("tokens_added.json"));
  const tokenizer = new ClipTokenizer({ vocab, merges, added });
  assertEquals(tokenizer.highest, Math.max(...Object.values(added)));
  assert(cases.length >= 100);
  for (const { prompt, ids } of cases) {
    assertEquals(
      unpadded(tokenizer.encode(prompt).ids),
      ids,
      JSON.stringify(prompt),
    );
  }
});

Deno.test("tokenizer: added tokens that make no sense are refused by name", () => {
  const bad: [unknown, string][] = [
    [{ "<sks>": 5 }, '"<sks>" with the number 5'],
    [{ "<sks>": -1 }, '"<sks>" with the number -1'],
    [{ "<sks>": "739" }, '"<sks>" with the number "739"'],
    [{ a: 800, b: 800 }, '"b" with the number 800'],
    [{ "": 800 }, 'added token ""'],
    [["<sks>"], "added tokens that are no object"],
  ];
  for (const [added, words] of bad) {
    assertThrows(
      () =>
        new ClipTokenizer({
          vocab,
          merges,
          added: added as Record<string, number>,
        }),
      MasterWeaverError,
      words,
    );
  }
});

Deno.test("tokenizer: what is cut is told, from the first lost character", () => {
  const woman = "woman ".repeat(74);
  const cut = (prompt: string) => tokenizer.encode(prompt).truncated;
  assertEquals(cut(woman + "Woman"), "");
  assertEquals(cut(woman + "Woman  AND her Hat"), "and her hat");
  // A word that is cut in the middle: its lost end.
  const half = tokenizer.encode(woman + "zzzq end");
  assertEquals(half.truncated, "zzq end");
  assertEquals(half.ids[75], numbers["z"]);
  // A character whose bytes are parted is lost as a whole.
  assertEquals(cut(woman + "😀 end"), "😀 end");
  assertEquals(cut(woman + "x<|endoftext|> behind"), "<|endoftext|> behind");
});

Deno.test("tokenizer: 10,000 words and a word of 200,000 letters are quick", () => {
  const random = randomIntegers(3);
  const letters = Array.from(
    { length: 200_000 },
    () => String.fromCharCode(97 + random(26)),
  ).join("");
  const words = "a man with a hat and ".repeat(10_000);
  const start = performance.now();
  assertEquals(tokenizer.encode(words).ids.length, 77);
  assert(letters.endsWith(tokenizer.encode(letters).truncated));
  // Some 50 ms; merging in quadratic time would take minutes.
  assert(performance.now() - start < 10_000);
});

Deno.test("tokenizer: merging equals the textbook algorithm on any merges", () => {
  const random = randomIntegers(11);
  for (let round = 0; round < 300; round++) {
    // Merges in any order, also such that a result ranks before its parts.
    const symbols = ["a", "b", "c"];
    const ranks = new Map<string, number>();
    for (let i = 0; i < 12; i++) {
      const left = symbols[random(symbols.length)];
      const right = symbols[random(symbols.length)];
      if (!ranks.has(pairKey(left, right))) {
        ranks.set(pairKey(left, right), random(1000) * 100 + i);
        symbols.push(left + right);
      }
    }
    const word = Array.from({ length: 1 + random(40) }, () => "abc"[random(3)]);
    assertEquals(mergePairs([...word], ranks), textbookMerge(word, ranks));
  }
});

/** As CLIP's paper code: again and again over the whole word. */
function textbookMerge(word: string[], ranks: Map<string, number>): string[] {
  while (true) {
    let best = Infinity;
    let pair = ["", ""];
    for (let i = 0; i + 1 < word.length; i++) {
      const rank = ranks.get(pairKey(word[i], word[i + 1])) ?? Infinity;
      if (rank < best) [best, pair] = [rank, [word[i], word[i + 1]]];
    }
    if (best === Infinity) return word;
    const merged: string[] = [];
    for (let i = 0; i < word.length; i++) {
      if (word[i] === pair[0] && word[i + 1] === pair[1]) {
        merged.push(word[i] + word[++i]);
      } else merged.push(word[i]);
    }
    word = merged;
  }
}

Deno.test("tokenizer: no text of random code units fails or misfits", () => {
  const random = randomIntegers(17);
  for (let i = 0; i < 500; i++) {
    const units = Array.from({ length: random(200) }, () => random(0x10000));
    const { ids, truncated: cut } = tokenizer.encode(
      String.fromCharCode(...units),
    );
    assertEquals(ids.length, 77);
    assertEquals(ids[76], eos);
    assert(ids.every((id) => id >= 0 && id < vocab.length));
    assert(cut.isWellFormed());
  }
});

Deno.test("tokenizer: a vocabulary without a piece uses the end mark", () => {
  const small = new ClipTokenizer({
    vocab: ["a</w>", "<start>", "<end>"],
    merges: [],
    maxLength: 5,
    bos: "<start>",
    eos: "<end>",
  });
  assertEquals(Array.from(small.encode("a b").ids), [1, 0, 2, 2, 2]);
});

Deno.test("tokenizer: vocabularies that make no sense are refused by entry", () => {
  const marks = ["<|startoftext|>", "<|endoftext|>"];
  const bad: [vocab: unknown, merges: unknown, words: string][] = [
    [["a", "a", ...marks], [], 'token 1 "a"'],
    [["a", 5, ...marks], [], "token 1 5"],
    [["a"], [], "<|startoftext|>"],
    [marks, ["a b", "abc"], 'merge 1 "abc"'],
    [marks, [null], "merge 0 null"],
    [undefined, [], "no vocab"],
    [marks, {}, "no merges"],
  ];
  for (const [vocab, merges, words] of bad) {
    const error = assertThrows(
      () =>
        new ClipTokenizer({
          vocab: vocab as string[],
          merges: merges as string[],
        }),
      MasterWeaverError,
      words,
    );
    assertEquals(error.code, "bad-model");
  }
  for (const maxLength of [1, 2.5, 1e9]) {
    assertThrows(
      () => new ClipTokenizer({ vocab: marks, merges: [], maxLength }),
      MasterWeaverError,
      `length of ${maxLength}`,
    );
  }
});
