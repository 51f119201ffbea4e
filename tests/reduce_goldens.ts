/**
 * PyTorch's and Pillow's numbers as the tests keep them: reduced, so that a
 * checkout stays small; no case is lost and no limit moves.
 *
 *     deno run -A tests/reduce_goldens.ts GOLDENS FACES
 *
 * `tests/goldens/README.md` says what the two folders hold and what becomes of it.
 *
 * @module
 */
import { readImage } from "../src/host/files.ts";
import { nmse } from "../tools/compare/measures.ts";
import { channelsLast } from "../tools/compare/values.ts";
import { reduce, upsample } from "./support/enlarge.ts";
import { withoutNoise } from "./support/drawn_noise.ts";
import { fold, FOLDED } from "./support/fold.ts";
import { SMALL_SCORES, SMALL_SIDE } from "./support/network_goldens.ts";
import {
  assertInput,
  imageInputs,
  NETWORK_NOISE,
  ODD_NOISE,
} from "./support/network_inputs.ts";
import { repositoryPath } from "./support/paths.ts";
import { hashPixels, type PixelHashes } from "./support/pixels.ts";
import {
  type GoldenTensor,
  readSafetensors,
  safetensorsFile,
} from "./support/safetensors.ts";

const [goldens, faces] = Deno.args;
if (!goldens || !faces) {
  console.error("Usage: deno run -A tests/reduce_goldens.ts GOLDENS FACES");
  Deno.exit(2);
}
const kept = repositoryPath("tests/goldens");

await copy(`${goldens}/portraits`, `${kept}/portraits`);
await copy(`${goldens}/pictures`, `${kept}/pictures`, isKeptImage);
await copy(`${goldens}/resize`, `${kept}/resize`, isKeptSize);
await copy(goldens, kept, (name) => /\.json$|^noise\./.test(name));
await reduceNetworks();
const odd = await readSafetensors(`${goldens}/odd_sizes.safetensors`);
await write("odd_sizes.safetensors.gz", withoutNoise(odd, ODD_NOISE));
for (const name of await files(`${goldens}/pictures`)) {
  if (name.endsWith(".trace.safetensors")) await reduceTrace(name);
}
await writePixels();

/** Where an image must be equal in every byte and no test reads it otherwise, hashes do. */
function isKeptImage(name: string): boolean {
  // The trace's and the preprocessing's inputs.
  const inputs = ["smiling-red-hair.reference-0.png", "snow.reference-0.png"];
  return inputs.includes(name) || /^[^.]+\.(png|json)$/.test(name);
}

function isKeptSize(name: string): boolean {
  return !/_(256x256|512x512)\.png$/.test(name);
}

async function reduceNetworks(): Promise<void> {
  const whole = await readSafetensors(`${goldens}/networks.safetensors`);
  const from = withoutNoise(whole, NETWORK_NOISE);
  for (const name of (await imageInputs()).keys()) {
    await assertInput(name, Float32Array.from(from.get(name)!.data));
    from.delete(name);
  }
  const to = new Map<string, GoldenTensor>();
  // No test looks at them: what comes before and after is compared.
  from.delete("unet.layer.conv_norm_out");
  from.delete("unet.layer.time_embedding");
  for (const [name, tensor] of from) {
    if (/^unet\.(layer|edit_feature)/.test(name)) {
      to.set(`${name}${FOLDED}`, folded(tensor));
    } else if (name === "face_parser.logits") {
      to.set(SMALL_SCORES, smaller(tensor));
    } else if (name === "face_parser.classes") {
      to.set(name, { ...tensor, data: Uint8Array.from(tensor.data) });
    } else to.set(name, tensor);
  }
  await write("networks.safetensors.gz", to);
}

async function reduceTrace(name: string): Promise<void> {
  const trace = await readSafetensors(`${goldens}/pictures/${name}`);
  const decoded = trace.get("decoded")!;
  trace.delete("decoded");
  trace.set(`decoded${FOLDED}`, folded(decoded));
  for (const tensor of trace.keys()) {
    // Each is told by the latents after its step.
    if (tensor.startsWith("eps_step_")) trace.delete(tensor);
  }
  await write(`pictures/${name}.gz`, trace);
}

/** Sums of values in the GPU's order. */
function folded({ shape, data }: GoldenTensor): GoldenTensor {
  const floats = Float32Array.from(data);
  const values = shape.length === 4
    ? channelsLast({ shape, data: floats }).data
    : floats;
  const sums = Float32Array.from(fold(values));
  return { shape: [sums.length], data: sums };
}

/** Scores as they were before the last upsampling. */
function smaller({ shape, data }: GoldenTensor): GoldenTensor {
  const [batch, classes, height, width] = shape;
  if (height !== width) throw new Error(`Scores of ${height} × ${width}`);
  const small = Float32Array.from(reduce(data, height, SMALL_SIDE));
  const error = nmse(upsample(small, SMALL_SIDE, height), data);
  console.log(`Scores enlarged again: NMSE ${error.toExponential(1)}`);
  // A hundred-thousandth of what a network may be off.
  if (!(error <= 1e-13)) throw new Error("Not the enlargement of anything");
  return { shape: [batch, classes, SMALL_SIDE, SMALL_SIDE], data: small };
}

async function writePixels(): Promise<void> {
  const pixels: Record<string, PixelHashes> = {};
  const folders: [string, string, (name: string) => boolean][] = [
    ["face", faces, (name) => name.endsWith(".png")],
    ["pictures", `${goldens}/pictures`, (name) => /\.reference-\d/.test(name)],
    ["resize", `${goldens}/resize`, (name) => !isKeptSize(name)],
  ];
  for (const [key, folder, isHashed] of folders) {
    for (const file of (await files(folder)).filter(isHashed)) {
      const name = `${key}/${file.replace(/\.png$/, "")}`;
      pixels[name] = await hashPixels(await readImage(`${folder}/${file}`));
    }
  }
  await Deno.writeTextFile(
    `${kept}/pixels.json`,
    JSON.stringify(pixels, null, 1) + "\n",
  );
}

async function write(
  path: string,
  tensors: Map<string, GoldenTensor>,
): Promise<void> {
  const packed = new Blob([safetensorsFile(tensors)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  await Deno.writeFile(`${kept}/${path}`, packed);
}

async function files(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile) names.push(name);
  }
  return names.sort();
}

async function copy(
  from: string,
  to: string,
  wanted: (name: string) => boolean = () => true,
): Promise<void> {
  for (const name of await files(from)) {
    if (!wanted(name)) continue;
    const bytes = await Deno.readFile(`${from}/${name}`);
    await Deno.writeFile(`${to}/${name}`, bytes);
  }
}
