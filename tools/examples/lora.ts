/**
 * An image in the style of a LoRA, of the person in a photo. The LoRA is one of
 * kohya's or of diffusers', such as tools/train.ts --train lora saves.
 *
 *     deno run -A tools/examples/lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [STRENGTH] [STEPS]
 *
 * STRENGTH is what the LoRA is multiplied by (1). Its sum with the UNet's weights is
 * written to a temporary file, from which they are loaded.
 *
 * @module
 */
import { MasterWeaver, readImage, writePng } from "../../mod.ts";
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
  "lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [STRENGTH] [STEPS]",
];
const [lora, photo, output, prompt, strength = "1", steps = "30"] = words(
  usage,
  4,
  6,
);

try {
  await using stack = new AsyncDisposableStack();
  const model = new URL("../../weights/mini", import.meta.url);
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
  const { images } = await weaver.generate(settings);
  await writePng(output, images[0]);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
