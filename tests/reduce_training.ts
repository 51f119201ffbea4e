/**
 * PyTorch's numbers of training as the tests keep them.
 *
 *     deno run -A tests/reduce_training.ts FOLDER [NAME…]
 *
 * FOLDER has `NAME.inputs.safetensors`, `NAME.outputs.safetensors` and
 * `NAME.losses.json` of every recording, or of those that are named. `tests/goldens/README.md` says what
 * becomes of them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { nmse } from "../tools/compare/measures.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  type GoldenTensor,
  readSafetensors,
  safetensorsFile,
} from "./support/safetensors.ts";
import {
  drawnNoise,
  foldOutput,
  type Recording,
  recordings,
  trainingInputs,
} from "./support/training_goldens.ts";

const [folder, ...names] = Deno.args;
if (!folder) {
  console.error("Usage: deno run -A tests/reduce_training.ts FOLDER [NAME…]");
  Deno.exit(2);
}
const kept = repositoryPath("tests/goldens/train");
for (const name of Object.keys(recordings) as Recording[]) {
  if (names.length === 0 || names.includes(name)) await reduce(name);
}

async function reduce(name: Recording): Promise<void> {
  const inputs = await readSafetensors(`${folder}/${name}.inputs.safetensors`);
  const { like } = recordings[name];
  const shared = like
    ? await readSafetensors(`${folder}/${like}.inputs.safetensors`)
    : undefined;
  const noise = drawnNoise(name);
  const unread = name.startsWith("stage1") ? /_edit$/ : /^$/;
  const own = new Map<string, GoldenTensor>();
  for (const [key, tensor] of inputs) {
    const drawn = noise.get(key);
    if (drawn) assert(nmse(drawn.data, tensor.data) < 1e-12, `${name} ${key}`);
    const isKnown = drawn || same(shared?.get(key), tensor);
    // One recording with images is enough to see that latents come from them.
    const isImage = key === "images" && name !== "stage1-odd";
    if (!isKnown && !isImage && !unread.test(key)) own.set(key, tensor);
  }
  await write(`${name}.inputs.safetensors.gz`, own);
  const again = await trainingInputs(name);
  for (const [key, tensor] of inputs) {
    if (key === "images" || unread.test(key)) continue;
    assertEquals(again.get(key)?.shape, tensor.shape, `${name} ${key}`);
  }

  const outputs = new Map<string, GoldenTensor>();
  const whole = await readSafetensors(`${folder}/${name}.outputs.safetensors`);
  for (const [key, { shape, data }] of whole) {
    const [title, values] = foldOutput(key, data);
    const isFolded = title !== key;
    outputs.set(title, {
      shape: isFolded ? [values.length] : shape,
      data: values,
    });
  }
  await write(`${name}.outputs.safetensors.gz`, outputs);
  const losses = await Deno.readFile(`${folder}/${name}.losses.json`);
  await Deno.writeFile(`${kept}/${name}.losses.json`, losses);
}

function same(a: GoldenTensor | undefined, b: GoldenTensor): boolean {
  return a !== undefined && a.data.length === b.data.length &&
    a.data.every((value, i) => value === b.data[i]);
}

async function write(
  name: string,
  tensors: ReadonlyMap<string, GoldenTensor>,
): Promise<void> {
  const packed = new Blob([safetensorsFile(tensors)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(`${kept}/${name}`, packed);
}
