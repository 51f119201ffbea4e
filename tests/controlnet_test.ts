/**
 * ControlNets against diffusers', on the mini model's topology with random weights:
 * residuals of f32 within NMSE 1e-8, of f16 within 1e-4, whole images with a PSNR of
 * 50 dB and more.
 */
import { assert, assertEquals } from "@std/assert";
import type { StorageType } from "../src/gpu/limits.ts";
import { Graph } from "../src/graph/graph.ts";
import { Network } from "../src/graph/network.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { inOrder } from "../src/generate/controls.ts";
import {
  controlEmbedding,
  controlNet,
  type ControlNetConfig,
} from "../src/models/controlnet.ts";
import { crossKeys } from "../src/models/cross_attentions.ts";
import { readImage } from "../src/host/files.ts";
import { nmse } from "../tools/compare/measures.ts";
import { channelsLast } from "../tools/compare/values.ts";
import { largestDifference, psnr } from "./support/compare.ts";
import { miniControlNet } from "./support/control_nets.ts";
import { fold } from "./support/fold.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";
import { floats, readSafetensors } from "./support/safetensors.ts";

const folder = repositoryPath("tests/goldens/controlnet");
const goldens = await readSafetensors(`${folder}/residuals.safetensors`);

/** The largest NMSE of a network's outputs. */
const LIMITS = { f32: 1e-8, f16: 1e-4 };
/** Sums to which the goldens' outputs are folded. */
const SUMS = 256;

/** A golden image (B, C, H, W) as (B, H, W, C), filled up to four channels. */
function image(name: string): Float32Array {
  const { shape } = goldens.get(name)!;
  const data = floats(goldens, name);
  return channelsLast({ shape, data }, 4).data as Float32Array;
}

/**
 * The residuals of two noisy latents, 9 × 7.
 *
 * @param order in which the ControlNet reads an image's colours
 */
async function residuals(
  storage: StorageType,
  order: ControlNetConfig["channelOrder"] = "rgb",
): Promise<readonly Float32Array[]> {
  const { component: { weights, config } } = await miniControlNet(1);
  const g = new Graph(storage);
  const text = g.input("text", goldens.get("text")!.shape, storage);
  const pixels = g.input("image", [1, 36, 28, 4], storage);
  const found = controlNet(
    {
      sample: g.input("sample", [2, 9, 7, 4], storage),
      t: g.input("timesteps", [2], "f32"),
      embedding: controlEmbedding(pixels, weights, config),
      cross: (attention) => crossKeys(attention, text, weights),
    },
    weights,
    config,
  );
  found.forEach((residual, i) => g.output(`residual ${i}`, residual));
  const gpu = await sharedGpu();
  using network = new Network(gpu, false, new Tuner(gpu, "off"));
  const plans = { pass: { key: "pass", graph: () => g } };
  const read = await network.use({ plans }, ({ pass }) => {
    pass.write("text", floats(goldens, "text"));
    pass.write("timesteps", floats(goldens, "timesteps"));
    pass.write("sample", image("sample"));
    pass.write("image", inOrder(image("image"), order));
    pass.run();
    return pass.read(...g.outputs.keys());
  });
  return found.map((_, i) => read[`residual ${i}`] as Float32Array);
}

for (const storage of ["f32", "f16"] as const) {
  gpuTest(`ControlNet, ${storage}: residuals are diffusers'`, async () => {
    const found = await residuals(storage);
    assertEquals(found.length, 7);
    for (const [i, values] of found.entries()) {
      const scaled = values.map((value) => 0.75 * value);
      const expected = floats(goldens, `rgb.residual_${i}.folded`);
      const error = nmse(fold(scaled, SUMS), expected);
      assert(error <= LIMITS[storage], `residual ${i}: NMSE ${error}`);
    }
  });
}

gpuTest("ControlNet: residuals of guess mode, of an image in BGR", async () => {
  const found = await residuals("f32", "bgr");
  for (const [i, values] of found.entries()) {
    const scale = 0.75 * 10 ** (i / 6 - 1);
    const scaled = values.map((value) => scale * value);
    const expected = floats(goldens, `bgr.residual_${i}.folded`);
    const error = nmse(fold(scaled, SUMS), expected);
    assert(error <= LIMITS.f32, `residual ${i}: NMSE ${error}`);
  }
});

/** An image of diffusers' StableDiffusionControlNetPipeline. */
interface Case {
  readonly name: string;
  readonly prompt: string;
  readonly numImages: number;
  readonly guessMode: boolean;
  readonly controls: readonly {
    readonly net: "one" | "two";
    readonly image: string;
    readonly scale: number;
    readonly start: number;
    readonly end: number;
  }[];
}

const cases: readonly Case[] = JSON.parse(
  await Deno.readTextFile(`${folder}/cases.json`),
);

for (const { name, controls, guessMode, ...settings } of cases) {
  gpuTest(`ControlNet, image ${name}: equals diffusers'`, async () => {
    const weaver = await miniWeaver("f32");
    const { images } = await weaver.generate({
      ...settings,
      guessMode,
      rng: "torch-cpu",
      controls: await Promise.all(
        controls.map(async ({ net, image, ...control }) => ({
          ...control,
          net: await miniControlNet(net === "one" ? 1 : 2),
          image: await readImage(
            repositoryPath(`tests/goldens/portraits/${image}`),
          ),
        })),
      ),
    });
    assertEquals(images.length, settings.numImages);
    for (const [i, image] of images.entries()) {
      const expected = await readImage(`${folder}/${name}-${i}.png`);
      const quality = psnr(image.data, expected.data);
      const off = largestDifference(image.data, expected.data);
      assert(
        quality >= 50 && off <= 3,
        `image ${i}: ${quality} dB, ${off}/255`,
      );
    }
  });
}
