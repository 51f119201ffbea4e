/**
 * What can be said of a model without a GPU: its files' headers are read and
 * checked as loading does.
 *
 * @module
 */
import {
  checkWeights,
  openComponents,
  readTokenizer,
} from "../../components/networks.ts";
import {
  type Component,
  type ModelFiles,
  modelHash,
} from "../../weights/components.ts";
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
  const components = await openComponents(files);
  readTokenizer(components);
  checkWeights("f32", components);
  const { unet, vae, adapter: { file, config } } = components;
  const { factor } = vae.config;
  const detects = files.face_detector !== undefined;
  return {
    name,
    hash: await modelHash(
      Object.values(components).map(({ file }: Component<unknown>) => file),
    ),
    adapterHash: file.hash,
    dtype: null,
    gpu: null,
    size: { own: unet.config.sampleSize * factor, multiple: factor },
    maxReferences: config.maxReferences,
    alignFaces: config.alignFaces,
    faces: { detects, aligns: detects && files.landmarks !== undefined },
    // Without a map beside it, the model learns one from its first images.
    previews: true,
  };
}
