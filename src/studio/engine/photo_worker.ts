/**
 * The Worker that looks at photos, with a model's folder.
 *
 * @module
 */
import { FaceFinder } from "../../face/finder.ts";
import { errorWithTools } from "../../host/advice.ts";
import { encodePng } from "../../host/codecs/codec.ts";
import { openModelFolder } from "../../host/files.ts";
import { errorWithoutPlaces } from "./hidden_places.ts";
import type { PhotoCalls, PhotoSetup } from "./photo_calls.ts";
import { photoHandlers } from "./photo_handlers.ts";
import { answerCalls } from "./worker_side.ts";

answerCalls<PhotoSetup, PhotoCalls>(
  ({ model, aligns, maxPixels }) =>
    photoHandlers({
      aligns,
      maxPixels,
      openFinder: () => openFinder(model),
      encodePng: (image) => encodePng(image, {}),
    }),
  errorWithTools,
);

async function openFinder(model: string): Promise<FaceFinder | null> {
  try {
    await using folder = await openModelFolder(model);
    const { face_detector: detector, landmarks } = folder.files;
    return detector ? await FaceFinder.load(detector, landmarks) : null;
  } catch (error) {
    // Whoever gave the photo is not told where the model is.
    throw errorWithoutPlaces(error, [model]);
  }
}
