/**
 * The networks of a model, opened together: their files, configs and weights.
 *
 * @module
 */
import {
  type ComponentName,
  type ModelFiles,
  openComponent,
} from "./components.ts";
import { readDdimConfig } from "./diffusion/ddim.ts";
import { MasterWeaverError } from "./errors.ts";
import type { Real } from "./gpu/gpu.ts";
import { identityGraph, type IdentityParts, parserGraph } from "./identity.ts";
import { readClipPreprocessConfig } from "./image/clip_preprocess.ts";
import { faceParserConfig } from "./models/bisenet.ts";
import { clipTextConfig, clipVisionConfig } from "./models/clip.ts";
import { identityConfig } from "./models/id_resampler.ts";
import { unetConfig } from "./models/unet.ts";
import { vaeConfig } from "./models/vae.ts";
import {
  conditionGraph,
  decodeGraph,
  type Layout,
  type PainterParts,
  stepGraph,
} from "./painter.ts";
import { ClipTokenizer } from "./text/tokenizer.ts";

/** The parts of a model. */
export interface Parts
  extends PainterParts, Pick<IdentityParts, "vision" | "parser"> {}

/**
 * Opens every part; reads headers and configs, no weights.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openParts(files: ModelFiles): Promise<Parts> {
  const open = <C>(name: ComponentName, read: (json: unknown) => C) =>
    openComponent(files, name, read);
  return {
    text: await open("text_encoder", clipTextConfig),
    unet: await open("unet", (json) => ({
      ...unetConfig(json),
      scheduler: readDdimConfig(field(json, "scheduler"), "unet"),
    })),
    vae: await open("vae", vaeConfig),
    vision: await open("image_encoder", (json) => ({
      ...clipVisionConfig(json),
      preprocess: readClipPreprocessConfig(
        field(json, "preprocessor"),
        "image_encoder",
      ),
    })),
    adapter: await open("identity_adapter", identityConfig),
    parser: await open("face_parser", faceParserConfig),
  };
}

function field(json: unknown, key: string): unknown {
  return (json as Record<string, unknown> | null)?.[key];
}

/**
 * The tokenizer that came with the text encoder.
 *
 * @throws {MasterWeaverError} `bad-model` where its tokens are not the network's
 */
export function readTokenizer({ text }: Parts): ClipTokenizer {
  const json = field(text.file.config, "tokenizer");
  const tokenizer = new ClipTokenizer({
    vocab: field(json, "vocab") as string[],
    merges: field(json, "merges") as string[],
    maxLength: text.config.positions,
  });
  const most = Math.max(...tokenizer.encode("").ids);
  if (most >= text.config.vocabularySize) {
    throw new MasterWeaverError(
      "bad-model",
      `The tokenizer of ${text.file.name} gives token ${most}, the network has ${text.config.vocabularySize}; convert the model again`,
    );
  }
  return tokenizer;
}

/**
 * Builds every graph once, which asks for every weight by name and shape, and
 * compares with what the files have.
 *
 * @throws {MasterWeaverError} `bad-model` naming what is missing, misshapen or unused
 */
export function checkWeights(real: Real, parts: Parts): void {
  const { unet, vae, text, vision, adapter, parser } = parts;
  const layout: Layout = { images: 1, height: 8, width: 8, guided: false };
  const identityParts = { ...parts, channels: unet.config.crossAttentionDim };
  conditionGraph(real, parts, layout);
  stepGraph(real, parts, layout);
  decodeGraph(real, parts, layout);
  identityGraph(real, identityParts);
  parserGraph(identityParts);
  // Of use to training and img2img only.
  vae.weights.ignore("encoder");
  vae.weights.ignore("quant_conv");
  // The penultimate layer is what is asked for.
  const last = vision.config.layers - 1;
  vision.weights.ignore(`vision_model.encoder.layers.${last}`);
  vision.weights.ignore("vision_model.post_layernorm");
  for (const { weights } of [unet, vae, text, vision, adapter, parser]) {
    weights.finish();
  }
}
