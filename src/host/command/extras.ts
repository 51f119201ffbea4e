/**
 * The extra files of a run: those that were typed must be there, those that are only
 * repeated are left out where they are not.
 *
 * @module
 */
import type { GenerateOptions } from "../../call_options.ts";
import type { Settings } from "../../options/settings.ts";
import type { Provenance } from "../../options/settings_text.ts";
import { openCallExtras } from "../call_extras.ts";
import type { ExtraKind } from "../extras.ts";
import type { AskedControls } from "./controls.ts";
import type { Flags } from "./flags.ts";
import type { Task } from "./task.ts";

/** The extra files of a run, which are open: `await using` closes them. */
export interface RunExtras extends AsyncDisposable {
  /** The settings, without what asks for files that are left out. */
  readonly settings: Settings;
  /** The files, as the library takes them. */
  readonly files: Pick<
    GenerateOptions,
    "loras" | "promptLoras" | "embeddings" | "upscalers" | "controls"
  >;
  /** What an image records of them besides the settings. */
  readonly provenance: ExtraProvenance;
  /** What is left out, a line each. */
  readonly warnings: readonly string[];
}

/** What an image records of extra files besides the settings. */
export type ExtraProvenance = Pick<
  Provenance,
  | "loraHashes"
  | "embeddingHashes"
  | "controlnet"
  | "controlScale"
  | "controlRange"
  | "controlPreprocess"
  | "controlnetHashes"
  | "controlImageHashes"
>;

/**
 * Opens them.
 *
 * @param asked all settings, checked
 * @param model the model's folder
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`, `bad-checkpoint`, `bad-model`
 */
export async function openExtras(
  { flags }: Task,
  asked: Settings,
  { choices, images, lists }: AskedControls,
  model: string,
): Promise<RunExtras> {
  const opened = await openCallExtras(
    { settings: asked, controls: choices },
    { model, extras: flags.extras },
    { names: "paths", leaveOut: onlyRepeated(flags) },
  );
  const { settings, hashes, warnings } = opened;
  const { loras, promptLoras, embeddings, upscalers, controls: nets } = opened;
  const controls = nets.map((net, i) => ({ ...net, image: images[i].image }));
  const hasControls = controls.length > 0;
  return {
    // A mode that is only repeated goes with its ControlNets.
    settings: { ...settings, guessMode: settings.guessMode && hasControls },
    files: { loras, promptLoras, embeddings, upscalers, controls },
    provenance: {
      ...hashes,
      ...hasControls &&
        { ...lists, controlImageHashes: images.map(({ hash }) => hash) },
    },
    warnings,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/** The kinds of extra files that the image to repeat asks for, if anything does. */
function onlyRepeated({ controlnet, settings }: Flags): ExtraKind[] {
  const { lora, upscale, hiresUpscaler } = settings;
  return [
    ...controlnet === undefined ? ["controlnets"] as const : [],
    ...lora === undefined ? ["loras"] as const : [],
    ...upscale === undefined && hiresUpscaler === undefined
      ? ["upscalers"] as const
      : [],
  ];
}
