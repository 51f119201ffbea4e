/**
 * The mini model with an inpainting UNet: five more input channels, as
 * `tools/reference/from_image.py` makes them.
 *
 * @module
 */
import { MemorySource } from "../../src/base/bytes.ts";
import { MasterWeaver } from "../../src/core.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { torchCpuNormal } from "../../src/samplers/noise.ts";
import type { ModelFiles } from "../../src/weights/components.ts";
import { weaveFloats } from "../../src/weights/floats.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { repositoryPath } from "./paths.ts";
import { floatTensor, weaveBytes } from "./weights.ts";

/** Channels of the latents, and those that an inpainting UNet reads beside them. */
const OWN = 4, MORE = 5;
/** Input channels with those that are always zero. */
const PADDED = 12;
const TAPS = 9;

/** Loads it. */
export async function inpaintingWeaver(
  seed: number,
  dtype: StorageType,
): Promise<MasterWeaver> {
  return await MasterWeaver.load(await inpaintingFiles(seed), {
    dtype,
    tune: "off",
    keepLoaded: true,
  });
}

/** Its files. */
export async function inpaintingFiles(seed: number): Promise<ModelFiles> {
  const mini = repositoryPath("weights/mini");
  const files: Record<string, MemorySource> = {};
  for (const name of ["text_encoder", "vae"]) {
    const bytes = await Deno.readFile(`${mini}/${name}.weave`);
    files[name] = new MemorySource(bytes, name);
  }
  files.unet = new MemorySource(await inpaintingUnet(seed), "unet");
  return files as ModelFiles;
}

/** Its UNet's file. */
export async function inpaintingUnet(
  seed: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await Deno.readFile(repositoryPath("weights/mini/unet.weave"));
  const { config, tensors } = await openWeave(new MemorySource(bytes));
  const written = await Promise.all([...tensors.values()].map(
    async (tensor) => {
      const { name, dtype, shape } = tensor;
      if (name !== "conv_in.weight") {
        return { name, dtype, shape, data: () => tensor.chunks() };
      }
      const chunks = await Array.fromAsync(weaveFloats(tensor));
      const own = chunks.flatMap((chunk) => [...chunk]);
      return floatTensor(
        name,
        [shape[0], 3, 3, PADDED],
        widened(own, shape[0], seed),
      );
    },
  ));
  return await weaveBytes({
    component: "unet",
    config: { ...config, in_channels: OWN + MORE },
    tensors: written,
  });
}

/** (O, 3, 3, 4) → (O, 3, 3, 12); what is new is normal, drawn as (O, 5, 3, 3), times 0.05. */
function widened(own: readonly number[], out: number, seed: number): number[] {
  const more = torchCpuNormal(seed, out * MORE * TAPS);
  const wide = new Array<number>(out * TAPS * PADDED).fill(0);
  for (let o = 0; o < out; o++) {
    for (let tap = 0; tap < TAPS; tap++) {
      const at = (o * TAPS + tap) * PADDED;
      for (let c = 0; c < OWN; c++) {
        wide[at + c] = own[(o * TAPS + tap) * OWN + c];
      }
      for (let c = 0; c < MORE; c++) {
        wide[at + OWN + c] = 0.05 * more[(o * MORE + c) * TAPS + tap];
      }
    }
  }
  return wide;
}
