/** Prompts in AUTOMATIC1111's syntax, compared with the web UI's own code. */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertThrows,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { parseAttention } from "../src/text/a1111_attention.ts";
import { encodeA1111, variantAt } from "../src/text/a1111_prompt.ts";
import { promptSchedule } from "../src/text/a1111_schedule.ts";
import {
  splitExtraNetworks,
  withoutComments,
} from "../src/text/extra_networks.ts";
import { TextEmbeddings } from "../src/text/text_embeddings.ts";
import {
  caseEmbeddings,
  madeUpEmbedding,
  miniTokenizer,
  promptGoldens,
} from "./support/prompts.ts";

const { steps, schedules, attention, chunks } = promptGoldens;
const CHANNELS = 8;

Deno.test("a1111 prompt: schedules are the web UI's", () => {
  assert(schedules.length > 40);
  for (const [prompt, expected] of schedules) {
    const spans = promptSchedule(prompt, steps);
    assertEquals(
      spans.map(({ until, text }) => [until, text]),
      expected.map((span) => [...span]),
      prompt,
    );
  }
});

Deno.test("a1111 prompt: weights are the web UI's", () => {
  assert(attention.length > 30);
  for (const [text, expected] of attention) {
    const parsed = parseAttention(text)
      .map(({ text, weight, isBreak }) =>
        isBreak ? ["BREAK", -1] as const : [text, weight] as const
      );
    assertEquals(
      parsed.map(([text]) => text),
      expected.map(([text]) => text),
      text,
    );
    // Products in f64, multiplied in another order than in Python.
    parsed.forEach(([, weight], i) =>
      assertAlmostEquals(weight, expected[i][1], 1e-12, text)
    );
  }
});

Deno.test("a1111 prompt: chunks have the web UI's tokens and weights", () => {
  assert(chunks.length > 10);
  for (const one of chunks) {
    const { variants } = encodeA1111(
      one.prompt,
      steps,
      miniTokenizer,
      caseEmbeddings(one, CHANNELS),
    );
    const most = Math.max(...one.variants.map(({ length }) => length));
    assertEquals(variants.length, one.variants.length, one.prompt);
    for (const [v, variant] of variants.entries()) {
      assertEquals(variant.length, most, one.prompt);
      for (const [i, { ids, weights }] of variant.entries()) {
        const expected = one.variants[v][i];
        assertEquals(
          [...ids],
          padded(expected?.ids ?? [miniTokenizer.bos], miniTokenizer.eos),
          one.prompt,
        );
        const exact = padded(expected?.weights ?? [1], 1);
        assertEquals([...weights], exact.map(Math.fround), one.prompt);
      }
    }
  }
});

function padded(values: readonly number[], by: number): number[] {
  return Array.from({ length: 77 }, (_, i) => values[i] ?? by);
}

Deno.test("a1111 prompt: a plain prompt has the plain tokens", () => {
  for (const prompt of ["", "a man in the snow, at night", "☃ ÄÖ 12"]) {
    const { variants, spans } = encodeA1111(prompt, 7, miniTokenizer);
    assertEquals(variants.length, 1);
    assertEquals(variants[0].length, 1);
    assertEquals(variants[0][0].ids, miniTokenizer.encode(prompt).ids);
    assert(variants[0][0].weights.every((weight) => weight === 1));
    assertEquals(spans, [{ until: 7, variant: 0 }]);
  }
});

Deno.test("a1111 prompt: each step has its variant, and texts that return share one", () => {
  const encoded = encodeA1111("a [cat|dog|cat]", 7, miniTokenizer);
  assertEquals(encoded.variants.length, 2);
  const used = Array.from({ length: 7 }, (_, step) => variantAt(encoded, step));
  assertEquals(used, [0, 1, 0, 0, 1, 0, 0]);
  const half = encodeA1111("[cat:dog:0.5]", 7, miniTokenizer);
  assertEquals(
    Array.from({ length: 8 }, (_, step) => variantAt(half, step)),
    [0, 0, 0, 1, 1, 1, 1, 1],
  );
});

Deno.test("a1111 prompt: embeddings stand where they are named, in one chunk", () => {
  const style = madeUpEmbedding("style one", 3, CHANNELS);
  const embeddings = new TextEmbeddings(miniTokenizer, [
    madeUpEmbedding("style", 1, CHANNELS),
    style,
  ]);
  const encode = (prompt: string) =>
    encodeA1111(prompt, 1, miniTokenizer, embeddings).variants[0];
  const [chunk] = encode("man, STYLE One");
  assertEquals(chunk.embeddings, [{ at: 3, embedding: style }]);
  assertEquals([...chunk.ids.subarray(3, 6)], [0, 0, 0]);
  // A full chunk moves what follows its last comma on, embeddings as well.
  const [first, second] = encode(`${"man ".repeat(70)}, style one man man man`);
  assertEquals([first.embeddings, second.embeddings], [
    [],
    [{ at: 1, embedding: style }],
  ]);
});

Deno.test("a1111 prompt: embeddings that no prompt can hold are refused by name", () => {
  for (
    const [name, tokens, part] of [
      ["style", 76, '"style" has 76 vectors'],
      [" ", 1, "without letters"],
    ] as const
  ) {
    assertThrows(
      () =>
        new TextEmbeddings(miniTokenizer, [
          madeUpEmbedding(name, tokens, CHANNELS),
        ]),
      MasterWeaverError,
      part,
    );
  }
});

Deno.test("a1111 prompt: tags are handed on, comments left out", () => {
  const { text, extraNetworks } = splitExtraNetworks(
    "a <lora:fur:0.8>cat <hypernet:x> <lora:b c:te=0.5:unet=1> <3 <lora:> a<b:c",
  );
  assertEquals(text, "a cat   <3 <lora:> a<b:c");
  assertEquals(extraNetworks, [
    { kind: "lora", name: "fur", args: ["0.8"] },
    { kind: "hypernet", name: "x", args: [] },
    { kind: "lora", name: "b c", args: ["te=0.5", "unet=1"] },
  ]);
  assertEquals(withoutComments("a # b\nc\n#d"), "a \nc\n\n");
});

Deno.test("a1111 prompt: brackets without end take no long time", () => {
  for (const open of ["[", "(", "[a|", "[a:", "(["]) {
    const text = open.repeat(20_000);
    const spans = promptSchedule(text, 20);
    assertEquals(spans.at(-1)!.until, 20);
    assert(parseAttention(text.slice(0, 4000)).length > 0);
  }
  const deep = "[".repeat(150) + "b:3" + "]".repeat(150);
  assertEquals(promptSchedule(deep, 9).length, 2);
});

Deno.test("a1111 prompt: long blanks and open tags are read in short time", () => {
  const blanks = " ".repeat(300_000);
  const started = performance.now();
  assertEquals(parseAttention(`${blanks}x`), [{
    text: `${blanks}x`,
    weight: 1,
  }]);
  assertEquals(
    parseAttention(`a${blanks}BREAK${blanks}b`).map(({ text }) => text),
    ["a", "", "b"],
  );
  const open = "<lora:".repeat(50_000);
  const { text, extraNetworks } = splitExtraNetworks(`<lora:x:1>${open}`);
  assertEquals([text, extraNetworks.length], [open, 1]);
  // Work that grew with the square of these lengths would take minutes.
  assert(performance.now() - started < 2000);
});
