/**
 * Fits a model's map of previews, from latents to small images, and says how
 * well it does on images that it was not fitted to.
 *
 *     deno run -A tools/preview.ts MODEL
 *
 * @module
 */
import { followsIdentities } from "../src/components/networks.ts";
import type { IdentityTokens } from "../src/identity/identity.ts";
import { averages, PreviewFit } from "../src/generate/preview_fit.ts";
import {
  applyPreview,
  PREVIEW_NAME,
  type PreviewMap,
  previewText,
} from "../src/generate/preview_map.ts";
import { cleanLatents, type NoisyLatents } from "../src/generate/previews.ts";
import { readBuffers } from "../src/gpu/readback.ts";
import { UsageError } from "../src/host/exit.ts";
import { openModelFolder, readImage } from "../src/host/files.ts";
import { print } from "../src/host/streams.ts";
import { checkWritable, writeFileAtomic } from "../src/host/write.ts";
import type { Image } from "../src/image/image.ts";
import { type LoadedModel, loadModel } from "../src/load.ts";
import { checkSettings } from "../src/options/options.ts";
import {
  flag,
  option,
  printJson,
  repositoryFile,
  text,
  toolMain,
  whole,
} from "./tool.ts";

const USAGE = `Usage: deno run -A tools/preview.ts MODEL

Fits the map from latents to small images that previews use, by least squares on
images that it makes with the model. Before, it fits three of four alone and prints
the PSNR of the others against the decoded images, averaged to the previews' size,
at every step.

  --seeds N      images of each of ${prompts().length} prompts (2)
  --steps N      denoising steps (10)
  --output FILE  where to (MODEL/${PREVIEW_NAME})
  --json         one line of JSON
  -h, --help     this text`;

/** What the images show: many colours, in the middle and around it. */
function prompts(): readonly string[] {
  return [
    "",
    "a photo of a smiling woman with red hair",
    "a man in the snow",
    "a girl with blue eyes and a green hat",
    "an old man with a grey beard, black background",
    "a person at the beach, blue sky",
    "a woman with glasses, yellow background",
    "a boy with black hair and a red shirt in a forest",
    "a photo of a woman with long blue hair",
    "a photo of a man wearing sunglasses, white background",
    "a bald man in a green shirt at night",
    "a woman with dark skin and a purple hat",
    "a pale girl with blond hair in the desert",
    "a man with an orange beard in a city",
    "an old woman with white hair, pink background",
    "a man with brown skin in a grey suit",
  ];
}

/** A finished image, and its latents after each step. */
interface Made {
  /** Latents of one image after each step. */
  readonly steps: readonly NoisyLatents[];
  /** What the last of them were decoded to. */
  readonly image: Image;
}

/** A size of latents. */
interface Size {
  readonly height: number;
  readonly width: number;
}

/** One image of so many is not fitted. */
const HELD_OUT = 4;

/** Makes an image and keeps its latents. */
async function make(
  { engine, tokenizer, components }: LoadedModel,
  identity: IdentityTokens | undefined,
  given: { prompt: string; seed: number; steps: number; idScale: number },
): Promise<Made> {
  const { factor } = components.vae.config;
  const own = components.unet.config.sampleSize * factor;
  const settings = checkSettings(given, { own, multiple: factor });
  const steps: NoisyLatents[] = [];
  const [image] = await engine.generate({
    text: {
      prompt: tokenizer.encode(given.prompt).ids,
      negative: tokenizer.encode("").ids,
    },
    identity,
    settings,
  }, {
    onStep: async ({ latents, level, settled }) => {
      await settled();
      const [bytes] = await readBuffers(engine.gpu, [latents.slice]);
      steps.push({ latents: new Float32Array(bytes), level });
    },
  });
  return { steps, image };
}

/** PSNR in decibels of pixels' colours whose squared errors have a sum. */
export function decibels(squares: number, pixels: number): number {
  return 10 * Math.log10(255 ** 2 / (squares / (3 * pixels)));
}

/** Sum of the squared errors of a preview against an image, averaged to its size. */
export function squaredError(shown: Image, image: Image): number {
  const target = new Float64Array(3);
  let squares = 0;
  for (let y = 0; y < shown.height; y++) {
    for (let x = 0; x < shown.width; x++) {
      averages(image, shown, 1, [y, x], target);
      for (let c = 0; c < 3; c++) {
        const value = shown.data[(y * shown.width + x) * 4 + c];
        squares += (value - target[c]) ** 2;
      }
    }
  }
  return squares;
}

/** PSNR of previews at a step, from 1, against the decoded images at their size. */
function previewPsnr(
  map: PreviewMap,
  made: readonly Made[],
  size: Size,
  step: number,
): number {
  let squares = 0, pixels = 0;
  for (const { steps, image } of made) {
    const after = steps[step - 1];
    const before = steps[step - 2];
    const latents = before
      ? cleanLatents(before, after)
      : after.latents.map((value) => value / after.level.image);
    const shown = applyPreview(map, latents, size);
    squares += squaredError(shown, image);
    pixels += shown.width * shown.height;
  }
  return decibels(squares, pixels);
}

/** What the tool found. */
interface Fitted {
  readonly map: PreviewMap;
  readonly fitted: number;
  readonly heldOut: number;
  /** PSNR of those that were not fitted, at each step. */
  readonly psnr: readonly number[];
  /** PSNR of those that were fitted, at the last step. */
  readonly fittedPsnr: number;
}

/** Makes images with a model and fits its map. */
async function fitPreviews(
  folder: string,
  { seeds, steps }: { readonly seeds: number; readonly steps: number },
): Promise<Fitted> {
  await using opened = await openModelFolder(folder);
  const model = await loadModel(opened.files, {
    tune: "off",
    keepLoaded: true,
  });
  using engine = model.engine;
  const photo = await readImage(repositoryFile("weights/mini/demo.png"));
  const identity = followsIdentities(model.components)
    ? await engine.encode([photo], { parse: true })
    : undefined;
  const made: Made[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    for (const [i, prompt] of prompts().entries()) {
      // Some without the person, whose colours are always alike.
      made.push(
        await make(model, identity, {
          prompt,
          steps,
          seed: seed * prompts().length + i,
          idScale: (seed + i) % 2,
        }),
      );
    }
  }
  const { config, file } = model.components.vae;
  const side = model.components.unet.config.sampleSize;
  const size = { height: side, width: side };
  const isHeldOut = (_: unknown, i: number) => i % HELD_OUT === HELD_OUT - 1;
  const held = made.filter(isHeldOut);
  const used = made.filter((one, i) => !isHeldOut(one, i));
  const fit = new PreviewFit({
    vae: file.hash,
    channels: config.latentChannels,
  });
  const add = ({ steps, image }: Made) =>
    fit.add(steps.at(-1)!.latents, size, image);
  used.forEach(add);
  const map = fit.map();
  held.forEach(add);
  return {
    map: fit.map(),
    fitted: used.length,
    heldOut: held.length,
    psnr: Array.from(
      { length: steps },
      (_, i) => previewPsnr(map, held, size, i + 1),
    ),
    fittedPsnr: previewPsnr(map, used, size, steps),
  };
}

/** Runs the command. */
export const main = toolMain({
  usage: USAGE,
  options: {
    seeds: option(whole(1, 100), "2"),
    steps: option(whole(1, 1000), "10"),
    output: option(text),
    json: flag,
  },
  words: true,
  async run({ seeds, steps, output, json }, words) {
    if (words.length !== 1) {
      throw new UsageError(`Give one model folder, got ${words.length}`);
    }
    const [folder] = words;
    const path = output ?? `${folder}/${PREVIEW_NAME}`;
    await checkWritable(path);
    const { map, ...found } = await fitPreviews(folder, { seeds, steps });
    const bytes = new TextEncoder().encode(previewText(map));
    await writeFileAtomic(path, (append) => append(bytes));
    if (json) return printJson({ output: path, ...found });
    const lines = found.psnr.map((psnr, i) =>
      `step ${String(i + 1).padStart(3)}  ${psnr.toFixed(2)} dB`
    );
    print(
      `${found.heldOut} images that were not fitted:\n${lines.join("\n")}\n` +
        `${found.fitted} images that were fitted, last step: ${
          found.fittedPsnr.toFixed(2)
        } dB\n${path}\n`,
    );
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
