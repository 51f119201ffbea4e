/**
 * Plans are used again for what differs in nothing that decides them, and never
 * for anything else; the loop can be watched, and broken off.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Image } from "../src/image/image.ts";
import type { Progress } from "../src/base/progress.ts";
import type { ImageSettings } from "../src/generate/generator.ts";
import { type PlanKey, planKey } from "../src/generate/plan_key.ts";
import { ddimSampler } from "../src/samplers/ddim.ts";
import type { NoiseLevel } from "../src/samplers/sampler.ts";
import {
  madeUpConditions,
  miniGenerator,
  readTensor,
  readyLoop,
} from "./support/generator.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniComponents } from "./support/model.ts";

const settings: ImageSettings = {
  steps: 2,
  guidanceScale: 5,
  guidanceRange: [0, 1],
  reuseFeatures: 1,
  idScale: 1,
  numImages: 1,
  width: 32,
  height: 32,
  mergeTokens: 0,
  seed: 3,
  rng: "torch-cuda",
  cudaThreads: 0,
};

Deno.test("plan keys: every deciding field makes another, nothing else does", () => {
  const runShape = { images: 1, height: 8, width: 8, guided: true };
  const kind = { guided: true, cached: false };
  const step = (details: object): PlanKey => ({
    graph: "step",
    storage: "f16",
    details: { runShape, kind, sampler: "ddim", ...details },
  });
  const condition = (details: object): PlanKey => ({
    graph: "condition",
    storage: "f16",
    details: { images: 1, guided: true, ...details },
  });
  const decode = (details: object): PlanKey => ({
    graph: "decode",
    storage: "f16",
    details: { height: 8, width: 8, ...details },
  });
  const different: PlanKey[] = [
    step({}),
    { ...step({}), storage: "f32" },
    step({ sampler: "euler" }),
    step({ kind: { ...kind, guided: false } }),
    step({ kind: { ...kind, cached: true } }),
    step({ runShape: { ...runShape, images: 2 } }),
    step({ runShape: { ...runShape, repaints: true } }),
    step({ runShape: { ...runShape, height: 9 } }),
    step({ runShape: { ...runShape, width: 9 } }),
    step({ runShape: { ...runShape, guided: false } }),
    step({ runShape: { ...runShape, identity: false } }),
    step({ runShape: { ...runShape, cachesFeatures: true } }),
    step({ runShape: { ...runShape, mergeTokens: 0.5 } }),
    step({ runShape: { ...runShape, textTokens: 154 } }),
    step({ runShape: { ...runShape, conditions: 3 } }),
    condition({}),
    { ...condition({}), storage: "f32" },
    condition({ images: 2 }),
    condition({ guided: false }),
    condition({ textTokens: 154 }),
    condition({ conditions: 3 }),
    condition({ clipSkip: 2 }),
    condition({ emphasis: true }),
    condition({ replaced: true }),
    condition({ identity: false }),
    decode({}),
    { ...decode({}), storage: "f32" },
    decode({ height: 9 }),
    decode({ width: 9 }),
    decode({ height: 9, width: 9 }),
  ];
  assertEquals(new Set(different.map(planKey)).size, different.length);
  // What is not given is what it stands for; the order says nothing.
  const { images, ...rest } = runShape;
  assertEquals(
    planKey(step({
      runShape: {
        cachesFeatures: false,
        mergeTokens: 0,
        identity: true,
        ...rest,
        images,
      },
    })),
    planKey(step({})),
  );
  // With an identity, what it was before there could be none.
  assertEquals(planKey(condition({})), '["condition","f16",1,true]');
  // More than what decides it does not get into a key.
  assertEquals(
    planKey(condition({ seed: 4, height: 9 })),
    planKey(condition({})),
  );
});

gpuTest(
  "plans: used again where only prompt, seed and scales differ, and never stale",
  async () => {
    using kept = await miniGenerator(true);
    let prepared: string[] = [];
    const onProgress = ({ stage, network, done, total }: Progress) => {
      if (stage === "prepare" && done === total) prepared.push(network!);
    };
    const right = new Map<string, Image[]>();
    const make = async (change: Partial<ImageSettings>, prompt = 1) => {
      const conditions = await madeUpConditions(prompt);
      const request = { ...conditions, settings: { ...settings, ...change } };
      prepared = [];
      const images = await kept.generator.generate(request, { onProgress });
      // Nothing that was made before has a part in these.
      const key = JSON.stringify([prompt, change]);
      if (!right.has(key)) {
        using fresh = await miniGenerator(false);
        right.set(key, await fresh.generator.generate(request));
      }
      assertEquals(images, right.get(key));
      return prepared;
    };
    const [text, step, vae] = ["text encoder", "UNet", "VAE"];
    assertEquals(await make({}), [text, step, vae]);
    assertEquals(await make({}), []);
    assertEquals(await make({}, 2), []);
    assertEquals(
      await make({ seed: 4, rng: "torch-cpu", guidanceScale: 7, idScale: 0 }),
      [],
    );
    assertEquals(await make({ steps: 3 }), []);
    // What decides the shapes of what is handed on.
    assertEquals(await make({ width: 40 }), [text, step, vae]);
    assertEquals(await make({ numImages: 2, width: 40 }), [text, step]);
    assertEquals(await make({ guidanceScale: 1, width: 40 }), [text, step]);
    assertEquals(await make({ width: 40 }), [text, step]);
    // What decides the step alone.
    assertEquals(await make({ mergeTokens: 0.5, width: 40 }), [step]);
    assertEquals(await make({ width: 40 }), [step]);
    // A kind of step that comes to those there are.
    const half = { guidanceRange: [0, 0.5] } as const;
    assertEquals(await make({ ...half, width: 40 }), [step]);
    assertEquals(await make({ width: 40 }), []);
    assertEquals(await make({ ...half, width: 40 }), []);
    assertEquals(await make({ reuseFeatures: 2, width: 40 }), [text, step]);
    assertEquals(await make({}), [text, step, vae]);
  },
);

gpuTest("loop: whoever breaks off leaves no memory behind", async () => {
  const { scheduler } = (await miniComponents).unet.config;
  for (const keepLoaded of [false, true]) {
    using mini = await miniGenerator(keepLoaded);
    const { context } = mini;
    const { buffers } = context.gpu;
    const run = {
      size: [8, 8],
      rules: settings,
      idScale: 1,
      sampler: ddimSampler(scheduler),
    } as const;
    const whole = async () => {
      using ready = await readyLoop(context, run);
      const all: Float32Array[] = [];
      for await (const { latents } of ready.steps) {
        all.push(await readTensor(latents));
      }
      return all;
    };
    const right = await whole();
    assertEquals(right.length, 2);
    const before = [buffers.bytes, buffers.count];
    {
      using ready = await readyLoop(context, run);
      for await (const { index, total, latents } of ready.steps) {
        assertEquals([index, total], [0, 2]);
        assertEquals(await readTensor(latents), right[0]);
        break;
      }
    }
    assertEquals([buffers.bytes, buffers.count], before);
    {
      using ready = await readyLoop(context, run);
      await assertRejects(
        async () => {
          for await (const _ of ready.steps) throw new Error("enough");
        },
        Error,
        "enough",
      );
    }
    assertEquals([buffers.bytes, buffers.count], before);
    assertEquals(await whole(), right);
    assertEquals([buffers.bytes, buffers.count], before);
  }
});

gpuTest(
  "generator: tells of each step, and waits for whoever is told",
  async () => {
    using mini = await miniGenerator(false);
    const conditions = await madeUpConditions();
    const told: string[] = [];
    const levels: NoiseLevel[] = [];
    const request = { ...conditions, settings: { ...settings, numImages: 2 } };
    const previews: Float32Array[] = [];
    const images = await mini.generator.generate(request, {
      onStep: async ({ index, total, timestep, latents, level }) => {
        told.push(`${index} of ${total} at ${timestep}`);
        levels.push(level);
        previews.push(await readTensor(latents));
      },
    });
    assertEquals(told, ["0 of 2 at 501", "1 of 2 at 1"]);
    const { scheduler } = (await miniComponents).unet.config;
    const { steps, finalLevel } = ddimSampler(scheduler).schedule(2);
    assertEquals(levels, [steps[1].level, finalLevel]);
    // Two images of 4 channels, 8 × 8.
    assertEquals(previews.map(({ length }) => length), [512, 512]);
    assert(previews[0].some((value, i) => value !== previews[1][i]));
    assertEquals(await mini.generator.generate(request), images);
  },
);
