/**
 * Where a model's map of previews comes from.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { CallOptions } from "../base/progress.ts";
import type { VaeConfig } from "../models/vae.ts";
import type { Component } from "../weights/components.ts";
import { PREVIEW_NAME, readPreviewMap } from "./preview_map.ts";
import { PreviewSource } from "./previews.ts";

/**
 * The model's map of previews; where that cannot be used, one that is learnt, and a
 * warning says so.
 *
 * @param vae the model's autoencoder
 * @param preview its `preview.json`
 */
export async function previewSource(
  { file, config }: Component<VaeConfig>,
  preview: ByteSource | undefined,
  onWarning: CallOptions["onWarning"],
): Promise<PreviewSource> {
  const own = { vae: file.hash, channels: config.latentChannels };
  try {
    if (preview) return new PreviewSource(await readPreviewMap(preview, own));
    onWarning?.(withoutPreviews(
      `the model has no ${PREVIEW_NAME}; give one among its files`,
    ));
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    onWarning?.(withoutPreviews(error.message));
  }
  return new PreviewSource(own);
}

function withoutPreviews(why: string): string {
  return `No previews of the first images: ${why}`;
}
