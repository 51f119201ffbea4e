/**
 * What PyTorch gives for every network of the mini model. They are kept reduced
 * (`tests/goldens/README.md`).
 *
 * @module
 */
import { upsample } from "./enlarge.ts";
import { repositoryPath } from "./paths.ts";
import {
  type GoldenTensor,
  readSafetensors,
  safetensorsFile,
} from "./safetensors.ts";

/** The ending of a folded tensor's name (`fold.ts`). */
export const FOLDED = ".folded";

/** The face parser's scores before their upsampling, the network's last step. */
export const SMALL_SCORES = "face_parser.logits.small";

/** Their width and height. */
export const SMALL_SIDE = 32;

/** All inputs and outputs, whole except for the folded ones. */
export async function networkGoldens(): Promise<Map<string, GoldenTensor>> {
  const goldens = await readSafetensors(
    repositoryPath("tests/goldens/networks.safetensors.gz"),
  );
  const { shape: [batch, classes], data } = goldens.get(SMALL_SCORES)!;
  goldens.delete(SMALL_SCORES);
  const side = goldens.get("face_parser.input")!.shape[3];
  goldens.set("face_parser.logits", {
    shape: [batch, classes, side, side],
    data: Float32Array.from(upsample(data, SMALL_SIDE, side)),
  });
  return goldens;
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
