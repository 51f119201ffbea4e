/**
 * An image in the style of a LoRA, of the person in a photo. The LoRA is of any
 * tool that trains them for this model, such as tools/train.ts --train lora.
 *
 *     deno run -A tools/examples/lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [SCALE] [STEPS] [--model DIR]
 *
 * DIR is the model that the LoRA was trained for (weights/mini). SCALE is what
 * the LoRA is multiplied by (1).
 *
 * @module
 */
import {
  MasterWeaver,
  openFile,
  type Progress,
  readImage,
  readLora,
  writePng,
} from "../../mod.ts";
import { words } from "./words.ts";

const usage = [
  "lora.ts LORA.safetensors PHOTO OUTPUT.png PROMPT [SCALE] [STEPS] [--model DIR]",
];
const args = [...Deno.args];
const at = args.indexOf("--model");
const [, given] = at < 0 ? [] : args.splice(at, 2);
const [path, photo, output, prompt, scale = "1", steps = "30"] = words(
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
  const model = given ?? new URL("../../weights/mini", import.meta.url);
  // Its values are read while the weights are loaded: it stays open.
  await using source = await openFile(path);
  const lora = await readLora(source);
  await using weaver = await MasterWeaver.load(model);
  const identity = await weaver.encodeIdentity([await readImage(photo)]);
  const { images } = await weaver.generate({
    identity,
    prompt,
    steps: Number(steps),
    loras: [{ lora, scale: Number(scale) }],
    onProgress: show,
  });
  await writePng(output, images[0]);
  console.log(output);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
