/**
 * The options that leave work out: by default they leave out nothing; asked
 * for, they are exact where they can be, deterministic, bounded in what they
 * change, and cost fewer operations and dispatches.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  stepKinds,
  stepName,
  type StepRules,
} from "../src/diffusion/step_kinds.ts";
import { MasterWeaverError } from "../src/errors.ts";
import { readImage } from "../src/files.ts";
import { anySize, checkSettings, defaultSettings } from "../src/options.ts";
import type { GenerateOptions } from "../src/pipeline.ts";
import { fromText, toText } from "../src/settings_text.ts";
import { psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

/** Names of the kinds of steps. */
function kinds(rules: Partial<StepRules>): string[] {
  return stepKinds({ ...defaultSettings, ...rules }).map(stepName);
}

/** Whether each step is guided, as 1 and 0. */
function guided(rules: Partial<StepRules>): string {
  return stepKinds({ ...defaultSettings, ...rules })
    .map(({ guided }) => Number(guided)).join("");
}

/** A portrait of the demo, painted by the mini model in f16. */
async function paint(options: Partial<GenerateOptions>) {
  const weaver = await miniWeaver("f16");
  const { images } = await weaver.generate({
    identity: await identity(),
    prompt: "a photo of a smiling woman with red hair",
    steps: 12,
    ...options,
  });
  return images.map(({ data }) => data);
}

let encoded: Promise<GenerateOptions["identity"]> | null = null;
const identity = () =>
  encoded ??= (async () => {
    const photo = await readImage(repositoryPath("weights/mini/demo.png"));
    return await (await miniWeaver("f16")).encodeIdentity([photo]);
  })();

let painted: ReturnType<typeof paint> | null = null;
/** The picture that leaves out nothing. */
const exact = () => painted ??= paint({});

const small = { width: 64, height: 64, steps: 3 };

Deno.test("steps: by default each does all the work", () => {
  assertEquals(kinds({ steps: 3 }), ["guided", "guided", "guided"]);
  assertEquals(kinds({ steps: 1 }), ["guided"]);
  assertEquals(kinds({ steps: 2, guidanceScale: 1 }), [
    "conditional",
    "conditional",
  ]);
});

Deno.test("steps: guided from one fraction to another, both rounded", () => {
  assertEquals(guided({ steps: 10, guidanceRange: [0, 0.5] }), "1111100000");
  assertEquals(guided({ steps: 10, guidanceRange: [0.1, 0.7] }), "0111111000");
  assertEquals(guided({ steps: 7, guidanceRange: [0, 0.5] }), "1111000");
  assertEquals(guided({ steps: 7, guidanceRange: [0.5, 1] }), "0000111");
  assertEquals(guided({ steps: 1, guidanceRange: [0, 0.5] }), "1");
  assertEquals(guided({ steps: 1, guidanceRange: [0.5, 1] }), "0");
  assertEquals(guided({ steps: 4, guidanceRange: [0, 0.1] }), "0000");
  const scale = { steps: 4, guidanceScale: 1 };
  assertEquals(guided({ ...scale, guidanceRange: [0, 1] }), "0000");
});

Deno.test("options: what leaves work out is checked", () => {
  const check = (options: object) =>
    checkSettings({ prompt: "", ...options }, anySize);
  const wrong: [object, string][] = [
    [{ guidanceRange: [0.5, 0.5] }, "guidanceRange must be two rising"],
    [{ guidanceRange: [0.6, 0.5] }, "got 0.6,0.5"],
    [{ guidanceRange: [-0.1, 0.5] }, "in 0..1"],
    [{ guidanceRange: [0, 1.1] }, "in 0..1"],
    [{ guidanceRange: [0, NaN] }, "got 0,NaN"],
    [{ guidanceRange: ["0", "1"] }, "guidanceRange"],
    [{ guidanceRange: [0, 0.5, 1] }, "got 0,0.5,1"],
    [{ guidanceRange: 0.5 }, "got 0.5"],
    [{ guidanceRange: null }, "got null"],
  ];
  for (const [options, message] of wrong) {
    assertThrows(() => check(options), MasterWeaverError, message);
  }
  assertEquals(check({ guidanceRange: [0.2, 1] }).guidanceRange, [0.2, 1]);
});

Deno.test("settings: a PNG's text holds what leaves work out", () => {
  const maker = { model: "m", modelHash: "h", dtype: "f16" };
  const settings = checkSettings(
    { prompt: "a man", guidanceRange: [0.1, 0.75] },
    anySize,
  );
  const text = toText(settings, maker);
  assertEquals(text.guidance_range, "0.1,0.75");
  const again = checkSettings(
    { prompt: "", ...fromText(text, "a.png") },
    anySize,
  );
  assertEquals(again, { ...settings, seed: 42n });
  // A picture made before there was such an option.
  const { guidance_range: _, ...older } = text;
  assertEquals(fromText(older, "a.png").guidanceRange, undefined);
  for (const broken of ["", "0", "0,x", "0,0.5,1"]) {
    assertThrows(
      () => fromText({ ...text, guidance_range: broken }, "a.png"),
      MasterWeaverError,
      "guidance_range",
    );
  }
});

gpuTest("guidance range: all and nothing are exact", async () => {
  const whole = await paint({ ...small, guidanceRange: [0, 1] });
  assertEquals(whole, await paint(small));
  // Of three steps none begins in the first tenth.
  const none = await paint({ ...small, guidanceRange: [0, 0.1] });
  assertEquals(none, await paint({ ...small, guidanceScale: 1 }));
});

gpuTest(
  "guidance range: the picture is close, and the same again",
  async () => {
    const [half] = await paint({ guidanceRange: [0, 0.5] });
    const [same] = await paint({ guidanceRange: [0, 0.5] });
    assertEquals(half, same);
    const [picture] = await exact();
    const quality = psnr(half, picture);
    // Late steps add detail: without guidance there it is fainter. No guidance
    // at all and another seed are both below 20 dB.
    assert(quality > 22 && quality < 50, `PSNR ${quality.toFixed(1)} dB`);
  },
);

gpuTest(
  "guidance range: several pictures at once, guided in the middle alone",
  async () => {
    const options = { ...small, numImages: 2, steps: 5 };
    const some = await paint({ ...options, guidanceRange: [0.2, 0.6] });
    const all = await paint(options);
    const none = await paint({ ...options, guidanceScale: 1 });
    for (const i of [0, 1]) {
      const between = psnr(some[i], all[i]);
      assert(between > psnr(none[i], all[i]), `picture ${i}: ${between} dB`);
    }
  },
);

gpuTest(
  "guidance range: a loop that changes plans allocates nothing",
  async () => {
    const weaver = await miniWeaver("f16");
    const { buffers, pipelines } = weaver.gpu;
    const counts = () => [buffers.count, buffers.bytes, pipelines.count];
    const options = { ...small, steps: 6, guidanceRange: [0, 0.5] as const };
    await paint(options);
    const before = counts();
    const during: number[][] = [];
    await paint({
      ...options,
      onProgress: ({ stage, done }) => {
        if (stage === "denoise" && done > 0) during.push(counts());
      },
    });
    assert(during.length > 0);
    for (const now of during) assertEquals(now, before);
    assertEquals(counts(), before);
  },
);
