/**
 * Numbers that are not finite: never a black image, but an error that names the
 * stage, or the VAE again in f32.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import type { StorageType } from "../src/gpu/gpu.ts";
import { Graph } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { FiniteChecks, requireFinite, STAGES } from "../src/generate/health.ts";
import { nonFinite } from "../src/ops/non_finite.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import type { GenerateOptions } from "../src/pipeline.ts";
import {
  brokenTensor,
  changedComponent,
  changedFiles,
  type ChangeWeights,
  overflowing,
} from "./support/changed_weights.ts";
import { command } from "./support/command.ts";
import { psnr, sameBytes } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { changedModel } from "./support/model_folder.ts";

const demo = repositoryPath("weights/mini/demo.png");
const photo = await readImage(demo);
const hasF16 = (await navigator.gpu?.requestAdapter())
  ?.features.has("shader-f16") ?? false;

/** Makes images; returns them and what was said. */
async function paint(
  weaver: MasterWeaver,
  options: Partial<GenerateOptions> = {},
) {
  const identity = await weaver.encodeIdentity([photo], {
    align: false,
    parse: false,
  });
  const warnings: string[] = [];
  const { images } = await weaver.generate({
    identity,
    prompt: "a man in the snow",
    steps: 3,
    width: 64,
    height: 64,
    ...options,
    onWarning: (warning) => warnings.push(warning),
  });
  return { images, warnings };
}

async function changedWeaver(
  component: string,
  change: ChangeWeights,
  dtype: StorageType,
): Promise<MasterWeaver> {
  const files = await changedFiles(component, change);
  return await MasterWeaver.load(files, { dtype, tune: "off" });
}

gpuTest(
  "health: a VAE that overflows in f16 is decoded in f32, with one warning",
  async () => {
    await using single = await changedWeaver("vae", overflowing, "f32");
    await using half = await changedWeaver("vae", overflowing, "f16");
    const options = { numImages: 2 };
    const right = await paint(single, options);
    assertEquals(right.warnings, []);
    const found = await paint(half, options);
    assertEquals(found.warnings.length, 1);
    assertMatch(
      found.warnings[0],
      /2 of 2 images again in f32 \(no-half-vae\)/,
    );
    for (const [i, { width, data }] of found.images.entries()) {
      assertEquals(width, right.images[i].width);
      const quality = psnr(data, right.images[i].data);
      assert(quality >= 35, `${quality} dB`);
      // There is something to see.
      assert(new Set(data).size > 50);
    }
    // The second image of a process is as right as the first.
    const again = await paint(half, options);
    for (const [i, { data }] of again.images.entries()) {
      assert(sameBytes(data, found.images[i].data));
    }
    assertEquals(again.warnings, found.warnings);
  },
  !hasF16,
);

gpuTest("health: a sound model says nothing", async () => {
  for (const dtype of hasF16 ? ["f16", "f32"] as const : ["f32"] as const) {
    const { warnings } = await paint(await miniWeaver(dtype));
    assertEquals(warnings, []);
  }
});

/** A weight of each network, and what the error says. */
const broken: readonly [string, string, RegExp][] = [
  [
    "text_encoder",
    "text_model.encoder.layers.0.mlp.fc1.bias",
    /^The text encoder went wrong/,
  ],
  ["unet", "conv_out.bias", /^Denoising went wrong at step 1 of 3/],
  [
    "unet",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight",
    /^The UNet's keys and values of the text went wrong/,
  ],
  [
    "identity_adapter",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_k_img.weight",
    /^The identity adapter's keys and values went wrong/,
  ],
  ["image_encoder", "vision_model.pre_layrnorm.bias", /identity|image encoder/],
  ["vae", "decoder.conv_out.bias", /^The VAE went wrong/],
];

for (const dtype of ["f32", "f16"] as const) {
  for (const [component, tensor, message] of broken) {
    // Where storage makes a difference to what is done.
    if (dtype === "f16" && component !== "vae") continue;
    gpuTest(
      `health: ${dtype}, a NaN in ${component}'s ${tensor} is named`,
      async () => {
        const change = brokenTensor(tensor);
        await using weaver = await changedWeaver(component, change, dtype);
        const error = await assertRejects(
          () => paint(weaver),
          MasterWeaverError,
        );
        assertEquals(error.code, "non-finite");
        assertMatch(error.message, message);
      },
      dtype === "f16" && !hasF16,
    );
  }
}

gpuTest(
  "health: denoising that overflows f16 names its step, f32 holds it",
  async () => {
    // Latents that grow from step to step, and guidance does the rest.
    const louder: ChangeWeights = (name) =>
      name.startsWith("conv_out.") ? (value) => 8000 * value : undefined;
    const options = { guidanceScale: 100, steps: 8 };
    await using half = await changedWeaver("unet", louder, "f16");
    const error = await assertRejects(
      () => paint(half, options),
      MasterWeaverError,
    );
    assertEquals(error.code, "non-finite");
    assertMatch(
      error.message,
      /^Denoising went wrong at step [2-8] of 8: .*dtype: "f32".*guidanceScale/,
    );
    await using single = await changedWeaver("unet", louder, "f32");
    assertEquals((await paint(single, options)).warnings, []);
  },
  !hasF16,
);

gpuTest("health: after it the same model makes the same image", async () => {
  const weaver = await miniWeaver("f32");
  const before = await paint(weaver);
  const identity = await weaver.encodeIdentity([photo], { align: false });
  const tokens = Float32Array.from(identity.tokens);
  tokens[5] = Infinity;
  await assertRejects(
    () => paint(weaver, { identity: { ...identity, tokens } }),
    MasterWeaverError,
    "dentity",
  );
  const [{ data }] = (await paint(weaver)).images;
  assert(sameBytes(data, before.images[0].data));
});

gpuTest(
  "health: the command tells the stage, exits with 1 and leaves no file",
  async () => {
    const parent = await Deno.makeTempDir();
    try {
      const change = brokenTensor("conv_out.bias");
      const bytes = await changedComponent("unet", change);
      const model = await changedModel(parent, "unet.weave", () => bytes);
      const { code, out, err } = await command([
        "--ref",
        demo,
        "--no-align",
        "--steps=2",
        "--no-parse",
        "--width=64",
        "--height=64",
        "--quiet",
        `--model=${model}`,
        `--output=${parent}/out.png`,
      ]);
      assertEquals([code, out], [1, ""]);
      assertEquals(err.length, 1);
      assertMatch(err[0], /^Denoising went wrong at step 1 of 2.*convert/);
      const names = (await Array.fromAsync(Deno.readDir(parent)))
        .filter(({ isFile }) => isFile);
      assertEquals(names, []);
    } finally {
      await Deno.remove(parent, { recursive: true });
    }
  },
);

Deno.test("health: the first stage that went wrong is told", () => {
  const marked = (marks: Partial<Record<typeof STAGES[number], number>>) =>
    STAGES.map((stage) => marks[stage] ?? 0);
  const told = (
    marks: Parameters<typeof marked>[0],
    real: StorageType = "f16",
  ) => {
    try {
      requireFinite(marked(marks), real, 30);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assertEquals(told({}), "");
  // Whoever decodes tells of that.
  assertEquals(told({ decoded: 1 }), "");
  assertMatch(told({ latents: 7, decoded: 1 }), /at step 7 of 30: .*\(f16\)/);
  assertMatch(told({ latents: 7 }), /try dtype: "f32", or a lower guidance/);
  assertMatch(told({ identity: 1, latents: 1 }), /^The identity went wrong/);
  assertMatch(told({ text: 1, identity: 1 }), /^The text encoder/);
  assert(!told({ text: 1 }, "f32").includes("dtype"));
});

gpuTest(
  "health: several marks of one graph, the first number stays",
  async () => {
    const g = new Graph("f32");
    const checks = new FiniteChecks(g);
    const step = g.input("step", [1], "u32");
    checks.mark("text", g.input("a", [70], "f32"));
    checks.mark("latents", g.input("b", [3], "f32"), step);
    using plan = await Plan.make(await sharedGpu(), g);
    const read = async () => [...(await plan.read("health")).health];
    const run = async (a: number, b: number, number: number) => {
      plan.write("a", new Float32Array(70).fill(a));
      plan.write("b", Float32Array.of(1, b, 2));
      plan.write("step", Uint32Array.of(number));
      plan.run();
      return await read();
    };
    assertEquals(await run(1, 2, 1), [0, 0, 0, 0, 0, 0]);
    assertEquals(await run(1, NaN, 4), [0, 0, 0, 0, 4, 0]);
    assertEquals(await run(-Infinity, NaN, 5), [1, 0, 0, 0, 4, 0]);
  },
);

gpuTest(
  "health: of an odd number of f16 what lies behind the last is not looked at",
  async () => {
    const gpu = await sharedGpu();
    const g = new Graph("f16");
    const x = g.input("x", [3], "f16");
    const health = g.input("health", [1], "u32");
    g.apply(nonFinite, { x, number: undefined, health }, { slot: 0 });
    using plan = await Plan.make(gpu, g);
    const { buffer } = plan.tensor("x").slice;
    const words = async (bits: number[]) => {
      gpu.device.queue.writeBuffer(buffer, 0, Uint16Array.from(bits));
      plan.write("health", Uint32Array.of(0));
      plan.run();
      return (await plan.read("health")).health[0];
    };
    // 0x7c00 is an infinity, 0x7e00 a NaN, 0x7bff the largest.
    assertEquals(await words([0x7bff, 0xfbff, 0, 0x7c00]), 0);
    assertEquals(await words([0x7bff, 0xfbff, 0x7c00, 0]), 1);
    assertEquals(await words([0, 0xfe00, 0, 0]), 1);
    assertEquals(await words([0xfc00, 0, 0, 0]), 1);
  },
  !hasF16,
);
