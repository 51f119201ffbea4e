/**
 * What `--help` prints.
 *
 * @module
 */
import { defaultSettings } from "../../options/options.ts";

/** The command's options and what they mean. */
export const usage =
  `MasterWeaver on Deno WebGPU: pictures of a person from one photo.

  deno run -A mod.ts --ref a.png --prompt "a smiling woman with red hair"

  --ref FILE               reference photo, PNG or JPEG; up to three times
  --prompt TEXT            what the image shows ("")
  --negative-prompt TEXT   what it should not show ("")
  --model DIR              a converted model (weights/mini beside mod.ts)
  --adapter FILE           another identity adapter for that model
  --steps N                denoising steps, 1..1000 (${defaultSettings.steps})
  --guidance-scale X       how strongly the prompt is followed (${defaultSettings.guidanceScale})
  --id-scale X             how strongly the identity is followed (${defaultSettings.idScale})
  --seed N                 (${defaultSettings.seed})
  --num-images N           pictures at once (${defaultSettings.numImages})
  --width N, --height N    in pixels, a multiple of the model's factor: 4 in
                           weights/mini, 8 in SD 1.5 (the model's own)
  --rng torch-cuda|torch-cpu   whose noise a seed reproduces (${defaultSettings.rng})
  --cuda-threads N         threads of the GPU whose noise torch-cuda reproduces:
                           noise of more numbers (4 per 8x8 pixels, all images)
                           differs between GPUs, see README (enough for all)
  --dtype f16|f32          storage of activations (f16 where the adapter has it)
  --tune auto|off|force    time ops to choose the fastest shaders: once on an
                           adapter, never, or now (auto)
  --output FILE            .png or .jpg (output.png; several: output-0.png, ...);
                           - for standard output
  --save-references        also write what the encoder saw, beside the output
  --align, --no-align      align faces first, or not (as the model says)
  --parse, --no-parse      blacken what is not face, or not (it is blackened)
  --face N|best|largest    of several faces, the Nth (from 0, best first), the
                           best-scoring or the largest (best)
  --require-face, --no-require-face
                           fail where no face is found, or not (it does not)
  --fit crop|pad           what is not square: cut to its middle, or padded with
                           black (as the reference: squeezed; --no-parse: cut)
  --reuse-features N       the whole UNet only every N steps, in between its outer
                           layers alone: faster, changes the image (${defaultSettings.reuseFeatures})
  --guidance-range FROM,TO from which fraction of the steps to which the prompt
                           is followed so strongly; the others take half the
                           time and change the image (${defaultSettings.guidanceRange})
  --merge-tokens R         share of similar tokens merged in self-attention,
                           0..0.75: faster, changes the image (${defaultSettings.mergeTokens})
  --from-image FILE        repeat what made an image before: settings, model,
                           adapter, how faces are looked at; options go over it
  --json                   one JSON object on stdout, all else on stderr
  --quiet                  no progress; notes and errors only
  -h, --help, --version
`;
