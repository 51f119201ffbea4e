/**
 * The networks of a model, opened together: their files, configs and weights.
 *
 * @module
 */
import {
  type Component,
  component,
  componentBeside,
  identityComponents,
  isNetworkComponent,
  loadedComponents,
  type ModelFiles,
  type NetworkComponent,
  openComponentFile,
  TAESD,
  UPSCALER,
  withoutIdentity,
} from "../weights/components.ts";
import { readSchedulerConfig } from "../samplers/own_settings.ts";
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import {
  type IdentityComponents,
  identityGraph,
  parserGraph,
} from "../identity/identity.ts";
import { readClipPreprocessConfig } from "../image/clip_preprocess.ts";
import { faceParserConfig } from "../models/bisenet.ts";
import { clipTextConfig, clipVisionConfig } from "../models/clip.ts";
import { identityConfig } from "../models/id_resampler.ts";
import { type RrdbConfig, rrdbConfig } from "../models/rrdbnet.ts";
import { taesdConfig } from "../models/taesd.ts";
import { unetConfig } from "../models/unet.ts";
import { vaeConfig } from "../models/vae.ts";
import {
  checkSizesTogether,
  checkTaesdSizes,
  checkTextSizes,
  checkUnetSizes,
  checkUpscalerSizes,
  checkVaeSizes,
  checkVisionSizes,
} from "./sizes.ts";
import {
  conditionGraph,
  decodeGraph,
  encodeGraph,
  type GeneratorComponents,
  type RunShape,
  stepGraph,
} from "../generate/generator.ts";
import { ControlNetFile } from "../generate/controlnet_file.ts";
import { tinyDecodeGraph } from "../generate/graphs/decode.ts";
import { upscaleGraph } from "../generate/graphs/upscale.ts";
import { ClipTokenizer } from "../text/tokenizer.ts";
import { openWeave, type WeaveFile } from "../weights/weave.ts";
import { brief } from "../weights/brief.ts";

/** What a model has that follows identities. */
export type IdentityNetworkComponents = Pick<
  IdentityComponents,
  "vision" | "adapter" | "parser"
>;

/** The components of a model that are networks; all of identity's, or none. */
export interface ModelComponents
  extends GeneratorComponents, Partial<IdentityNetworkComponents> {}

/** The components of a model that follows identities. */
export type Components =
  & Omit<GeneratorComponents, "adapter" | "taesd">
  & IdentityNetworkComponents;

/** Whether a model follows identities. */
export function followsIdentities(
  components: ModelComponents,
): components is Components {
  const { vision, adapter, parser } = components;
  return vision !== undefined && adapter !== undefined && parser !== undefined;
}

/** How the config of what a model may have besides is read. */
const readTaesd = (json: unknown) => checkTaesdSizes(taesdConfig(json));
const readUpscaler = (json: unknown) => checkUpscalerSizes(rrdbConfig(json));

/** How the config in a component's header is read, by component. */
const readers = {
  text_encoder: (json: unknown) => checkTextSizes(clipTextConfig(json)),
  unet: (json: unknown) =>
    checkUnetSizes({
      ...unetConfig(json),
      scheduler: readSchedulerConfig(field(json, "scheduler"), "unet"),
    }),
  vae: (json: unknown) => checkVaeSizes(vaeConfig(json)),
  image_encoder: (json: unknown) =>
    checkVisionSizes({
      ...clipVisionConfig(json),
      preprocess: readClipPreprocessConfig(
        field(json, "preprocessor"),
        "image_encoder",
      ),
    }),
  identity_adapter: identityConfig,
  face_parser: faceParserConfig,
};

/**
 * Opens every component that a model has; reads headers and configs, no weights.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openModelComponents(
  files: ModelFiles,
): Promise<ModelComponents> {
  const opened = new Map<string, WeaveFile>();
  const besides = files.taesd ? [TAESD] as const : [];
  for (const name of [...await loadedComponents(files), ...besides]) {
    opened.set(name, await openComponentFile(files, name));
  }
  return modelComponentsOf(opened);
}

/**
 * Opens every component of a model that follows identities, as
 * {@linkcode openModelComponents} does.
 *
 * @throws {MasterWeaverError} `bad-model`, also where the model does not; `cannot-read`
 */
export async function openComponents(files: ModelFiles): Promise<Components> {
  const components = await openModelComponents(files);
  if (followsIdentities(components)) return components;
  throw withoutIdentity(files);
}

/**
 * The components of a model whose files are open.
 *
 * @param files by component; those that an identity needs may be absent
 * @throws {MasterWeaverError} `bad-model`
 */
export function modelComponentsOf(
  files: ReadonlyMap<string, WeaveFile>,
): ModelComponents {
  const isWhole = identityComponents.every((name) => files.has(name));
  const of = isWhole ? componentsOf : requiredOf;
  const taesd = files.get(TAESD);
  return {
    ...of((name) => files.get(name)!),
    ...taesd && { taesd: component(taesd, readTaesd) },
  };
}

/**
 * Opens an upscaler, which belongs to no one model.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openUpscaler(
  source: ByteSource,
): Promise<Component<RrdbConfig>> {
  const file = await openWeave(source);
  if (file.component !== UPSCALER) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: it holds the component ${
        brief(file.component)
      }, expected ${UPSCALER}`,
    );
  }
  const upscaler = componentBeside(file, readUpscaler);
  build([file], () => upscaleGraph("f32", upscaler, { height: 4, width: 4 }));
  upscaler.weights.finish();
  return upscaler;
}

/**
 * The components of a model that follows identities, whose files are open.
 *
 * @param file gives the file of a component
 * @throws {MasterWeaverError} `bad-model`
 */
export function componentsOf(
  file: (name: NetworkComponent) => WeaveFile,
): Components {
  const { image_encoder, identity_adapter, face_parser } = readers;
  return {
    ...requiredOf(file),
    vision: component(file("image_encoder"), image_encoder),
    adapter: component(file("identity_adapter"), identity_adapter),
    parser: component(file("face_parser"), face_parser),
  };
}

function requiredOf(
  file: (name: NetworkComponent) => WeaveFile,
): Omit<GeneratorComponents, "adapter" | "taesd"> {
  return {
    text: component(file("text_encoder"), readers.text_encoder),
    unet: component(file("unet"), readers.unet),
    vae: component(file("vae"), readers.vae),
  };
}

/**
 * Checks what the header of one component says, as loading does.
 *
 * @throws {MasterWeaverError} `bad-model`
 */
export function checkComponent(file: WeaveFile): void {
  const { component: name } = file;
  if (name === "controlnet") new ControlNetFile(file);
  if (name === TAESD) {
    const taesd = component(file, readTaesd);
    build([file], () => tinyDecodeGraph("f32", { taesd }, RUN_SHAPE));
    return;
  }
  if (name === UPSCALER) {
    const upscaler = component(file, readUpscaler);
    build([file], () => upscaleGraph("f32", upscaler, RUN_SHAPE));
    return;
  }
  if (!isNetworkComponent(name)) return;
  const own = component<unknown>(file, readers[name]);
  switch (name) {
    case "text_encoder":
      readTokenizer({ text: own as Components["text"] });
      break;
    // These two depend on no other component.
    case "vae":
      build(
        [file],
        () => decodeGraph("f32", { vae: own as Components["vae"] }, RUN_SHAPE),
      );
      break;
    case "face_parser":
      build(
        [file],
        () => parserGraph({ parser: own as Components["parser"] }),
      );
      break;
  }
}

/**
 * Checks that components of a model fit each other, as far as their configs say.
 *
 * @param files some components, each read by {@linkcode checkComponent} before
 * @throws {MasterWeaverError} `bad-model` naming both keys
 */
export function checkTogether(files: Iterable<WeaveFile>): void {
  const by = new Map([...files].map((file) => [file.component, file]));
  const read = <N extends NetworkComponent>(name: N) => {
    const file = by.get(name);
    return file &&
      { config: readers[name](file.config) as ReturnType<typeof readers[N]> };
  };
  checkSizesTogether({
    text: read("text_encoder"),
    unet: read("unet"),
    vae: read("vae"),
  });
}

/** The smallest run: whether weights and shapes fit does not depend on it. */
const RUN_SHAPE: RunShape = { images: 1, height: 8, width: 8, guided: false };

/** Builds a graph; where its components do not fit, the error names their files. */
function build(files: readonly WeaveFile[], graph: () => unknown): void {
  try {
    graph();
  } catch (error) {
    if (!(error instanceof MasterWeaverError) || error.code !== "gpu") {
      throw error;
    }
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${
        files.map(({ name }) => name).join(" with ")
      }: the sizes in the config do not make a network (${error.message})`,
      { cause: error },
    );
  }
}

function field(json: unknown, key: string): unknown {
  return (json as Record<string, unknown> | null)?.[key];
}

/**
 * The tokenizer that came with the text encoder.
 *
 * @throws {MasterWeaverError} `bad-model` where its tokens are not the network's
 */
export function readTokenizer(
  { text }: Pick<Components, "text">,
): ClipTokenizer {
  const json = field(text.file.config, "tokenizer");
  const tokenizer = new ClipTokenizer({
    vocab: field(json, "vocab") as string[],
    merges: field(json, "merges") as string[],
    added: field(json, "added") as Record<string, number> | undefined,
    maxLength: text.config.positions,
  });
  const { vocabularySize } = text.config;
  if (tokenizer.highest >= vocabularySize) {
    throw new MasterWeaverError(
      "bad-model",
      `The tokenizer of ${text.file.name} has token ids up to ${tokenizer.highest}, its network has ${vocabularySize} tokens with ids from 0; convert the model with the tokenizer it was trained with`,
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
export function checkWeights(
  storage: StorageType,
  components: ModelComponents,
): void {
  const { unet, vae, text, adapter, taesd } = components;
  checkSizesTogether(components);
  const identity = followsIdentities(components);
  const runShape = { ...RUN_SHAPE, identity };
  const conditioning = [text, unet, ...adapter ? [adapter] : []];
  build(
    conditioning.map(({ file }) => file),
    () => conditionGraph(storage, components, runShape),
  );
  build([unet.file], () => stepGraph(storage, components, runShape));
  build([vae.file], () => decodeGraph(storage, components, runShape));
  if (vae.weights.has("encoder.conv_in.weight")) {
    build([vae.file], () => encodeGraph(storage, components, runShape));
  } else {
    // Decoding alone needs none.
    vae.weights.ignore("encoder");
    vae.weights.ignore("quant_conv");
  }
  if (identity) buildIdentity(storage, components);
  if (taesd) {
    build([taesd.file], () => tinyDecodeGraph(storage, { taesd }, runShape));
    taesd.weights.ignore("encoder");
    taesd.weights.finish();
  }
  for (const { weights } of networksOf(components)) weights.finish();
}

/** Builds the graphs that make an identity. */
function buildIdentity(storage: StorageType, components: Components): void {
  const { unet, vision, adapter, parser } = components;
  const channels = unet.config.crossAttentionDim;
  build(
    [vision.file, adapter.file],
    () => identityGraph(storage, { ...components, channels }),
  );
  build([parser.file], () => parserGraph(components));
  // The features are those of the penultimate layer.
  const last = vision.config.layers - 1;
  vision.weights.ignore(`vision_model.encoder.layers.${last}`);
  vision.weights.ignore("vision_model.post_layernorm");
}

/** The components that decide what a model is, and so its hash. */
export function networksOf(
  { unet, vae, text, vision, adapter, parser }: ModelComponents,
): Component<unknown>[] {
  return [unet, vae, text, vision, adapter, parser]
    .filter((network) => network !== undefined);
}
