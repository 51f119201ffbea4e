/**
 * An image in the style of a LoRA, of the person in a photo. The LoRA is one of
 * kohya's or of diffusers', such as tools/train.ts --train lora saves.
 *
 *     deno run -A tools/examples/lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [STRENGTH] [STEPS] [--model DIR]
 *
 * DIR is the model that the LoRA was trained for (weights/mini). STRENGTH is what
 * the LoRA is multiplied by (1). Its sum with the UNet's weights is
 * written to a temporary file, from which they are loaded.
 *
 * @module
 */
import { MasterWeaver, type Progress, readImage, writePng } from "../../mod.ts";
import { readLora } from "../../src/checkpoints/lora_file.ts";
import { openSafetensors } from "../../src/checkpoints/safetensors.ts";
import {
  FileSource,
  openModelFolder,
  writeFileAtomic,
} from "../../src/host/files.ts";
import { openComponentFile } from "../../src/weights/components.ts";
import { withDeltas } from "../../src/weights/deltas.ts";
import { loraDeltas } from "../../src/weights/lora.ts";
import { writeWeave } from "../../src/weights/weave_writer.ts";
import { words } from "./words.ts";

const usage = [
  "lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [STRENGTH] [STEPS] [--model DIR]",
];
const args = [...Deno.args];
const at = args.indexOf("--model");
const [, given] = at < 0 ? [] : args.splice(at, 2);
const [lora, photo, output, prompt, strength = "1", steps = "30"] = words(
  usage,
  4,
  // A --model without a folder is no word: the usage is shown.
  at >= 0 && given === undefined ? 0 : 6,
  args,
);

/** Shows how far the image is: on a terminal, as one line that is overwritten. */
function show({ stage, done, total }: Progress) {
  if (!Deno.stderr.isTerminal()) return;
  const line = `${stage} ${done}/${total}`.padEnd(40);
  Deno.stderr.writeSync(new TextEncoder().encode(`\r${line}\r`));
}

try {
  await using stack = new AsyncDisposableStack();
  const model = given ?? new URL("../../weights/mini", import.meta.url);
  const { files } = stack.use(await openModelFolder(model));
  const unet = await openComponentFile(files, "unet");
  const source = stack.use(await FileSource.open(lora));
  const { layers, others } = await readLora(
    await openSafetensors(source),
    unet,
  );
  if (others.length > 0) {
    console.error(`Left out: ${others.length} tensors of other networks`);
  }
  console.error(`Adding the LoRA to ${layers.length} layers of the UNet`);
  const { tensors, ...header } = withDeltas(
    unet,
    loraDeltas(layers, Number(strength)),
  );
  const folder = await Deno.makeTempDir({ prefix: "masterweaver-lora-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const path = `${folder}/unet.weave`;
  const stored = [...tensors.values()].map((
    { name, shape, dtype, chunks },
  ) => ({
    name,
    shape,
    dtype,
    data: () => chunks(),
  }));
  await writeFileAtomic(
    path,
    (append) => writeWeave(append, { ...header, tensors: stored }),
  );
  const elsewhere = [...files.elsewhere ?? [], "unet" as const];
  await using weaver = await MasterWeaver.load({
    ...files,
    unet: stack.use(await FileSource.open(path)),
    elsewhere,
  });
  const identity = await weaver.encodeIdentity([await readImage(photo)]);
  const settings = { identity, prompt, steps: Number(steps) };
  const { images } = await weaver.generate({ ...settings, onProgress: show });
  await writePng(output, images[0]);
  console.log(output);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
