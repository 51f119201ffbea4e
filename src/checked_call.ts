/**
 * What a call that makes images was given, checked, and what its prompts say.
 *
 * @module
 */
import type { CallOptions } from "./base/progress.ts";
import { MasterWeaverError } from "./base/errors.ts";
import type { GenerateOptions } from "./call_options.ts";
import type { TurnOptions } from "./call_queue.ts";
import {
  type Components,
  followsIdentities,
  type ModelComponents,
} from "./components/networks.ts";
import { openPasses, type Passes } from "./components/passes.ts";
import {
  checkControls,
  type CheckedControl,
} from "./generate/control_input.ts";
import { withoutTaesd } from "./generate/decoder.ts";
import { checkLoras, lorasOfPrompt } from "./generate/lora_input.ts";
import {
  adaptComponents,
  type AdaptedComponents,
  type AppliedLora,
} from "./generate/loras.ts";
import { readPrompts } from "./generate/prompts.ts";
import type { SourceRequest } from "./generate/source_pixels.ts";
import type { PromptText } from "./generate/text_conditions.ts";
import type { IdentityTokens } from "./identity/identity.ts";
import { checkIdentity } from "./identity/input.ts";
import { checkImage } from "./image/check.ts";
import { copyImage } from "./image/image.ts";
import type { LoadedModel } from "./load.ts";
import { callSettings } from "./options/call_settings.ts";
import { type SizeRule, withoutIdScale } from "./options/options.ts";
import type { Settings } from "./options/settings.ts";
import { chooseSampler } from "./samplers/choose_sampler.ts";
import type { Sampler } from "./samplers/sampler.ts";
import { type ModelFiles, withoutIdentity } from "./weights/components.ts";

/** A model, as far as it decides what a call may ask for. */
export type CalledModel = Pick<
  LoadedModel,
  "components" | "files" | "hash" | "tokenizer"
>;

/** What makes images, without what the call waits for and reports to. */
export type GivenToGenerate = Omit<
  GenerateOptions,
  keyof CallOptions | keyof TurnOptions | "onPreview" | "previewInterval"
>;

/** What a call was given: every value checked, defaults filled in. */
export interface CheckedCall {
  /** All settings. */
  readonly settings: Settings;
  /** The sampler that they choose. */
  readonly sampler: Sampler;
  /** The image to start from. */
  readonly source?: SourceRequest;
  /** The LoRAs, without those of the prompt. */
  readonly loras: readonly AppliedLora[];
  /** The ControlNets. */
  readonly controls: readonly CheckedControl[];
  /** What follows the first pass. */
  readonly passes: Passes;
  /** Whom the images show. */
  readonly identity?: IdentityTokens;
}

/**
 * Checks what a call was given, and that it fits the model.
 *
 * @throws {MasterWeaverError} `bad-option`, `bad-image`, `bad-model`, `cannot-read`
 */
export async function checkCall(
  { identity, controls, upscalers = {}, previews, ...given }: GivenToGenerate,
  model: CalledModel,
): Promise<CheckedCall> {
  const { components } = model;
  const size = sizeRule(components);
  const { settings, source, loras } = checkTogether(given, size, identity);
  const sampler = chooseSampler(components.unet.config.scheduler, settings);
  const used = checkControls(controls, settings.guessMode, components);
  const passes = await openPasses(
    settings,
    size,
    upscalers,
    given.initImage,
  );
  const needsTiny = settings.decoder === "taesd" || previews === "taesd";
  if (needsTiny && !components.taesd) throw withoutTaesd();
  const tokens = identity === undefined
    ? undefined
    : identityTokens(identity, model);
  return {
    settings,
    sampler,
    source,
    loras,
    controls: used,
    passes,
    identity: tokens,
  };
}

/** Settings, with the images and LoRAs that they are about. */
function checkTogether(
  given: Omit<
    GivenToGenerate,
    "identity" | "controls" | "upscalers" | "previews"
  >,
  size: SizeRule,
  identity: unknown,
): Pick<CheckedCall, "settings" | "source" | "loras"> {
  const { initImage, mask, loras, promptLoras: _, ...others } = given;
  const { embeddings: _read, ...asked } = others;
  if (initImage !== undefined) checkImage(initImage, "initImage");
  if (mask !== undefined) checkImage(mask, "mask");
  const hasMask = mask !== undefined;
  const { settings, source } = callSettings(asked, size, {
    initImage,
    hasMask,
  });
  const scaled = identity === undefined
    ? withoutIdScale(settings, asked)
    : settings;
  const { loras: used, lora } = checkLoras(loras, scaled.lora ?? "");
  return {
    settings: { ...scaled, ...lora !== "" && { lora } },
    // The caller may change its own before this call has its turn.
    source: source && initImage && {
      initImage: copyImage(initImage),
      mask: mask && copyImage(mask),
      settings: source,
    },
    loras: used,
  };
}

function identityTokens(
  identity: unknown,
  { components, files, hash }: CalledModel,
): IdentityTokens {
  const { adapter, unet } = identityComponents(components, files);
  const { maxReferences, tokens } = adapter.config;
  return checkIdentity(identity, {
    length: maxReferences * tokens * unet.config.crossAttentionDim,
    modelHash: hash,
    adapterHash: adapter.file.hash,
  });
}

/** What the prompts of a call say. */
export interface CallPrompts {
  /** Both prompts, for the text tower. */
  readonly text: PromptText;
  /** The end of the prompt that did not fit; empty where all of it did. */
  readonly truncatedPrompt: string;
  /** The model with all LoRAs; undefined without any. */
  readonly adapted?: AdaptedComponents;
}

/**
 * Reads the prompts of a call, and adds the LoRAs that they name to its own.
 *
 * @param given the embeddings and LoRAs that they may name
 * @throws {MasterWeaverError} `bad-option`, `bad-checkpoint`, `cannot-read`
 */
export async function readCallPrompts(
  { settings, loras }: CheckedCall,
  { embeddings, promptLoras }: Pick<
    GivenToGenerate,
    "embeddings" | "promptLoras"
  >,
  { components, tokenizer }: CalledModel,
  onWarning: CallOptions["onWarning"],
): Promise<CallPrompts> {
  const { layers, hiddenSize } = components.text.config;
  checkClipSkip(settings, layers);
  const tower = { tokenizer, channels: hiddenSize };
  const { extraNetworks, ...prompts } = await readPrompts(
    settings,
    tower,
    embeddings,
    onWarning,
  );
  const acting = [
    ...loras,
    ...lorasOfPrompt(extraNetworks, promptLoras, onWarning),
  ];
  return {
    ...prompts,
    adapted: acting.length > 0
      ? adaptComponents(components, acting)
      : undefined,
  };
}

/** The layers that are left out must be among those that the text tower has. */
function checkClipSkip({ clipSkip }: Settings, layers: number): void {
  if (clipSkip <= layers) return;
  throw new MasterWeaverError(
    "bad-option",
    `Option clipSkip must be at most ${layers}, the layers of this model's text encoder, got ${clipSkip}`,
  );
}

/** Widths and heights that a model's images may have, in pixels. */
export function sizeRule({ unet, vae }: ModelComponents): SizeRule {
  const { factor } = vae.config;
  return { own: unet.config.sampleSize * factor, multiple: factor };
}

/**
 * A model's components, where they follow identities.
 *
 * @throws {MasterWeaverError} `bad-model`
 */
export function identityComponents(
  components: ModelComponents,
  files: ModelFiles,
): Components {
  if (followsIdentities(components)) return components;
  throw withoutIdentity(files);
}
