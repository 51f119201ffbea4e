/**
 * What images are conditioned on in AUTOMATIC1111's syntax: weighted features
 * compared with the web UI's own code, and conditions that change with the steps.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { ImageSettings } from "../src/generate/generator.ts";
import { encodeText } from "../src/generate/graphs/conditions.ts";
import {
  type PromptText,
  textConditions,
} from "../src/generate/text_conditions.ts";
import { Graph } from "../src/graph/graph.ts";
import { Network } from "../src/graph/network.ts";
import { Tuner } from "../src/graph/tuner.ts";
import type { Image } from "../src/image/image.ts";
import { encodeA1111, type ScheduledPrompt } from "../src/text/a1111_prompt.ts";
import type { PromptChunk } from "../src/text/prompt_chunks.ts";
import { nmse } from "./support/compare.ts";
import { fold } from "./support/fold.ts";
import { madeUpConditions, miniGenerator } from "./support/generator.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";
import {
  caseEmbeddings,
  miniTokenizer,
  type PromptCase,
  promptGoldens,
} from "./support/prompts.ts";
import { readSafetensors } from "./support/safetensors.ts";

const features = await readSafetensors(
  new URL("goldens/prompts.safetensors", import.meta.url),
);
const { steps, chunks } = promptGoldens;
const CHANNELS = 128;

function encode(prompt: string, steps: number): ScheduledPrompt {
  return encodeA1111(prompt, steps, miniTokenizer);
}

for (const storage of ["f32", "f16"] as const) {
  gpuTest(`weighted features, ${storage}: the web UI's`, async () => {
    const { text } = await miniComponents;
    const gpu = await sharedGpu();
    using network = new Network(gpu, true, new Tuner(gpu, "off"));
    const cases = storage === "f32" ? chunks : [chunks[2], chunks[9]];
    for (const one of cases) {
      const laidOut = textOf(one);
      const { conditions = 1 } = laidOut.shape;
      const shape = {
        images: 1,
        guided: false,
        clipSkip: one.clipSkip,
        ...laidOut.shape,
      };
      const graph = () => {
        const g = new Graph(storage);
        g.output("text", encodeText(g, text, conditions, shape));
        return g;
      };
      const key = JSON.stringify(shape);
      const plans = { text: { key, graph } };
      const found = await network.use({ plans }, ({ text: plan }) => {
        for (const [name, values] of Object.entries(laidOut.inputs)) {
          plan.write(name, values);
        }
        plan.run();
        return plan.read("text");
      });
      const expected = features.get(String(chunks.indexOf(one)))!.data;
      const error = nmse(fold(found.text, expected.length), expected);
      const limit = storage === "f32" ? 1e-8 : 1e-4;
      assert(error <= limit, `${one.prompt}: NMSE ${error}`);
    }
  });
}

/** A case's conditions, without a negative half. */
function textOf(one: PromptCase) {
  const prompt = (steps: number) =>
    encodeA1111(
      one.prompt,
      steps,
      miniTokenizer,
      caseEmbeddings(one, CHANNELS),
    );
  return textConditions(
    { prompt, negative: prompt },
    steps,
    false,
    CHANNELS,
  );
}

Deno.test("text conditions: a prompt without weights changes no graph", () => {
  const both = (prompt: string, negative: string) =>
    textConditions(
      {
        prompt: (n) => encode(prompt, n),
        negative: (n) => encode(negative, n),
      },
      4,
      true,
      CHANNELS,
    );
  const { shape, inputs, at } = both("a man", "(hat)");
  assertEquals([shape.textTokens, shape.conditions, at], [
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals([shape.emphasis, inputs.ids.length], [true, 154]);
  const plain = both("a man", "a hat");
  assertEquals(Object.values(plain.shape).filter(Boolean), []);
  assertEquals(Object.keys(plain.inputs), ["ids"]);
  // Two chunks beside three are six of each; three texts beside two are five.
  const long = both("a BREAK [b|c]", "a BREAK b BREAK [c:d:e:2] [e:f:2]");
  assertEquals([long.shape.textTokens, long.shape.conditions], [6 * 77, 4]);
  assertEquals(long.halves, [0, 0, 1, 1]);
  assertEquals(
    Array.from({ length: 4 }, (_, step) => long.at!(step)),
    [[0, 2], [1, 2], [0, 3], [1, 3]],
  );
});

Deno.test("text conditions: more than the GPU should hold is refused with numbers", () => {
  const prompt = (n: number) => encode(`[a|b] ${"BREAK ".repeat(70)}`, n);
  const error = assertThrows(
    () => textConditions({ prompt, negative: prompt }, 9, true, CHANNELS),
    MasterWeaverError,
    "expected at most 128",
  );
  assertEquals(error.code, "bad-option");
});

const settings: ImageSettings = {
  steps: 2,
  guidanceScale: 5,
  guidanceRange: [0, 1],
  reuseFeatures: 1,
  idScale: 1,
  numImages: 2,
  width: 32,
  height: 32,
  mergeTokens: 0,
  seed: 3,
  rng: "torch-cpu",
  cudaThreads: 0,
};

gpuTest("conditions that change: each step has its own", async () => {
  using mini = await miniGenerator(true);
  const { identity } = await madeUpConditions();
  const make = async (
    prompt: string,
    negative: string,
    change: Partial<ImageSettings> = {},
  ): Promise<Image[]> => {
    const text: PromptText = {
      prompt: (steps) => encode(prompt, steps),
      negative: (steps) => encode(negative, steps),
    };
    const request = { text, identity, settings: { ...settings, ...change } };
    return await mini.generator.generate(request);
  };
  const man = await make("a man", "snow");
  const woman = await make("a woman", "snow");
  assert(difference(man, woman) > 2);
  // All conditions are there, and one is used throughout.
  assertEquals(await make("a [man:woman:2]", "snow"), man);
  assertEquals(await make("a [man:woman:0]", "snow"), woman);
  assertEquals(await make("a man", "[snow:hat:5]"), man);
  // Steps 1 and 2 differ; the last step is seen less than the first.
  const both = await make("a [man:woman:1]", "snow");
  assert(difference(both, man) > 0 && difference(both, woman) > 0);
  assertEquals(await make("a [man|woman]", "snow"), both);
  // A step of two runs of the UNet has one condition for both of them.
  const twice = { sampler: "Heun" };
  assertEquals(
    await make("a [man|woman]", "snow", twice),
    await make("a [man:woman:1]", "snow", twice),
  );
  // Where only the first step is guided, the second has no negative half.
  const half = { guidanceRange: [0, 0.5] } as const;
  const once = await make("a [man|woman]", "snow", half);
  assertEquals(await make("a [man|woman]", "[snow:hat:1]", half), once);
});

gpuTest("chunks: keys that are all repeated change nothing", async () => {
  using mini = await miniGenerator(true);
  const { identity } = await madeUpConditions();
  const make = async (prompt: PromptChunk[], negative: PromptChunk[]) => {
    const spans = [{ until: 2, variant: 0 }];
    const text: PromptText = {
      prompt: () => ({ variants: [prompt], spans }),
      negative: () => ({ variants: [negative], spans }),
    };
    return await mini.generator.generate({ text, identity, settings });
  };
  const [man] = encode("a man in the snow", 2).variants[0];
  const [hat] = encode("(hat:1.2)", 2).variants[0];
  const once = await make([man], [hat]);
  // Sums over more keys are rounded in another order: one level at most.
  assert(difference(await make([man, man], [hat]), once) <= 1);
  assert(difference(await make([man, hat], [hat]), once) > 1);
});

/** The largest difference of a channel. */
function difference(a: readonly Image[], b: readonly Image[]): number {
  let most = 0;
  for (const [i, { data }] of a.entries()) {
    data.forEach((value, at) => {
      most = Math.max(most, Math.abs(value - b[i].data[at]));
    });
  }
  return most;
}
