/**
 * The components of one file without a folder of its own, which are recognised
 * by its first bytes and its tensors' names.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import { dlibKind } from "../../src/checkpoints/dlib_file.ts";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { FileSource } from "../../src/host/files.ts";
import {
  badCheckpoint,
  type Checkpoint,
} from "../../src/checkpoints/checkpoint.ts";
import { isExtraName } from "../../src/weights/components.ts";
import { openCheckpoint } from "../../src/checkpoints/open.ts";
import { recognise, unwrapped } from "../../src/checkpoints/recognise.ts";
import {
  ldmControlNetTable,
  ldmControlPrefix,
} from "../../src/checkpoints/tables/controlnet.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  LDM_EMA,
  ldmTextTable,
  ldmUnetTable,
  ldmVaeTable,
  type LdmWeights,
} from "../../src/checkpoints/tables/ldm.ts";
import {
  configKey,
  type GgufComponent,
} from "../../src/checkpoints/tables/gguf_output.ts";
import {
  LDM_TEXT,
  LDM_UNET,
  LDM_VAE,
} from "../../src/checkpoints/tables/ldm_prefixes.ts";
import {
  SD15_CONTROLNET_CONFIG,
  SD15_TEXT_CONFIG,
  SD15_UNET_CONFIG,
  SD15_VAE_CONFIG,
  VIT_L14_CONFIG,
} from "../../src/checkpoints/tables/stable_diffusion.ts";
import { jsonFault, parseJson } from "../../src/weights/json.ts";
import {
  isWeave,
  type JsonObject,
  openWeave,
} from "../../src/weights/weave.ts";
import { type Component, dlibComponent } from "./component.ts";
import { evaluationComponent } from "./evaluation.ts";
import { taesdFiles, upscalerComponent } from "./extra_networks.ts";
import { exists, optionalJson } from "./folder.ts";
import { adapterName, extraName, knownComponent } from "./names.ts";
import {
  adapterComponent,
  controlNetComponent,
  faceParserComponent,
  imageEncoderComponent,
  type TextContext,
  textEncoderComponent,
  unetComponent,
  vaeComponent,
} from "./networks.ts";
import { weaveComponent } from "./weave_component.ts";

/** What a file's components depend on besides the file. */
export interface FileContext extends TextContext {
  /** The folder written to, which may hold the UNet that an adapter is for. */
  readonly output: string;
  /** Config of the UNet among all inputs; known once all have been read. */
  readonly unet: () => JsonObject | undefined;
  /** Which of a single file's two sets of UNet weights, where it has both. */
  readonly ldmWeights: LdmWeights;
}

/**
 * The components of a file.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` saying what it is instead; `cannot-read`
 */
export async function fromFile(
  file: string,
  context: FileContext,
): Promise<Component[]> {
  await using source = await FileSource.open(file);
  const start = await source.read(0, Math.min(8, source.size));
  const dlib = dlibKind(start.subarray(0, 4));
  if (dlib) return [dlibComponent(dlib, file)];
  if (isWeave(start)) {
    const { component, config } = await openWeave(source);
    const known = knownComponent(file, component);
    const output = known === "identity_adapter"
      ? adapterName(file)
      : isExtraName(known)
      ? extraName(file, `a ${known}`)
      : known;
    const fallback = await unetConfig(file, context.output);
    return [weaveComponent({
      output,
      file,
      component: known,
      config,
      unet: () => context.unet() ?? fallback ?? noUnet(file),
    })];
  }
  const checkpoint = unwrapped(await openCheckpoint(source));
  const folder = dirname(file);
  switch (recognise(checkpoint)) {
    case "single_file":
      return await fromSingleFile(file, checkpoint, context);
    case "ldm_controlnet":
      return [controlNetComponent({
        ...await ownConfig(file, SD15_CONTROLNET_CONFIG),
        table: (config) =>
          ldmControlNetTable(config, ldmControlPrefix(checkpoint)),
      })];
    case "controlnet":
      return [
        controlNetComponent(await ownConfig(file, SD15_CONTROLNET_CONFIG)),
      ];
    case "single_file_vae":
      return [vaeComponent({
        ...await componentConfig(file, "vae", SD15_VAE_CONFIG),
        table: (config) => ldmVaeTable(config, ""),
      })];
    case "unet":
      return [
        await unetComponent(
          await ownConfig(file, standardUnet(checkpoint)),
          context.warn,
        ),
      ];
    case "vae":
      return [vaeComponent(await ownConfig(file, SD15_VAE_CONFIG))];
    case "text_encoder":
      return [
        await textEncoderComponent(
          await ownConfig(file, textConfig(checkpoint, "")),
          context,
        ),
      ];
    case "image_encoder": {
      const evaluation = await evaluationComponent([file]);
      return [
        await imageEncoderComponent(await ownConfig(file, VIT_L14_CONFIG)),
        ...evaluation ? [evaluation] : [],
      ];
    }
    case "taesd":
      return [await taesdFiles(file)];
    case "upscaler":
      return [upscalerComponent(file, checkpoint)];
    case "face_parser": {
      const config = await optionalJson(`${folder}/face_parser_config.json`);
      return [faceParserComponent(file, config ?? {})];
    }
    case "identity_adapter": {
      const name = adapterName(file);
      const fallback = await unetConfig(file, context.output);
      return [adapterComponent(
        name,
        file,
        await optionalJson(`${folder}/adapter_config.json`) ??
          await convertedConfig(`${context.output}/identity_adapter.weave`) ??
          {},
        () => context.unet() ?? fallback ?? noUnet(file),
      )];
    }
  }
}

/**
 * Whether a file holds a whole model in the single-file layout.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is damaged; `cannot-read`
 */
export async function isWholeModel(file: string): Promise<boolean> {
  await using source = await FileSource.open(file);
  const checkpoint = unwrapped(await openCheckpoint(source));
  try {
    return recognise(checkpoint) === "single_file";
  } catch (error) {
    if (error instanceof MasterWeaverError) return false;
    throw error;
  }
}

/** The reference implementation's names of the files beside its model. */
const EXPECTED = /^(adapter_.*\.pt|face_parser.*\.pth|\d+_iter\.pth)$/;

/**
 * Why a file beside a model's networks is not one of its components, such as a
 * training program's `optimizer.pt`; undefined where it may be one.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is damaged, so that it cannot be recognised; `cannot-read`
 */
export async function strayReason(file: string): Promise<string | undefined> {
  if (EXPECTED.test(basename(file))) return;
  await using source = await FileSource.open(file);
  if (source.size === 0) return "it is empty";
  const start = await source.read(0, Math.min(8, source.size));
  if (isWeave(start) || dlibKind(start.subarray(0, 4))) return;
  const checkpoint = unwrapped(await openCheckpoint(source));
  try {
    recognise(checkpoint);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    return error.message.replace(`Cannot use ${file}: `, "");
  }
}

/** The up to three networks of a file in the single-file layout. */
async function fromSingleFile(
  file: string,
  checkpoint: Checkpoint,
  context: FileContext,
): Promise<Component[]> {
  const { ldmWeights, warn } = context;
  const { tensors } = checkpoint;
  const names = [...tensors.keys()];
  const has = (prefix: string) => names.some((name) => name.startsWith(prefix));
  const found: Component[] = [];
  const last = has(LDM_UNET);
  if (has(LDM_EMA) || last) {
    const config = ownJson(checkpoint, "unet") ??
      await componentConfig(file, "unet", standardUnet(checkpoint));
    // Some files have kept only a few tensors of the mean.
    const mean = has(LDM_EMA) && (!last || hasMean(checkpoint, config));
    if (has(LDM_EMA) && !mean) {
      warn(
        `unet: ${file} has only part of the running mean; the weights of the last step are used`,
      );
    }
    const weights = mean && (ldmWeights === "ema" || !last) ? "ema" : "last";
    found.push(
      await unetComponent({
        ...config,
        table: (config) => ldmUnetTable(config, weights),
      }, warn),
    );
  } else warn(`unet: not in ${file}`);
  if (has(LDM_VAE)) {
    found.push(vaeComponent({
      ...ownJson(checkpoint, "vae") ??
        await componentConfig(file, "vae", SD15_VAE_CONFIG),
      table: (config) => ldmVaeTable(config, LDM_VAE),
    }));
  } else warn(`vae: not in ${file}`);
  if (has(LDM_TEXT)) {
    found.push(
      await textEncoderComponent(
        {
          ...ownJson(checkpoint, "text_encoder") ??
            await componentConfig(
              file,
              "text_encoder",
              textConfig(checkpoint, LDM_TEXT),
            ),
          table: ldmTextTable,
        },
        context,
      ),
    );
  } else warn(`text_encoder: not in ${file}`);
  return found;
}

/**
 * The config that a GGUF file written here has of a network, tokenizer or
 * scheduler included; undefined where it has none.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is no JSON object
 */
function ownJson(
  { name, kind, metadata }: Checkpoint,
  component: GgufComponent,
) {
  const key = configKey(component);
  if (kind !== "gguf" || !Object.hasOwn(metadata, key)) return;
  let json: unknown;
  try {
    json = parseJson(new TextEncoder().encode(metadata[key]));
  } catch (cause) {
    throw badCheckpoint(name, `its ${key} is ${jsonFault(cause)}`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw badCheckpoint(name, `its ${key} is not a JSON object`);
  }
  return {
    files: [name],
    json: json as JsonObject,
    configName: `${name}'s ${key}`,
    isComplete: true,
  };
}

/** Whether a checkpoint has every tensor of the UNet's running mean. */
function hasMean(
  { tensors }: Checkpoint,
  { json, configName }: { json: JsonObject; configName: string },
): boolean {
  const { rows } = ldmUnetTable(new CheckpointConfig(json, configName), "ema");
  return rows.every(({ from }) =>
    from.every(({ names }) => names.some((name) => tensors.has(name)))
  );
}

/** What the first convolution of a UNet may be called, whose inputs are the latents and more. */
const FIRST_CONVOLUTIONS = [
  `${LDM_UNET}input_blocks.0.0.weight`,
  `${LDM_EMA}input_blocks00weight`,
  "conv_in.weight",
];

/** The UNet's standard config, with the checkpoint's number of input channels. */
function standardUnet({ tensors }: Checkpoint): JsonObject {
  const weight = FIRST_CONVOLUTIONS.map((name) => tensors.get(name))
    .find((tensor) => tensor !== undefined);
  const in_channels = weight?.shape[1] ?? SD15_UNET_CONFIG.in_channels;
  return { ...SD15_UNET_CONFIG, in_channels };
}

/** The text encoder's standard config, with the checkpoint's number of tokens. */
function textConfig({ tensors }: Checkpoint, prefix: string): JsonObject {
  const embedding = ["text_model.", ""].map((path) =>
    tensors.get(`${prefix}${path}embeddings.token_embedding.weight`)
  ).find((tensor) => tensor !== undefined);
  const vocab_size = embedding?.shape[0] ?? SD15_TEXT_CONFIG.vocab_size;
  return { ...SD15_TEXT_CONFIG, vocab_size };
}

/** A network's file with the config beside it, or the standard one. */
function ownConfig(file: string, standard: JsonObject) {
  return configured(file, `${dirname(file)}/config.json`, standard);
}

/** A whole model's file, with the configs of the diffusers folder that it is in. */
function componentConfig(
  file: string,
  component: string,
  standard: JsonObject,
) {
  return configured(
    file,
    `${dirname(file)}/${component}/config.json`,
    standard,
  );
}

async function configured(file: string, path: string, standard: JsonObject) {
  const found = await optionalJson(path);
  return {
    files: [file],
    json: found ?? standard,
    configName: found ? path : "the config of Stable Diffusion 1.5",
  };
}

/** The config of the UNet that an adapter without a model is for. */
async function unetConfig(
  file: string,
  output: string,
): Promise<JsonObject | undefined> {
  // It will be used with the UNet in the folder that it is written to.
  return await convertedConfig(`${output}/unet.weave`) ??
    await optionalJson(`${dirname(file)}/unet/config.json`) ??
    await convertedConfig(`${dirname(file)}/unet.weave`);
}

/** The config of a component that was converted before; undefined where there is none. */
async function convertedConfig(path: string): Promise<JsonObject | undefined> {
  if (!await exists(path)) return;
  await using source = await FileSource.open(path);
  return (await openWeave(source)).config;
}

function noUnet(file: string): never {
  throw badCheckpoint(
    file,
    "its layers are numbered by the UNet it is for, and none was given; " +
      "convert it together with the model's folder, or into its output",
  );
}
