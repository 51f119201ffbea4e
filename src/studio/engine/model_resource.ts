/**
 * What can be said of a model in a folder without a GPU, and what images call it.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { errorWithTools } from "../../host/advice.ts";
import { extraNames, type ExtraPlaces } from "../../host/extras.ts";
import { openModelFolder } from "../../host/files.ts";
import type { LoadChoices } from "../../options/settings.ts";
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";
import { describeModel } from "./describe_model.ts";

/** The model that comes with this project. */
const OWN = "weights/mini";
const ownUrl = new URL(`../../../${OWN}`, import.meta.url);
const ownFolder = ownUrl.protocol === "file:" ? fileURLToPath(ownUrl) : null;

/**
 * Reads what a model is.
 *
 * @param model its folder
 * @param others files of another identity adapter and another tiny autoencoder
 * @throws {MasterWeaverError} `cannot-read`, `bad-model`
 */
export async function readModelResource(
  model: string,
  { adapter, taesd }: Partial<Pick<LoadChoices, "adapter" | "taesd">> = {},
): Promise<ModelResource> {
  try {
    await using folder = await openModelFolder(model, adapter, taesd);
    return await describeModel(folder.files, basename(resolve(model)));
  } catch (error) {
    throw errorWithTools(error);
  }
}

/**
 * Lists the extra files.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readExtras(places: ExtraPlaces): Promise<ExtrasResource> {
  return {
    loras: await extraNames("loras", places),
    embeddings: await extraNames("embeddings", places),
    controlnets: await extraNames("controlnets", places),
    upscalers: await extraNames("upscalers", places),
  };
}

/**
 * What images call a model: not its path on the server's disk, for they are
 * passed on to others.
 */
export function modelLabel(model: string): string {
  const folder = resolve(model);
  const isOwn = ownFolder !== null && folder === resolve(ownFolder);
  return isOwn ? OWN : basename(folder);
}

/** What images call another file of the model: an identity adapter, or TAESD. */
export function fileLabel(file: string): string {
  return basename(file);
}
