/**
 * What can be said of a model in a folder without a GPU, and what images call it.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { errorWithTools } from "../../host/advice.ts";
import { openModelFolder } from "../../host/files.ts";
import type { ModelResource } from "../wire/resources.ts";
import { describeModel } from "./describe_model.ts";

/** The model that comes with this project. */
const OWN = "weights/mini";
const ownUrl = new URL(`../../../${OWN}`, import.meta.url);
const ownFolder = ownUrl.protocol === "file:" ? fileURLToPath(ownUrl) : null;

/**
 * Reads what a model is.
 *
 * @param model its folder
 * @param adapter another identity adapter's file
 * @throws {MasterWeaverError} `cannot-read`, `bad-model`
 */
export async function readModelResource(
  model: string,
  adapter?: string,
): Promise<ModelResource> {
  try {
    await using folder = await openModelFolder(model, adapter);
    return await describeModel(folder.files, basename(resolve(model)));
  } catch (error) {
    throw errorWithTools(error);
  }
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

/** What images call an identity adapter. */
export function adapterLabel(adapter: string): string {
  return basename(adapter);
}
