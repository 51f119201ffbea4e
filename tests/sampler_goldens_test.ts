/**
 * Every sampler with every schedule, step by step, against diffusers' (and for
 * DPM++ 2S a k-diffusion's) on made-up outputs of a UNet. The step itself is a
 * matrix, multiplied here by plain loops; tests/ops has it on the GPU.
 */
import { assert, assertEquals } from "@std/assert";
import { chooseSampler } from "../src/samplers/choose_sampler.ts";
import type { SamplerChoice } from "../src/samplers/choose_sampler.ts";
import { torchCpuNormals } from "../src/samplers/noise.ts";
import { readSchedulerConfig } from "../src/samplers/own_settings.ts";
import type { Sampler } from "../src/samplers/sampler.ts";

/** A run of `tools/reference/samplers.py`. */
interface Case extends SamplerChoice {
  readonly sampler: string;
  readonly steps: number;
  readonly first?: number;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Factor of the first noise. */
  readonly start: number;
  /** Runs of the UNet. */
  readonly runs: number;
  /** Number of the run, timestep, input's factor, root mean square, then elements. */
  readonly rows: readonly (readonly number[])[];
}

const golden: {
  readonly config: Readonly<Record<string, unknown>>;
  readonly kept: readonly number[];
  readonly cases: readonly Case[];
} = JSON.parse(
  await Deno.readTextFile(new URL("goldens/samplers.json", import.meta.url)),
);

const COUNT = 256;
const sizes = { images: 1, channels: 1, height: 16, width: 16 };
const noiseOf = { seed: 7, rng: "torch-cpu", cudaThreads: 0 } as const;

/** Runs a sampler on the host; yields the latents after each run of the UNet. */
function* run(sampler: Sampler, { steps, first = 0 }: Case) {
  const schedule = sampler.schedule(steps, first);
  const outputs = torchCpuNormals(3);
  const draw = torchCpuNormals(noiseOf.seed);
  const own = schedule.stepNoise?.(noiseOf, sizes);
  const spec = { shape: [1, 16, 16, 1], dtype: "f32" } as const;
  const slots = sampler.state?.(spec).history.shape[0] ?? 0;
  const blank = () => new Float32Array(COUNT);
  let latents = outputs(COUNT).map((v) => v * schedule.initialNoiseScale);
  let history = Array.from({ length: slots }, blank);
  for (const [i, step] of schedule.steps.entries()) {
    if (i < first) continue;
    const output = outputs(COUNT);
    const noise = !step.drawsNoise ? blank() : own ? own(i) : draw(COUNT);
    const read = slots === 0
      ? [latents, output]
      : [latents, output, noise, ...history];
    const matrix = Float32Array.from(step.coefficients);
    const rows = Array.from(
      { length: slots + 1 },
      (_, row) =>
        blank().map((_, at) =>
          read.reduce(
            (sum, values, column) =>
              sum + matrix[row * read.length + column] * values[at],
            0,
          )
        ),
    );
    [latents, ...history] = rows;
    const scale = sampler.scaleInput ? matrix[matrix.length - 1] : 1;
    yield { timestep: step.timestep, scale, latents };
  }
}

/**
 * The relative error that is allowed, 1e-5 but where diffusers' own rounding is larger:
 * the Brownian motion of DPM++ SDE has its times rounded to 1e-6, which one unit in the
 * last place of PyTorch's logarithm changes; and with σ 4096 at the start, Euler's
 * method subtracts two numbers of that size.
 */
function limitOf({ sampler, config = {} }: Case): number {
  const isFromNothing = config.rescale_betas_zero_snr === true &&
    sampler.startsWith("Euler");
  return sampler === "DPM++ SDE" ? 1e-4 : isFromNothing ? 3e-5 : 1e-5;
}

for (const each of golden.cases) {
  const { rows: _, start, runs, ...what } = each;
  const label = Object.entries(what).map(([key, value]) =>
    `${key} ${JSON.stringify(value)}`
  ).join(", ").replaceAll('"', "");
  Deno.test(`sampler goldens: ${label}`, () => {
    const config = readSchedulerConfig(
      { ...golden.config, ...each.config },
      "test",
    );
    const sampler = chooseSampler(config, each);
    const { initialNoiseScale } = sampler.schedule(each.steps);
    assert(Math.abs(initialNoiseScale - start) <= 1e-6 * start, "start");
    const steps = [...run(sampler, each)];
    assertEquals(steps.length, runs);
    const limit = limitOf(each);
    for (const [i, timestep, scale, size, ...elements] of each.rows) {
      const found = steps[i];
      assert(Math.abs(found.timestep - timestep) < 1e-3, `timestep ${i}`);
      assert(Math.abs(found.scale - scale) <= 2e-6 * scale, `input ${i}`);
      const square = found.latents.reduce((sum, v) => sum + v * v, 0) / COUNT;
      const errors = [
        Math.sqrt(square) - size,
        ...elements.map((v, k) => found.latents[golden.kept[k]] - v),
      ];
      for (const error of errors) {
        const relative = Math.abs(error) / size;
        assert(relative <= limit, `run ${i}: relative error ${relative}`);
      }
    }
  });
}

Deno.test("sampler goldens: between two runs the original has diffusers' noise", () => {
  const config = readSchedulerConfig(golden.config, "samplers.json");
  for (const name of ["DPM2", "DPM2 a", "Heun", "DPM++ SDE"]) {
    const { steps } = chooseSampler(config, { sampler: name }).schedule(4);
    for (let i = 1; i + 1 < steps.length; i += 2) {
      const { level, originalLevel = level } = steps[i];
      const next = steps[i + 1].level;
      // add_noise takes the sigma after the run that is done.
      const close = Math.abs(originalLevel.noise / next.noise - 1) < 1e-6;
      assert(close, `${name}, run ${i}: ${originalLevel.noise} ${next.noise}`);
      if (name === "DPM2") assert(level.noise > next.noise);
    }
  }
});
