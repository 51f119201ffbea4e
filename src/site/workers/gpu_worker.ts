/**
 * The Worker with the GPU in a page.
 *
 * @module
 */
import type { TuneStore } from "../../graph/tuner.ts";
import type { Image } from "../../image/image.ts";
import { toParameters } from "../../options/parameters_text.ts";
import type { Texts } from "../../options/settings_text.ts";
import { table } from "../../options/table.ts";
import { MasterWeaver } from "../../pipeline.ts";
import type { GpuCalls } from "../../studio/engine/gpu_calls.ts";
import { gpuHandlers } from "../../studio/engine/gpu_handlers.ts";
import { EXPANSION } from "../../studio/engine/model_keeper.ts";
import { answerCalls } from "../../studio/engine/worker_side.ts";
import { openPlace } from "../model/open_place.ts";
import { writePng } from "../png_write.ts";
import { withoutExtras } from "./no_extras.ts";
import type { GpuWorkerSetup } from "./setups.ts";

/** Share of the machine's memory that a page may count on. */
const SHARE = 0.5;

/** Gigabytes of memory, where the browser does not say. */
const USUAL_MEMORY = 4;

answerCalls<GpuWorkerSetup, GpuCalls>(({ place, label, bytes }) => {
  const tune = table.tune.default;
  return gpuHandlers({
    labels: { model: label },
    tune,
    keepLoaded: true,
    load: async (options) =>
      await MasterWeaver.load(await openPlace(place), {
        ...options,
        tune,
        tuneStore: keptTuning,
      }),
    hasRoom: ({ gpu }) =>
      Promise.resolve(!gpu.isSoftware || bytes * EXPANSION <= memory()),
    openExtras: (asked) => Promise.resolve().then(() => withoutExtras(asked)),
    advise: (warning) => warning,
    // A PNG holds any text.
    checkText: () => {},
    encodeImage: (_format, image, text) => encode(image, text),
  });
});

function encode(
  image: Image,
  text: Texts | null,
): Promise<Uint8Array<ArrayBuffer>> {
  return writePng(
    image,
    text ? { ...text, parameters: toParameters(text) } : {},
  );
}

/** Bytes of memory that the page may take. */
function memory(): number {
  const { deviceMemory = USUAL_MEMORY } = navigator as {
    readonly deviceMemory?: number;
  };
  return deviceMemory * SHARE * 2 ** 30;
}

/** Which kernels are fastest here, kept in the browser. */
const keptTuning: TuneStore = {
  read: async (key) => {
    try {
      const kept = await (await openKept()).match(addressOf(key));
      return kept ? await kept.text() : null;
    } catch {
      return null;
    }
  },
  write: async (key, text) => {
    try {
      await (await openKept()).put(addressOf(key), new Response(text));
    } catch {
      // The next visit measures again.
    }
  },
};

function openKept(): Promise<Cache> {
  return caches.open("masterweaver-kernels");
}

function addressOf(key: string): string {
  return new URL(`/kernels-${key}`, location.origin).href;
}
