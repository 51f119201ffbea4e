/**
 * Recognises a file of landmarks.
 *
 * @module
 */
import { openWeave } from "../../weights/weave.ts";
import { BlobSource } from "./sources.ts";

/** Whether a file is a `landmarks.weave`, by its header. */
export async function isLandmarks(file: File): Promise<boolean> {
  try {
    const { component } = await openWeave(new BlobSource(file, file.name));
    return component === "landmarks";
  } catch {
    return false;
  }
}
