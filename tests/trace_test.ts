/**
 * One image followed through: identity, text, noise, latents after the
 * first, a middle and the last step, the decoded image, each against
 * PyTorch's within a network's NMSE.
 */
import { assert, assertEquals } from "@std/assert";
import { openComponent } from "../src/weights/components.ts";
import { ddimSchedule, ddimStepCoefficients } from "../src/samplers/ddim.ts";
import { torchCpuNormal } from "../src/samplers/noise.ts";
import { readSchedulerConfig } from "../src/samplers/own_settings.ts";
import { openModelFolder, readImage } from "../src/host/files.ts";
import type { Graph } from "../src/graph/graph.ts";
import {
  KernelChoice,
  type KernelChooser,
} from "../src/graph/kernel_choice.ts";
import { Plan } from "../src/graph/plan.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { WeightStore } from "../src/graph/weight_store.ts";
import { clipTextConfig } from "../src/models/clip.ts";
import { identityConfig } from "../src/models/id_resampler.ts";
import { crossAttentions, unetConfig } from "../src/models/unet.ts";
import { vaeConfig } from "../src/models/vae.ts";
import {
  conditionGraph,
  decodeGraph,
  stepGraph,
} from "../src/generate/generator.ts";
import { ClipTokenizer } from "../src/text/tokenizer.ts";
import { nmse } from "./support/compare.ts";
import { fold, FOLDED } from "./support/fold.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { readSafetensors } from "./support/safetensors.ts";

const pictures = repositoryPath("tests/goldens/pictures");
const NAME = "smiling-red-hair";
const PROMPT = "a photo of a smiling woman with red hair";

/** (1, C, H, W) as (1, H, W, C). */
function channelsLast(
  { shape: [, channels, height, width], data }: {
    shape: readonly number[];
    data: ArrayLike<number>;
  },
): Float32Array {
  const pixels = height * width;
  return Float32Array.from(
    { length: data.length },
    (_, i) => data[(i % channels) * pixels + Math.floor(i / channels)],
  );
}

gpuTest("trace: every stage of a picture equals PyTorch's", async () => {
  const goldens = await readSafetensors(
    `${pictures}/${NAME}.trace.safetensors.gz`,
  );
  const close = (found: ArrayLike<number>, name: string) => {
    const want = goldens.get(name)!;
    const expected = want.shape.length === 4
      ? channelsLast(want)
      : Float32Array.from(want.data);
    assertEquals(found.length, expected.length, name);
    const error = nmse(Float32Array.from(found), expected);
    assert(error <= 1e-8, `${name}: NMSE ${error}`);
  };

  const weaver = await miniWeaver("f32");
  const reference = await readImage(`${pictures}/${NAME}.reference-0.png`);
  const identity = await weaver.encodeIdentity([reference], {
    align: false,
    parse: false,
  });
  close(identity.tokens, "id_cond");
  close(identity.unconditional, "id_uncond");

  const gpu = await sharedGpu();
  await using folder = await openModelFolder(repositoryPath("weights/mini"));
  const open = <C>(
    name: Parameters<typeof openComponent>[1],
    read: (json: unknown) => C,
  ) => openComponent(folder.files, name, read);
  const text = await open("text_encoder", clipTextConfig);
  const unet = await open("unet", (json) => ({
    ...unetConfig(json),
    scheduler: readSchedulerConfig(
      (json as Record<string, unknown>).scheduler,
      "unet",
    ),
  }));
  const adapter = await open("identity_adapter", identityConfig);
  const vae = await open("vae", vaeConfig);
  const runShape = { images: 1, height: 32, width: 32, guided: true };
  const parts = { text, unet, adapter, vae };
  using store = new WeightStore(gpu);
  // Baseline kernels where none are chosen.
  const plan = async (
    graph: Graph,
    named: string[],
    bindings = {},
    choose?: KernelChooser,
  ) => {
    for (const name of named) graph.output(name, graph.named.get(name)!);
    const kernels = new KernelChoice(graph, choose);
    await store.load(kernels.parameters);
    return await Plan.make(gpu, graph, { weights: [store], kernels, bindings });
  };
  const conditions = conditionGraph("f32", parts, runShape);
  using condition = await plan(conditions, ["text"]);
  const keys = crossAttentions(unet.config)
    .flatMap(({ path }) => [`${path}.k`, `${path}.v`])
    .map((name) => [name, condition.tensor(name)]);
  const bindings = Object.fromEntries(keys);
  const steps = stepGraph("f32", parts, runShape);
  using baseline = await plan(steps, [], bindings);
  // Thirty steps take too long with those: the kernels of whole images.
  using step = await plan(steps, [], bindings, new Tuner(gpu).choose);
  using decode = await plan(decodeGraph("f32", parts, runShape), ["decoded"]);

  const { tokenizer: words } = text.file.config as {
    tokenizer: { vocab: string[]; merges: string[] };
  };
  const tokenizer = new ClipTokenizer({ ...words, maxLength: 77 });
  const ids = [PROMPT, ""].map((line) => [...tokenizer.encode(line).ids]);
  condition.write("ids", Uint32Array.from(ids.flat()));
  const both = [...identity.tokens, ...identity.unconditional];
  condition.write("identity", Float32Array.from(both));
  condition.run();
  // PyTorch's has the unconditional half first.
  const embedded = (await condition.read("text")).text;
  const half = embedded.length / 2;
  close(
    [...embedded.subarray(half), ...embedded.subarray(0, half)],
    "text",
  );

  const noise = torchCpuNormal(42, 4 * 32 * 32);
  const latents = channelsLast({ shape: [1, 4, 32, 32], data: noise });
  close(latents, "noise");
  for (const each of [baseline, step]) {
    each.write("latents", latents);
    each.write("identity_scale", Float32Array.of(1));
    each.write("guidance_scale", Float32Array.of(5));
  }
  const { timesteps, coefficients } = ddimSchedule(unet.config.scheduler, 30);
  for (let i = 0; i < 30; i++) {
    const name = `latents_after_step_${i}`;
    const { sample, predictedNoise } = ddimStepCoefficients(coefficients[i]);
    for (const each of i === 0 ? [baseline, step] : [step]) {
      each.write("t", new Float32Array(2).fill(timesteps[i]));
      each.write("coefficients", Float32Array.of(sample, predictedNoise));
      each.run();
      if (goldens.has(name)) {
        close((await each.read("latents")).latents, name);
      }
    }
  }

  decode.copy("latents", step.tensor("latents").slice);
  decode.run();
  close(fold((await decode.read("decoded")).decoded), `decoded${FOLDED}`);
});
