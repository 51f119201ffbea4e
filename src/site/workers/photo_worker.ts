/**
 * The Worker that looks at photos in a page: decodes them as the command does,
 * finds and aligns faces.
 *
 * @module
 */
import { FaceFinder } from "../../face/finder.ts";
import type { PhotoCalls } from "../../studio/engine/photo_calls.ts";
import { photoHandlers } from "../../studio/engine/photo_handlers.ts";
import { answerCalls } from "../../studio/engine/worker_side.ts";
import { openPlace } from "../model/open_place.ts";
import { writePng } from "../png_write.ts";
import type { PhotoWorkerSetup } from "./setups.ts";

answerCalls<PhotoWorkerSetup, PhotoCalls>(
  ({ place, aligns, maxPixels }) =>
    photoHandlers({
      aligns,
      maxPixels,
      openFinder: async () => {
        const { face_detector: detector, landmarks } = await openPlace(place);
        return detector ? await FaceFinder.load(detector, landmarks) : null;
      },
      encodePng: (image) => writePng(image),
    }),
);
