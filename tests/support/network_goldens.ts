/**
 * What PyTorch gives for every network of the mini model. They are kept reduced
 * (`tests/goldens/README.md`).
 *
 * @module
 */
import { withNoise } from "./drawn_noise.ts";
import { upsample } from "./enlarge.ts";
import { FOLDED } from "./fold.ts";
import { imageInputs, NETWORK_NOISE, ODD_NOISE } from "./network_inputs.ts";
import { repositoryPath } from "./paths.ts";
import {
  type GoldenTensor,
  readSafetensors,
  safetensorsFile,
} from "./safetensors.ts";

/** The face parser's scores before their upsampling, the network's last step. */
export const SMALL_SCORES = "face_parser.logits.small";

/** Their width and height. */
export const SMALL_SIDE = 32;

/** All inputs and outputs, whole except for the folded ones. */
export async function networkGoldens(): Promise<Map<string, GoldenTensor>> {
  const kept = await readSafetensors(
    repositoryPath("tests/goldens/networks.safetensors.gz"),
  );
  const goldens = withNoise(kept, NETWORK_NOISE);
  for (const [name, image] of await imageInputs()) goldens.set(name, image);
  const { shape: [batch, classes], data } = goldens.get(SMALL_SCORES)!;
  goldens.delete(SMALL_SCORES);
  const side = goldens.get("face_parser.input")!.shape[3];
  goldens.set("face_parser.logits", {
    shape: [batch, classes, side, side],
    data: Float32Array.from(upsample(data, SMALL_SIDE, side)),
  });
  return goldens;
}

/** Inputs and outputs of the UNet and the VAE at sizes of which no level is even. */
export async function oddGoldens(): Promise<Map<string, GoldenTensor>> {
  const path = repositoryPath("tests/goldens/odd_sizes.safetensors.gz");
  return withNoise(await readSafetensors(path), ODD_NOISE);
}

/**
 * Writes the whole tensors as `tools/reference/networks.py` would.
 *
 * @returns the path of a temporary file, which the caller removes
 */
export async function writeNetworkGoldens(): Promise<string> {
  const whole = [...await networkGoldens()]
    .filter(([name]) => !name.endsWith(FOLDED));
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  await Deno.writeFile(path, safetensorsFile(new Map(whole)));
  return path;
}
