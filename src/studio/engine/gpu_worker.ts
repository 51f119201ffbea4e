/**
 * The Worker with the GPU, with a model's folder.
 *
 * @module
 */
import { errorWithTools, withTools } from "../../host/advice.ts";
import { openCallExtras } from "../../host/call_extras.ts";
import { checkText, encodeImage } from "../../host/image_file.ts";
import { KeptFiles } from "../../host/kept_files.ts";
import { MasterWeaver } from "../../host/masterweaver.ts";
import type { GpuCalls, GpuSetup } from "./gpu_calls.ts";
import { gpuHandlers } from "./gpu_handlers.ts";
import { errorWithoutPlaces, withoutPlaces } from "./hidden_places.ts";
import { EXPANSION } from "./model_keeper.ts";
import { fileLabel, modelLabel } from "./model_resource.ts";
import { answerCalls } from "./worker_side.ts";

/** Where the server's files are, which clients are not told. */
let places: readonly (string | undefined)[] = [];

answerCalls<GpuSetup, GpuCalls>((setup) => {
  const { model, extras, adapter, taesd, dtype, tune, keepLoaded } = setup;
  places = [model, extras, adapter, taesd];
  const kept = new KeptFiles();
  return gpuHandlers({
    labels: {
      model: modelLabel(model),
      ...adapter !== undefined && { adapter: fileLabel(adapter) },
      ...taesd !== undefined && { taesd: fileLabel(taesd) },
    },
    tune,
    keepLoaded,
    load: (options) =>
      MasterWeaver.load(model, {
        ...options,
        ...adapter !== undefined && { adapter },
        ...taesd !== undefined && { taesd },
        ...dtype !== undefined && { dtype },
        tune,
      }),
    hasRoom: ({ gpu }) => hasRoom(model, gpu.isSoftware),
    openExtras: (asked) =>
      openCallExtras(asked, { model, extras, hidden: true }, {
        names: "names",
        kept,
      }),
    advise: (warning) => withoutPlaces(withTools(warning), places),
    checkText,
    encodeImage,
  });
}, (error) => errorWithoutPlaces(errorWithTools(error), places));

/**
 * Whether all networks fit. A GPU says so itself, by an error; a software
 * adapter takes the system's memory until the system ends the process.
 */
async function hasRoom(model: string, isSoftware: boolean): Promise<boolean> {
  if (!isSoftware) return true;
  let bytes = 0;
  for await (const { name, isFile } of Deno.readDir(model)) {
    if (!isFile || !name.endsWith(".weave")) continue;
    bytes += (await Deno.stat(`${model}/${name}`)).size;
  }
  return bytes * EXPANSION <= availableMemory();
}

/** Bytes of memory that are free; none where Deno may not ask the system. */
function availableMemory(): number {
  try {
    return Deno.systemMemoryInfo().available;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return 0;
    throw error;
  }
}
