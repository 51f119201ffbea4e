/**
 * What a seed promises: the same bits on one adapter where kernels are not chosen
 * by timing, and the noise of the GPU that is named.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { latentNoise } from "../src/samplers/latent_noise.ts";
import {
  COMMON_CUDA_THREADS,
  torchCpuNormal,
  torchCudaNormal,
} from "../src/samplers/noise.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage, readPngSettings } from "../src/host/files.ts";
import { fromText } from "../src/options/settings_text.ts";
import { command } from "./support/command.ts";
import { sameBytes } from "./support/compare.ts";
import { gpuTest } from "./support/gpu.ts";
import { miniWeaver, repositoryPath } from "./support/model.ts";

const demo = repositoryPath("weights/mini/demo.png");

gpuTest(
  "same bits: two processes with --tune off make the same file",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const files: Uint8Array[] = [];
      const kernels: unknown[] = [];
      for (const name of ["a.png", "b.png"]) {
        const { code, out, err } = await command([
          `--ref=${demo}`,
          "--no-align",
          "--prompt=a man",
          "--steps=2",
          "--num-images=2",
          "--width=64",
          "--height=64",
          "--cuda-threads=256",
          "--tune=off",
          "--json",
          "--quiet",
          `--output=${folder}/${name}`,
        ]);
        assertEquals(code, 0, err.join("\n"));
        const report = JSON.parse(out);
        assertEquals(report.settings.cudaThreads, 256);
        kernels.push(report.kernels);
        const path = `${folder}/${name.replace(".", "-1.")}`;
        files.push(await Deno.readFile(path));
        const { settings } = fromText(await readPngSettings(path), name);
        assertEquals(settings.cudaThreads, 256);
      }
      assert(sameBytes(files[0], files[1]));
      // They are named, and none was timed.
      assertEquals(kernels[0], kernels[1]);
      assert((kernels[0] as unknown[]).length > 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

gpuTest(
  "same bits: noise beyond the threads of a GPU is that GPU's",
  async () => {
    const weaver = await miniWeaver("f32");
    const photo = await readImage(demo);
    const identity = await weaver.encodeIdentity([photo], {
      align: false,
      parse: false,
    });
    const paint = async (cudaThreads: number) =>
      (await weaver.generate({
        identity,
        prompt: "a man",
        steps: 1,
        // 1024 numbers an image: 4 channels of 16 × 16.
        numImages: 2,
        width: 64,
        height: 64,
        cudaThreads,
      })).images;
    const [first, second] = await paint(0);
    const enough = await paint(2048);
    assert(sameBytes(enough[0].data, first.data));
    assert(sameBytes(enough[1].data, second.data));
    const [same, other] = await paint(1024);
    assertEquals(same, first);
    assert(other.data.some((value, i) => value !== second.data[i]));

    for (const cudaThreads of [100, -256, 1e9, NaN, "256" as never]) {
      const error = await assertRejects(
        () => paint(cudaThreads),
        MasterWeaverError,
        "Option cudaThreads must be a multiple of 256",
      );
      assertEquals(error.code, "bad-option");
    }
  },
);

Deno.test("noise: latents are channels last, and long noise of no named GPU is warned of", () => {
  const sizes = { images: 2, channels: 4, height: 3, width: 5 };
  const settings = { seed: 7, cudaThreads: 0 };
  const warnings: string[] = [];
  const warn = (warning: string) => warnings.push(warning);
  for (const rng of ["torch-cuda", "torch-cpu"] as const) {
    const latents = latentNoise({ ...settings, rng }, sizes, warn);
    const drawn = rng === "torch-cuda"
      ? torchCudaNormal(7, 120)
      : torchCpuNormal(7, 120);
    latents.forEach((value, i) => {
      const [b, y, x, c] = [
        Math.floor(i / 60),
        Math.floor(i / 20) % 3,
        Math.floor(i / 4) % 5,
        i % 4,
      ];
      assertEquals(value, drawn[((b * 4 + c) * 3 + y) * 5 + x]);
    });
  }
  assertEquals(warnings, []);
  const long = (images: number, more: object = {}) =>
    latentNoise(
      { ...settings, rng: "torch-cuda", ...more },
      { images, channels: 4, height: 64, width: 64 },
      warn,
    );
  // 16,384 numbers an image of 512 × 512.
  long(7);
  long(8, { cudaThreads: COMMON_CUDA_THREADS });
  long(8, { rng: "torch-cpu" });
  assertEquals(warnings, []);
  long(8);
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0], /131072 numbers.*give cudaThreads/);
});
