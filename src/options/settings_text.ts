/**
 * Converts everything that made an image to text chunks of its PNG, and back.
 *
 * @module
 */
import { otherSecondPass } from "./other_second_pass.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import {
  automaticSchedule,
  findSampler,
  samplerFault,
} from "../samplers/sampler_names.ts";
import { isAutomatic, scheduleFault } from "../samplers/schedule_names.ts";
import { printable } from "../weights/brief.ts";
import { isOwnText, readParameters } from "./parameters_text.ts";
import type {
  CommandChoices,
  IdentityChoices,
  LoadChoices,
  Settings,
} from "./settings.ts";
import {
  type ControlOption,
  type NamedOption,
  options,
  table,
} from "./table.ts";
import { withoutUndefined } from "./options.ts";

/**
 * What made an image besides its settings; some is recorded only if it was asked
 * for, and what an identity needs only where there was one.
 */
export interface Provenance
  extends
    Pick<CommandChoices, "model">,
    Pick<LoadChoices, "dtype" | "tune">,
    Partial<Pick<LoadChoices, "adapter" | "taesd">>,
    Partial<Pick<CommandChoices, "initImage" | "mask">>,
    Partial<Pick<CommandChoices, Exclude<ControlOption, "controlImage">>>,
    Partial<IdentityChoices> {
  /** The model's hash, identity adapter included. */
  readonly modelHash: string;
  /** The hash of the identity adapter's header. */
  readonly adapterHash?: string;
  /** SHA-256 of the reference photos' files, in order; absent without an identity. */
  readonly referenceHashes?: readonly string[];
  /** SHA-256 of the initial image's file. */
  readonly initImageHash?: string;
  /** SHA-256 of the mask's file. */
  readonly maskHash?: string;
  /** Names of LoRAs and the starts of their hashes, as A1111 writes both. */
  readonly loraHashes?: string;
  /** The same of embeddings that the prompts name. */
  readonly embeddingHashes?: string;
  /** SHA-256 of the ControlNets' headers, in order; absent without ControlNets. */
  readonly controlnetHashes?: readonly string[];
  /** SHA-256 of the control images' files, in order. */
  readonly controlImageHashes?: readonly string[];
}

/** What an image records of how it was made; the rest is absent. */
export interface Recorded {
  /** Settings of the image. */
  readonly settings: Partial<Settings>;
  /** What else made it. */
  readonly provenance: Partial<Provenance>;
  /** What made another program's image and cannot be repeated. */
  readonly otherProgram?: OtherProgram;
}

/** What made another program's image and is not available here. */
export interface OtherProgram {
  /** Its sampler, where it is not known here. */
  readonly sampler?: string;
  /** Its model. */
  readonly model?: string;
  /** That model's hash, as that program computes it. */
  readonly modelHash?: string;
  /** Names of its settings that have no counterpart here. */
  readonly unsupported?: readonly string[];
}

/** Texts by the keys of their chunks. */
export type Texts = Readonly<Record<string, string>>;
type Keyed = NamedOption & { readonly key: string };

/** The options that an image records, in the table's order. */
const keyed = options.filter((option): option is Keyed =>
  option.key !== undefined
);
const imageOptions = keyed.filter(({ group }) => group === "image");
const otherOptions = keyed.filter(({ group }) => group !== "image");

/** Settings and provenance as text chunks by key. */
export function toText(
  settings: Settings,
  provenance: Provenance,
): Record<string, string> {
  const values: Readonly<Record<string, unknown>> = {
    ...settings,
    ...provenance,
  };
  const { modelHash, adapterHash, referenceHashes } = provenance;
  const { initImageHash, maskHash } = provenance;
  const hasIdentity = referenceHashes !== undefined;
  const recorded = keyed.filter((option) =>
    values[option.name] !== undefined &&
    !isLeftOut(option, values[option.name]) &&
    (hasIdentity || option.name !== "idScale")
  );
  return {
    software: `masterweaver ${version}`,
    ...Object.fromEntries(recorded.map(({ key, name }) => [
      key,
      String(values[name]),
    ])),
    model_hash: modelHash,
    ...adapterHash !== undefined && { adapter_hash: adapterHash },
    ...hasIdentity && { reference_hashes: referenceHashes.join(",") },
    ...initImageHash !== undefined && { init_image_hash: initImageHash },
    ...maskHash !== undefined && { mask_hash: maskHash },
    ...provenance.loraHashes && { lora_hashes: provenance.loraHashes },
    ...provenance.embeddingHashes && { ti_hashes: provenance.embeddingHashes },
    ...hashesText("controlnet_hashes", provenance.controlnetHashes),
    ...hashesText("control_image_hashes", provenance.controlImageHashes),
  };
}

function hashesText(key: string, hashes?: readonly string[]): Texts {
  return hashes === undefined ? {} : { [key]: hashes.join(",") };
}

/** Whether a setting has the value that it has without being given, and is recorded only otherwise. */
export function isLeftOut(
  { recordOnlyIfGiven, ...option }: NamedOption,
  value: unknown,
): boolean {
  return recordOnlyIfGiven === true && option.default !== undefined &&
    JSON.stringify(value) === JSON.stringify(option.default);
}

/**
 * Reads what text chunks record; the rest stays absent. From another program's
 * image it reads those settings in `parameters` that mean the same here.
 *
 * @param text chunks by key
 * @param name what messages call the file
 * @throws {MasterWeaverError} `bad-image` where they carry no settings, or a wrong value
 */
export function fromText(text: Texts, name: string): Recorded {
  if (!isOwnText(text)) return fromOtherProgram(text, name);
  const provenance = withoutUndefined({
    modelHash: text.model_hash || undefined,
    adapterHash: text.adapter_hash || undefined,
    loraHashes: text.lora_hashes || undefined,
    embeddingHashes: text.ti_hashes || undefined,
    referenceHashes: text.reference_hashes
      ? text.reference_hashes.split(",")
      : undefined,
    initImageHash: text.init_image_hash || undefined,
    maskHash: text.mask_hash || undefined,
    controlnetHashes: text.controlnet_hashes?.split(","),
    controlImageHashes: text.control_image_hashes?.split(","),
  });
  return {
    settings: read(imageOptions, text, name),
    provenance: { ...read(otherOptions, text, name), ...provenance },
  };
}

/** Keys of other programs' settings that mean the same here. */
const SHARED = new Set(
  "prompt negative_prompt prompt_syntax clip_skip steps guidance_scale seed width height sampler schedule"
    .split(" "),
);

function fromOtherProgram({ parameters = "" }: Texts, name: string): Recorded {
  const { text, others: more, pairs } = readParameters(parameters);
  const pass = otherSecondPass(pairs);
  if (!/^\d+$/.test(text.steps ?? "")) {
    throw new MasterWeaverError(
      "bad-image",
      `Cannot repeat ${name}: it carries no settings; give a PNG or JPEG that this command made`,
    );
  }
  const isKnownRng = table.rng.type.fault(text.rng) === undefined;
  const { sampler: theirs, schedule, ...others } = text;
  const sampler = sharedSampler(theirs, schedule);
  const all = { ...others, ...sampler };
  const shared = Object.fromEntries(
    Object.entries(all).filter(([key]) =>
      SHARED.has(key) || (key === "rng" && isKnownRng)
    ),
  );
  const unsupported = more
    .filter(([name]) => !isHarmless(name) && !pass?.names.has(name))
    .map(([name]) => name);
  if (text.rng !== undefined && !isKnownRng) unsupported.push("RNG");
  if (schedule !== undefined && sampler === undefined && theirs === undefined) {
    unsupported.push("Schedule type");
  }
  const { model, model_hash: modelHash } = text;
  return {
    settings: {
      // Programs that write this text read prompts as the web UI does.
      ...!isOwnText(text) && { promptSyntax: "a1111" as const },
      ...read(imageOptions, { ...shared, ...pass?.text }, name),
    },
    provenance: {},
    otherProgram: withoutUndefined({
      sampler: sampler === undefined ? theirs : undefined,
      model,
      modelHash,
      unsupported: unsupported.length > 0
        ? [...new Set(unsupported)]
        : undefined,
    }),
  };
}

/**
 * The sampler and schedule that another program names, where they are known here and
 * fit each other.
 */
function sharedSampler(
  sampler: string | undefined,
  schedule: string | undefined,
): { readonly sampler: string; readonly schedule?: string } | undefined {
  if (sampler === undefined || samplerFault(sampler) !== undefined) return;
  if (schedule === undefined) return { sampler };
  if (scheduleFault(schedule) !== undefined) return;
  const chosen = isAutomatic(schedule)
    ? automaticSchedule(findSampler(sampler).entry.name)
    : schedule;
  return { sampler, ...chosen !== undefined && { schedule: chosen } };
}

/** Whether another program's setting changes nothing. */
function isHarmless(name: string): boolean {
  return name === "User" || /^(Lora |TI )?[Hh]ashes$/.test(name);
}

/**
 * Reads the options that a text has.
 *
 * @throws {MasterWeaverError} `bad-image` naming the key, or the option, and the file
 */
function read(
  wanted: readonly Keyed[],
  text: Texts,
  name: string,
): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = {};
  for (const option of wanted) {
    const value = text[option.key];
    if (value !== undefined) values[option.name] = valueOf(option, value, name);
  }
  return values;
}

function valueOf({ name, key, type }: Keyed, text: string, file: string) {
  const wrong = (why: string) =>
    new MasterWeaverError(
      "bad-image",
      `The settings in ${file} are not valid: ${why}`,
    );
  const value = type.parse(text);
  if (value === undefined) {
    const expected = type.takes(text).replace(/^\w+ /, "");
    throw wrong(
      `${key} is ${JSON.stringify(text.slice(0, 40))}, expected ${expected}`,
    );
  }
  const fault = type.fault(value);
  // As it was given: a number of many digits is shown as Infinity.
  if (fault !== undefined) {
    const given = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    throw wrong(`Option ${name} must be ${fault}, got ${printable(given)}`);
  }
  return value;
}

/** Keys that an image records only where they were asked for. */
const ifAsked = new Set([
  "software",
  "init_image_hash",
  "mask_hash",
  "lora_hashes",
  "ti_hashes",
  "controlnet_hashes",
  "control_image_hashes",
  ...keyed.filter(({ recordOnlyIfGiven }) => recordOnlyIfGiven).map(({ key }) =>
    key
  ),
]);

/**
 * Warns of what an image to repeat does not say about how it was made, and of
 * what is used instead.
 *
 * @param recorded what was read from the image
 * @param said the image's chunks
 * @param used the chunks of the image that is made now
 * @param typed keys that the command line overrides
 * @returns no line or one
 */
export function missingWarnings(
  { otherProgram, settings }: Recorded,
  said: Texts,
  used: Texts,
  typed: ReadonlySet<string>,
): string[] {
  const isSaid = (key: string) =>
    otherProgram
      ? !SHARED.has(key) ||
        sharedOptions.some((option) =>
          option.key === key && option.name in settings
        )
      : Object.hasOwn(said, key) && (said[key] !== "" || mayBeEmpty.has(key));
  const missing = Object.keys(used).filter((key) =>
    !isSaid(key) && !ifAsked.has(key) && !typed.has(key)
  );
  if (missing.length === 0) return [];
  const values = missing.map((key) => {
    const value = used[key] === "" ? '""' : used[key];
    return printable(
      key.includes("hash")
        ? value.split(",").map((hash) => hash.slice(0, 10)).join(",")
        : value.slice(0, 60),
    );
  });
  return [
    `The image does not say its ${missing.join(", ")}: ${values.join(", ")} ${
      missing.length === 1 ? "is" : "are"
    } used`,
  ];
}

const sharedOptions = imageOptions.filter(({ key }) => SHARED.has(key));
/** Keys whose value may be empty. */
const mayBeEmpty = new Set(["prompt", "negative_prompt"]);
