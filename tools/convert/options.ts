/**
 * What the command takes.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import { MODEL_DTYPES } from "../../src/weights/quantisation_policy.ts";
import { flag, oneOf, option, text, type Values, whole } from "../tool.ts";
import { MAX_RANK } from "./extract_lora.ts";
import type { MergeInput, ReadInputs } from "./merge.ts";

/** What `--help` prints. */
export const USAGE =
  `Usage: deno run -A tools/convert.ts FILE|FOLDER… --output DIR
       deno run -A tools/convert.ts FILE|FOLDER… --gguf FILE.gguf
       deno run -A tools/convert.ts --merge A=0.7 B=0.3 --output DIR
       deno run -A tools/convert.ts --extract-lora BASE TUNED --output FILE.safetensors
       deno run -A tools/convert.ts --to-pytorch FILE.weave --output FILE.pt
       deno run -A tools/convert.ts --manifest DIR

Converts checkpoints to a model folder. Each input is one of:
  a diffusers folder (for identities with image_encoder/, adapter_final.pt and
    face_parser.pth in it), or the folder of one network
  a single file of Stable Diffusion 1.5 (.safetensors, .ckpt, .gguf), or of one
    network
  a ControlNet (.safetensors, .pth, or its folder), written as NAME.weave
  TAESD (taesd_decoder.pth, or its folder), or an upscaler of ESRGAN's kind
    (RealESRGAN_x4plus.pth), written as taesd.weave and NAME.weave
  an identity adapter (adapter_final.pt) or face parser (79999_iter.pth)
  dlib's frontal face detector (.svm) or 68-point shape predictor (.dat)
  a .weave file, or a folder of them, to be stored as another --dtype

  --output DIR           where the .weave files go; created where it is missing
  --dtype f16|f32|q8|q4  how weights are stored (f16); q8 and q4 take about a
                         half and a quarter of f16 and lose a little
  --allow-unused         leave out unknown tensors, and say which, instead of
                         refusing the file
  --no-ema               where a single file has two sets of UNet weights, use
                         those of the last training step, not their running mean
  --gguf FILE.gguf       write UNet, autoencoder and text encoder as the one file that
                         stable-diffusion.cpp loads; q8 and q4 are its q8_0 and
                         q4_0, of linear layers alone
  --merge A=0.7 B=0.3    merge models, two or more: UNet, autoencoder and text
                         encoder become the sum of theirs, each times its weight
                         (AUTOMATIC1111's weighted sum). The weights are used as
                         given and usually add up to 1; they may be negative:
                         A=1 B=1 C=-1 is A + (B - C), add difference. Inputs
                         without a weight have what the models lack, such as a
                         tokenizer. Goes with --output and with --gguf
  --extract-lora BASE TUNED
                         write what TUNED has learnt as a LoRA for BASE, in
                         kohya's names, as f16 or f32: the best approximation of
                         each layer's difference, of the UNet and, where both have
                         one, of the text encoder; many minutes at full size
  --rank N               its rank, 1 to 512 (32)
  --manifest DIR         write model.json for a folder as it is: one that has none,
                         or was put together from others on purpose
  --to-pytorch FILE      write an identity adapter as the reference's .pt
  --json                 one JSON object on stdout
  --quiet                no report, no progress
  -h, --help             this text`;

/** Its options. */
export const OPTIONS = {
  output: option(text),
  dtype: option(oneOf(MODEL_DTYPES), "f16"),
  gguf: option(text),
  merge: flag,
  "extract-lora": flag,
  rank: option(whole(1, MAX_RANK)),
  "to-pytorch": option(text),
  manifest: option(text),
  "allow-unused": flag,
  "no-ema": flag,
  json: flag,
  quiet: flag,
};

/** Their values. */
export type ConvertValues = Values<typeof OPTIONS>;

/**
 * What to read, by the words of the command line.
 *
 * @throws {UsageError}
 */
export function readWords(
  words: readonly string[],
  isMerge: boolean,
): ReadInputs {
  if (!isMerge) return { inputs: words };
  const merge: MergeInput[] = [];
  const inputs: string[] = [];
  for (const word of words) {
    const at = word.lastIndexOf("=");
    if (at < 0) {
      inputs.push(word);
      continue;
    }
    const [path, weight] = [word.slice(0, at), word.slice(at + 1)];
    if (path === "" || weight.trim() === "" || !Number.isFinite(+weight)) {
      throw new UsageError(
        `--merge takes FILE=WEIGHT, such as model.safetensors=0.7, got ${word}`,
      );
    }
    merge.push({ path, weight: Number(weight) });
  }
  if (merge.length < 2) {
    throw new UsageError(
      `--merge takes two or more FILE=WEIGHT, got ${merge.length}`,
    );
  }
  return { inputs, merge };
}
