/**
 * Chooses the model and identity adapter: those asked for, else those that made
 * the image to repeat, where they are found.
 *
 * @module
 */
import { resolve } from "node:path";
import { brief, printable } from "../../weights/brief.ts";
import {
  loadedComponents,
  modelHash,
  openComponentFile,
} from "../../weights/components.ts";
import { openModelFolder } from "../files.ts";
import { hostFileSystem } from "../system.ts";
import type { Provenance } from "../../options/settings_text.ts";

/** A model folder with an adapter, and the hashes that identify them. */
export interface ModelChoice {
  /** The folder. */
  readonly model: string;
  /** The adapter's file, where it is not the folder's own. */
  readonly adapter?: string;
  /** The hash of all components. */
  readonly modelHash: string;
  /** The hash of the adapter alone, where the model has one. */
  readonly adapterHash?: string;
  /** How it differs from what made the image to repeat, a line each. */
  readonly warnings: readonly string[];
}

/** What was asked for, and what else is known. */
export interface ModelRequest {
  /** The folder that was asked for. */
  readonly model?: string;
  /** The adapter that was asked for. */
  readonly adapter?: string;
  /** The folder where none was asked for. */
  readonly defaultModel: string;
  /** What the image to repeat says. */
  readonly recorded: Partial<Provenance>;
  /** Whether the adapter matters: there are references; true by default. */
  readonly identity?: boolean;
}

/** Hashes of a model's components. */
type Components = readonly {
  readonly component: string;
  readonly hash: string;
}[];

interface Candidate extends Omit<ModelChoice, "warnings"> {
  readonly components: Components;
}

/**
 * Chooses the first candidate that is the recorded one, else the first that can
 * be used.
 *
 * @throws {MasterWeaverError} `cannot-read`, `bad-model` where what was asked for, or the default, cannot be used
 */
export async function chooseModel(
  request: ModelRequest,
): Promise<ModelChoice> {
  const { defaultModel, identity = true } = request;
  const recorded = identity
    ? request.recorded
    : { ...request.recorded, adapter: undefined };
  const models = request.model !== undefined
    ? [request.model]
    : [...new Set([recorded.model, defaultModel])];
  const adapters = request.adapter !== undefined
    ? [request.adapter]
    : [...new Set([recorded.adapter, undefined])];
  let first: Candidate | undefined;
  let failure: unknown;
  for (const model of models) {
    if (model === undefined) continue;
    for (const adapter of adapters) {
      try {
        const candidate = await identify(model, adapter);
        const isRecorded = candidate.modelHash === recorded.modelHash;
        if (isRecorded) {
          return {
            ...candidate,
            warnings: await differences(candidate, recorded, identity),
          };
        }
        first ??= candidate;
      } catch (error) {
        // The last candidate is the one that runs where nothing was recorded.
        failure = error;
      }
    }
  }
  if (!first) throw failure;
  const warnings = await differences(first, recorded, identity);
  return { ...first, warnings };
}

/** Reads the headers of a model's components. */
async function identify(model: string, adapter?: string): Promise<Candidate> {
  await using folder = await openModelFolder(model, adapter);
  const components = [];
  for (const name of await loadedComponents(folder.files)) {
    const { component, hash } = await openComponentFile(folder.files, name);
    components.push({ component, hash });
  }
  return {
    model,
    ...adapter !== undefined && { adapter },
    modelHash: await modelHash(components),
    adapterHash: components.find(isAdapter)?.hash,
    components,
  };
}

/** Says how the choice differs from what the image to repeat was made with. */
async function differences(
  chosen: Candidate,
  recorded: Partial<Provenance>,
  identity: boolean,
): Promise<string[]> {
  const { modelHash: was, adapterHash: adapterWas } = recorded;
  const warnings: string[] = [];
  if (was !== undefined && !await isSame(chosen, was, adapterWas)) {
    warnings.push(await modelDiffers(chosen, recorded.model, was));
  }
  const { adapterHash } = chosen;
  // Without an adapter, asking for an identity is an error anyway.
  if (!identity || adapterWas === undefined || adapterHash === undefined) {
    return warnings;
  }
  if (adapterWas !== adapterHash) {
    const now = { ...chosen, adapterHash };
    warnings.push(adapterDiffers(now, recorded, adapterWas));
  }
  return warnings;
}

async function modelDiffers(
  { model, modelHash }: Candidate,
  recorded: string | undefined,
  was: string,
): Promise<string> {
  if (recorded !== undefined && resolve(recorded) === resolve(model)) {
    return `The image will differ: the model ${
      brief(model)
    } has changed, it had the hash ${short(was)} and has ${
      short(modelHash)
    } now; restore its files as they were`;
  }
  const isHere = recorded !== undefined &&
    await hostFileSystem.stat(recorded).then(() => true, () => false);
  const name = recorded === undefined
    ? "a model it does not name"
    : `the model ${brief(recorded)}`;
  return `The image will differ: it was made with ${name} (hash ${short(was)}${
    isHere ? "" : ", not found"
  }), this is ${model} (hash ${
    short(modelHash)
  }); give that model's folder with --model`;
}

function adapterDiffers(
  { model, adapter, adapterHash }: Candidate & { adapterHash: string },
  recorded: Partial<Provenance>,
  was: string,
): string {
  const before = adapterFile(recorded.model, recorded.adapter);
  const now = adapterFile(model, adapter);
  if (before !== undefined && before === now) {
    return `The image will differ: the identity adapter ${
      adapter === undefined ? `of ${brief(model)}` : brief(adapter)
    } has changed, it had the hash ${short(was)} and has ${
      short(adapterHash)
    } now; restore its file as it was`;
  }
  const name = recorded.adapter !== undefined
    ? `the identity adapter ${brief(recorded.adapter)}`
    : recorded.model !== undefined
    ? `the identity adapter of ${brief(recorded.model)}`
    : "an identity adapter it does not name";
  return `The image will differ: it was made with ${name} (hash ${
    short(was)
  }), this is ${adapter ?? `that of ${model}`} (hash ${
    short(adapterHash)
  }); give that adapter's file with --adapter`;
}

/** Where a model's adapter is, so that two names of one file can be compared. */
function adapterFile(
  model: string | undefined,
  adapter: string | undefined,
): string | undefined {
  if (adapter !== undefined) return resolve(adapter);
  return model && resolve(model, "identity_adapter.weave");
}

/** Whether it is the recorded model apart from the adapter, which has its own warning. */
async function isSame(
  { modelHash: is, components }: Candidate,
  was: string,
  adapterWas: string | undefined,
): Promise<boolean> {
  if (is === was) return true;
  if (adapterWas === undefined) return false;
  const others = components.map((one) =>
    isAdapter(one) ? { ...one, hash: adapterWas } : one
  );
  return await modelHash(others) === was;
}

function isAdapter({ component }: Components[number]): boolean {
  return component === "identity_adapter";
}

/** The first ten digits of a hash, as other programs show it. */
function short(hash: string): string {
  return printable(hash.slice(0, 10));
}
