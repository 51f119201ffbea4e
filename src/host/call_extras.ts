/**
 * Opens the extra files that a call names: LoRAs, those of the prompt among them,
 * embeddings, upscalers and ControlNets.
 *
 * @module
 */
import type { Lora } from "../checkpoints/lora_reader.ts";
import type { LoraUse } from "../generate/lora_input.ts";
import type { ControlChoice } from "../options/control_choices.ts";
import { formatLoras, parseLoras } from "../options/lora_text.ts";
import type { Settings } from "../options/settings.ts";
import type { Provenance } from "../options/settings_text.ts";
import { openControlNets, type OpenedControl } from "./controlnets.ts";
import { openNamedEmbeddings } from "./embeddings.ts";
import type { ExtraLookup } from "./extra_lookup.ts";
import {
  type ExtraKind,
  type ExtraPlaces,
  findExtra,
  findNamedExtra,
} from "./extras.ts";
import type { FileSource } from "./files.ts";
import type { KeptFiles } from "./kept_files.ts";
import { openLoras, openPromptLoras } from "./loras.ts";
import { openUpscalers } from "./upscalers.ts";

/** What a call asks for. */
export interface AskedExtras {
  /** Its settings, checked; they name LoRAs, embeddings and upscalers. */
  readonly settings: Settings;
  /** Its ControlNets. */
  readonly controls: readonly ControlChoice[];
}

/** How the files of a call are found. */
export interface ExtraRules {
  /** Whether paths are taken as well as names (`paths`), or names alone. */
  readonly names: "paths" | "names";
  /**
   * Kinds of which files that cannot be used are left out, with a warning; of the
   * others they are errors. Without one of several ControlNets, none is used.
   */
  readonly leaveOut?: readonly ExtraKind[];
  /** LoRAs and ControlNets stay open here between calls; where not given, each call opens its own. */
  readonly kept?: KeptFiles;
}

/** The extra files of a call, which are open: `await using` closes them. */
export interface CallExtras extends AsyncDisposable {
  /** The settings, without what asks for files that are left out. */
  readonly settings: Settings;
  /** LoRAs of the settings, as the library takes them. */
  readonly loras: readonly LoraUse[];
  /** LoRAs that the prompt names; those that are not there are missing. */
  readonly promptLoras: Readonly<Record<string, Lora>>;
  /** Embeddings that the prompts may name; undefined where prompts are plain. */
  readonly embeddings?: Readonly<Record<string, FileSource>>;
  /** Upscalers by the names in the settings. */
  readonly upscalers: Readonly<Record<string, FileSource>>;
  /** ControlNets in order, as the library takes them but for their images. */
  readonly controls: readonly OpenedControl[];
  /** What an image records of them; a kind that is not used is absent. */
  readonly hashes: Pick<
    Provenance,
    "loraHashes" | "embeddingHashes" | "controlnetHashes"
  >;
  /** What is left out, a line each. */
  readonly warnings: readonly string[];
}

/**
 * Finds and opens the extra files of a call.
 *
 * @param asked the call
 * @param places where files are looked up by name
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`, `bad-checkpoint`, `bad-model`
 */
export async function openCallExtras(
  { settings: asked, controls: choices }: AskedExtras,
  places: ExtraPlaces,
  { names, leaveOut = [], kept }: ExtraRules,
): Promise<CallExtras> {
  const warnings = new Set<string>();
  const find = names === "paths" ? findExtra : findNamedExtra;
  const lookup = (kind: ExtraKind, why = ""): ExtraLookup => ({
    find,
    kept,
    ...leaveOut.includes(kind) && {
      onMissing: (message) =>
        warnings.add(`The image will differ: ${why}${message}`),
    },
  });
  await using stack = new AsyncDisposableStack();
  const { controls } = stack.use(
    await openControlNets(
      choices,
      places,
      lookup(
        "controlnets",
        "it was made with a ControlNet that cannot be used. ",
      ),
    ),
  );
  const { files: upscalers, settings } = stack.use(
    await openUpscalers(asked, places, lookup("upscalers")),
  );
  const named = parseLoras(asked.lora ?? "") ?? [];
  const loras = stack.use(await openLoras(named, places, lookup("loras")));
  const inPrompts = asked.promptSyntax === "plain"
    ? undefined
    : stack.use(await openNamedInPrompts(asked, places, kept));
  const loraHashes = [loras.hashes, inPrompts?.loraHashes ?? ""]
    .filter((hashes) => hashes !== "").join(", ");
  const owned = stack.move();
  return {
    settings: loras.choices.length < named.length
      ? { ...settings, lora: formatLoras(loras.choices) || undefined }
      : settings,
    loras: loras.uses,
    promptLoras: inPrompts?.loras ?? {},
    embeddings: inPrompts?.embeddings,
    upscalers,
    controls,
    hashes: {
      ...loraHashes !== "" && { loraHashes },
      ...inPrompts?.embeddingHashes &&
        { embeddingHashes: inPrompts.embeddingHashes },
      ...controls.length > 0 &&
        { controlnetHashes: controls.map(({ net }) => net.hash) },
    },
    warnings: [...warnings],
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync();
      await kept?.trim();
    },
  };
}

/** Opens what the prompts of A1111 name, never by a path. */
async function openNamedInPrompts(
  { prompt, negativePrompt }: Settings,
  places: ExtraPlaces,
  kept: KeptFiles | undefined,
) {
  await using stack = new AsyncDisposableStack();
  const loras = stack.use(await openPromptLoras(prompt, places, { kept }));
  const { files, hashes: embeddingHashes } = stack.use(
    await openNamedEmbeddings([prompt, negativePrompt], places),
  );
  const owned = stack.move();
  return {
    loras: loras.byName,
    loraHashes: loras.hashes,
    embeddings: files,
    embeddingHashes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
