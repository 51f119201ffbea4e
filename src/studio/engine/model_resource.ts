/**
 * What can be said of a model without a GPU: its files' headers are read and
 * checked as loading does.
 *
 * @module
 */
import { basename, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import {
  checkWeights,
  openComponents,
  readTokenizer,
} from "../../components/networks.ts";
import { errorWithTools } from "../../host/advice.ts";
import { openModelFolder } from "../../host/files.ts";
import { type Component, modelHash } from "../../weights/components.ts";
import type { ModelResource } from "../wire/resources.ts";

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
    const { files } = folder;
    const components = await openComponents(files);
    readTokenizer(components);
    checkWeights("f32", components);
    const { unet, vae, adapter: { file, config } } = components;
    const { factor } = vae.config;
    return {
      name: basename(resolve(model)),
      hash: await modelHash(
        Object.values(components).map(({ file }: Component<unknown>) => file),
      ),
      adapterHash: file.hash,
      dtype: null,
      gpu: null,
      size: { own: unet.config.sampleSize * factor, multiple: factor },
      maxReferences: config.maxReferences,
      alignFaces: config.alignFaces,
      faces: {
        detects: files.face_detector !== undefined,
        aligns: files.face_detector !== undefined &&
          files.landmarks !== undefined,
      },
      // Without a map beside it, the model learns one from its first images.
      previews: true,
    };
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
