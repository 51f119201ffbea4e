/**
 * What made the images besides their settings, and how it differs from what made the
 * image to repeat.
 *
 * @module
 */
import { basename } from "node:path";
import type { StorageType } from "../../gpu/limits.ts";
import type { Provenance } from "../../options/settings_text.ts";
import { embeddingWarnings } from "../embeddings.ts";
import { hashWarnings } from "../recorded_hashes.ts";
import { controlWarnings } from "./controls.ts";
import type { RunExtras } from "./extras.ts";
import type { Inputs } from "./inputs.ts";
import type { ModelChoice } from "./model_choice.ts";
import { fileWarnings, referenceWarnings } from "./photos.ts";
import { identityChoices, loadChoices, type Task } from "./task.ts";

/** Everything that a run has read and opened. */
export interface Opened {
  /** The images. */
  readonly inputs: Inputs;
  /** The model. */
  readonly chosen: ModelChoice;
  /** The extra files. */
  readonly extras: RunExtras;
}

/**
 * What made the images besides their settings.
 *
 * @param dtype the storage type that the model was loaded with
 */
export function provenanceOf(
  task: Task,
  { inputs, chosen, extras }: Opened,
  dtype: StorageType,
): Provenance {
  const { flags } = task;
  const { photos, initImage, mask } = inputs;
  const { model, modelHash, adapter, adapterHash } = chosen;
  const { tune, taesd } = loadChoices(task);
  return {
    model,
    modelHash,
    ...photos.length > 0 && {
      adapter,
      adapterHash,
      ...identityChoices(task),
      referenceHashes: photos.map(({ hash }) => hash),
    },
    tune,
    dtype,
    ...taesd !== undefined && extras.settings.decoder === "taesd" && { taesd },
    initImage: flags.initImage && basename(flags.initImage),
    initImageHash: initImage?.hash,
    mask: flags.mask && basename(flags.mask),
    maskHash: mask?.hash,
    ...extras.provenance,
  };
}

/** Says how all that was opened differs from what made the image to repeat. */
export function provenanceWarnings(
  task: Task,
  { inputs, chosen, extras }: Opened,
  now: Provenance,
): string[] {
  const { provenance: before } = task.recorded;
  return [
    ...chosen.warnings,
    ...inputs.controls.warnings,
    ...extras.warnings,
    ...hashWarnings("LoRA", before.loraHashes, now.loraHashes ?? ""),
    ...embeddingWarnings(before.embeddingHashes, now.embeddingHashes ?? "", [
      extras.settings.prompt,
      extras.settings.negativePrompt,
    ]),
    ...controlWarnings(task, now),
    ...referenceWarnings(before.referenceHashes, now.referenceHashes ?? []),
    ...startWarnings(before, now),
  ];
}

/** Says how initial image and mask differ from those of the image to repeat. */
function startWarnings(
  before: Partial<Provenance>,
  now: Provenance,
): string[] {
  return [
    ...fileWarnings({
      what: "initial image",
      flag: "--init-image",
      name: before.initImage,
      hash: before.initImageHash,
    }, now.initImageHash),
    ...fileWarnings({
      what: "mask",
      flag: "--mask",
      name: before.mask,
      hash: before.maskHash,
    }, now.maskHash),
  ];
}
