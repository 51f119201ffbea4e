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
} from "../src/generate/step_kinds.ts";
import { torchCpuNormal } from "../src/samplers/noise.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import type { GpuTensor } from "../src/graph/plan.ts";
import { firstHalf } from "../src/graph/tensors.ts";
import { elementCount } from "../src/ops/op.ts";
import {
  anySize,
  checkSettings,
  defaultSettings,
} from "../src/options/options.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { GenerateOptions } from "../src/pipeline.ts";
import {
  fromText,
  type Provenance,
  toText,
} from "../src/options/settings_text.ts";
import { graphFlops } from "../tools/bench/cost.ts";
import { nmse, psnr } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { StepPlans } from "./support/step_plans.ts";

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
    steps: 8,
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
/** The image that leaves out nothing. */
const exact = () => painted ??= paint({});

const small = { width: 64, height: 64, steps: 3 };

/** Made twice, a small image is the same: a step of each kind is enough. */
async function isTheSameAgain(options: Partial<GenerateOptions>) {
  const first = await paint({ ...small, steps: 2, ...options });
  assertEquals(await paint({ ...small, steps: 2, ...options }), first);
}

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

Deno.test("steps: features are computed anew every so many steps", () => {
  const whole = (rules: Partial<StepRules>) =>
    stepKinds({ ...defaultSettings, ...rules })
      .map(({ cached }) => Number(!cached)).join("");
  assertEquals(whole({ steps: 7, reuseFeatures: 1 }), "1111111");
  assertEquals(whole({ steps: 7, reuseFeatures: 2 }), "1010101");
  assertEquals(whole({ steps: 7, reuseFeatures: 3 }), "1001001");
  assertEquals(whole({ steps: 7, reuseFeatures: 1000 }), "1000000");
  assertEquals(whole({ steps: 1, reuseFeatures: 3 }), "1");
  // Where guidance ends, the conditional half is there already.
  const early = { steps: 9, guidanceRange: [0, 0.5] } as const;
  assertEquals(whole({ ...early, reuseFeatures: 4 }), "100010001");
  // Where it sets in, the other half is not.
  const late = { steps: 9, guidanceRange: [0.2, 1] } as const;
  assertEquals(whole({ ...late, reuseFeatures: 4 }), "101000100");
  assertEquals(kinds({ ...early, steps: 3, reuseFeatures: 4 }), [
    "guided",
    "guided, cached",
    "conditional, cached",
  ]);
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
    [{ reuseFeatures: 0 }, "reuseFeatures must be a whole number in 1..1000"],
    [{ reuseFeatures: 2.5 }, "got 2.5"],
    [{ reuseFeatures: "3" }, 'got "3"'],
    [{ mergeTokens: 0.8 }, "mergeTokens must be a number in 0..0.75, got 0.8"],
    [{ mergeTokens: -0.1 }, "got -0.1"],
    [{ mergeTokens: NaN }, "got NaN"],
  ];
  for (const [options, message] of wrong) {
    assertThrows(() => check(options), MasterWeaverError, message);
  }
  assertEquals(check({ guidanceRange: [0.2, 1] }).guidanceRange, [0.2, 1]);
});

Deno.test("settings: a PNG's text holds what leaves work out", () => {
  const provenance: Provenance = {
    model: "m",
    modelHash: "h",
    adapterHash: "a",
    dtype: "f16",
    tune: "auto",
    parse: true,
    requireFace: false,
    referenceHashes: [],
  };
  const settings = checkSettings(
    {
      prompt: "a man",
      guidanceRange: [0.1, 0.75],
      reuseFeatures: 3,
      mergeTokens: 0.5,
    },
    anySize,
  );
  const text = toText(settings, provenance);
  assertEquals(text.guidance_range, "0.1,0.75");
  assertEquals([text.reuse_features, text.merge_tokens], ["3", "0.5"]);
  const again = checkSettings(
    { prompt: "", ...fromText(text, "a.png").settings },
    anySize,
  );
  assertEquals(again, { ...settings, seed: 42n });
  // An image made before there was such an option.
  const { guidance_range: _, ...older } = text;
  assertEquals(fromText(older, "a.png").settings.guidanceRange, undefined);
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
    await isTheSameAgain({ guidanceRange: [0, 0.5] });
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

gpuTest("cached features: of the same step, they change nothing", async () => {
  const layout = {
    images: 1,
    height: 16,
    width: 12,
    guided: true,
    cachesFeatures: true,
  };
  using plans = await StepPlans.open(layout);
  const whole = await plans.plan({ guided: true, cached: false });
  const cached = await plans.plan({ guided: true, cached: true }, {
    cached_features: whole.tensor("cached_features"),
  });
  const noise = torchCpuNormal(7, 16 * 12 * 4);
  const step = async (plan: typeof whole, t: number) => {
    plan.write("latents", noise);
    plan.write("t", new Float32Array(2).fill(t));
    plan.write("identity_scale", Float32Array.of(1));
    plan.write("guidance_scale", Float32Array.of(5));
    plan.write("coefficients", Float32Array.of(1, 1));
    plan.run();
    return (await plan.read("latents")).latents;
  };
  const result = await step(whole, 500);
  assertEquals(await step(cached, 500), result);
  // Of another step they are an approximation.
  const later = await step(cached, 400);
  const exact = await step(whole, 400);
  const error = nmse(later, exact);
  assert(error > 0 && error < 1e-2, `NMSE ${error}`);
});

gpuTest(
  "steps: the conditional half of a guided one is a step by itself",
  async () => {
    const layout = {
      images: 2,
      height: 12,
      width: 16,
      guided: true,
      cachesFeatures: true,
    };
    using plans = await StepPlans.open(layout);
    const guided = await plans.plan({ guided: true, cached: false });
    const halves: Record<string, GpuTensor> = {
      cached_features: firstHalf(guided.tensor("cached_features")),
    };
    const { inputs } = plans.graph({ guided: true, cached: false });
    let seed = 0;
    for (const [name, { shape, dtype }] of inputs) {
      const values = torchCpuNormal(seed++, elementCount(shape));
      guided.write(
        name,
        dtype === "u32" ? new Uint32Array(values.length) : values,
      );
      if (/\.[kv]$/.test(name)) halves[name] = firstHalf(guided.tensor(name));
    }
    guided.write("t", new Float32Array(4).fill(500));
    const { cached_features: _, ...keys } = halves;
    const whole = await plans.plan({ guided: false, cached: false }, keys);
    const cached = await plans.plan({ guided: false, cached: true }, halves);
    const step = async (plan: typeof whole) => {
      plan.write("latents", torchCpuNormal(9, 2 * 12 * 16 * 4));
      plan.write("t", new Float32Array(2).fill(500));
      plan.write("identity_scale", Float32Array.of(1));
      plan.write("coefficients", Float32Array.of(1, 1));
      plan.run();
      return (await plan.read("latents")).latents;
    };
    guided.write("latents", torchCpuNormal(9, 2 * 12 * 16 * 4));
    guided.write("identity_scale", Float32Array.of(1));
    guided.run();
    assertEquals(await step(cached), await step(whole));
  },
);

gpuTest("cached features: every step whole is exact", async () => {
  const exact = await paint(small);
  assertEquals(await paint({ ...small, reuseFeatures: 1 }), exact);
  // An image of one step has none to use again.
  const one = await paint({ ...small, steps: 1 });
  assertEquals(await paint({ ...small, steps: 1, reuseFeatures: 5 }), one);
});

gpuTest(
  "cached features: the picture is close, and the same again",
  async () => {
    const [cached] = await paint({ reuseFeatures: 2 });
    await isTheSameAgain({ reuseFeatures: 2 });
    const [picture] = await exact();
    const quality = psnr(cached, picture);
    // Outlines and colours stay; half as many steps in all give less.
    const [half] = await paint({ steps: 4 });
    assert(quality > psnr(half, picture), `PSNR ${quality.toFixed(1)} dB`);
    assert(quality > 25 && quality < 60, `PSNR ${quality.toFixed(1)} dB`);
  },
);

gpuTest(
  "cached features: without guidance, and of several pictures at once",
  async () => {
    const options = { ...small, numImages: 2, steps: 5 };
    for (const guidanceScale of [1, 5]) {
      const exact = await paint({ ...options, guidanceScale });
      const some = await paint({ ...options, guidanceScale, reuseFeatures: 2 });
      for (const i of [0, 1]) {
        const quality = psnr(some[i], exact[i]);
        // Another seed is at 12 to 14 dB.
        assert(quality > 17 && quality < 60, `picture ${i}: ${quality} dB`);
      }
    }
  },
);

gpuTest("merged tokens: none is exact, some are close", async () => {
  const [picture] = await exact();
  assertEquals(await paint({ ...small, mergeTokens: 0 }), await paint(small));
  const [merged] = await paint({ mergeTokens: 0.5 });
  await isTheSameAgain({ mergeTokens: 0.5 });
  const quality = psnr(merged, picture);
  // The same person in the same image, small features moved: another seed is
  // below 20 dB. The mini model's 256 tokens are few, each says much.
  assert(quality > 22 && quality < 60, `PSNR ${quality.toFixed(1)} dB`);
});

gpuTest("less work: all three at once, of several pictures", async () => {
  const options = {
    ...small,
    steps: 5,
    numImages: 2,
    width: 72,
    height: 88,
  };
  const less = {
    guidanceRange: [0.2, 0.8],
    reuseFeatures: 2,
    mergeTokens: 0.5,
  } as const;
  const all = await paint(options);
  const some = await paint({ ...options, ...less });
  assertEquals(await paint({ ...options, ...less }), some);
  const others = await paint({ ...options, seed: 43 });
  for (const i of [0, 1]) {
    // Five steps, of which three are whole: still nearer than another image.
    const quality = psnr(some[i], all[i]);
    assert(
      quality > 1 + psnr(others[i], all[i]),
      `picture ${i}: ${quality} dB`,
    );
    assert(quality < 60, `picture ${i}: ${quality} dB`);
  }
});

gpuTest("steps: what is left out is not dispatched", async () => {
  const layout = {
    images: 1,
    height: 32,
    width: 32,
    guided: true,
    cachesFeatures: true,
  };
  using plans = await StepPlans.open(layout);
  const work = async (guided: boolean, cached: boolean) => {
    const { statistics } = await plans.plan({ guided, cached });
    const flops = graphFlops(plans.graph({ guided, cached }));
    return { dispatches: statistics.dispatches, flops };
  };
  const all = await work(true, false);
  const conditional = await work(false, false);
  const cached = await work(true, true);
  const least = await work(false, true);
  // The time embedding and the like are computed for both halves too.
  assertEquals(conditional.flops, all.flops / 2);
  assertEquals(least.flops, cached.flops / 2);
  assert(conditional.dispatches <= all.dispatches);
  assert(cached.flops < 0.2 * all.flops, `${cached.flops / all.flops}`);
  assert(cached.dispatches < 0.2 * all.dispatches);
  // Nothing but handing the features on is added where they are kept.
  const { cachesFeatures: _, ...plain } = layout;
  using others = await StepPlans.open(plain);
  const usual = await others.plan({ guided: true, cached: false });
  assertEquals(usual.statistics.dispatches, all.dispatches);
});

gpuTest(
  "less work: a loop that changes plans allocates nothing",
  async () => {
    const weaver = await miniWeaver("f16");
    const { buffers, pipelines } = weaver.gpu;
    const counts = () => [buffers.count, buffers.bytes, pipelines.count];
    const options = {
      ...small,
      steps: 7,
      guidanceRange: [0, 0.5] as const,
      reuseFeatures: 2,
      mergeTokens: 0.25,
    };
    const first = await paint(options);
    const before = counts();
    const during: number[][] = [];
    const again = await paint({
      ...options,
      onProgress: ({ stage, done }) => {
        if (stage === "denoise" && done > 0) during.push(counts());
      },
    });
    assertEquals(again, first);
    assert(during.length > 0);
    for (const now of during) assertEquals(now, before);
    assertEquals(counts(), before);
  },
);

gpuTest("less work: the plans of a picture share their memory", async () => {
  const peak = async (options: object) => {
    await using weaver = await MasterWeaver.load(
      repositoryPath("weights/mini"),
      { dtype: "f16" },
    );
    await weaver.generate({
      ...small,
      width: 128,
      height: 128,
      prompt: "",
      identity: await identity(),
      ...options,
    });
    return weaver.gpu.buffers.peakBytes;
  };
  const usual = await peak({});
  const two = await peak({ reuseFeatures: 2 });
  // One tensor of features, (2, 32, 32, 48) in f16, and small inputs.
  const features = 2 * 32 * 32 * 48 * 2;
  assert(two - usual < features + 2 ** 16, `${two - usual} bytes more`);
});
