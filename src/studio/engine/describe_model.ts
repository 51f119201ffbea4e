/**
 * What can be said of a model without a GPU: its files' headers are read and
 * checked as loading does.
 *
 * @module
 */
import {
  checkWeights,
  followsIdentities,
  networksOf,
  openModelComponents,
  readTokenizer,
} from "../../components/networks.ts";
import { type ModelFiles, modelHash } from "../../weights/components.ts";
import type { ModelResource } from "../wire/resources.ts";

/**
 * Reads what a model is.
 *
 * @param files its open files
 * @param name what people call it
 * @throws {MasterWeaverError} `cannot-read`, `bad-model`
 */
export async function describeModel(
  files: ModelFiles,
  name: string,
): Promise<ModelResource> {
  const components = await openModelComponents(files);
  readTokenizer(components);
  checkWeights("f32", components);
  const { unet, vae, taesd } = components;
  const adapter = followsIdentities(components) ? components.adapter : null;
  const { factor } = vae.config;
  const detects = files.face_detector !== undefined;
  return {
    name,
    hash: await modelHash(networksOf(components).map(({ file }) => file)),
    adapterHash: adapter?.file.hash ?? null,
    dtype: null,
    gpu: null,
    size: { own: unet.config.sampleSize * factor, multiple: factor },
    maxReferences: adapter?.config.maxReferences ?? 0,
    alignFaces: adapter?.config.alignFaces ?? false,
    faces: { detects, aligns: detects && files.landmarks !== undefined },
    // Without a map beside it, the model learns one from its first images.
    previews: true,
    taesd: taesd !== undefined,
  };
}
