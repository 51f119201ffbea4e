/**
 * Converts everything that made an image to text chunks of its PNG, and back.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { version } from "../base/version.ts";
import { fromParameters, SAMPLER } from "./parameters_text.ts";
import type {
  CommandChoices,
  IdentityChoices,
  LoadChoices,
  Settings,
} from "./settings.ts";
import { type NamedOption, options, table } from "./table.ts";
import { checkValue } from "./types.ts";
import { withoutUndefined } from "./options.ts";

/** What made an image besides its settings; some is recorded only if it was asked for. */
export interface Provenance
  extends
    Pick<CommandChoices, "model">,
    Pick<LoadChoices, "dtype" | "tune">,
    Partial<Pick<LoadChoices, "adapter">>,
    Pick<IdentityChoices, "parse" | "requireFace">,
    Partial<Pick<IdentityChoices, "align" | "face" | "fit">> {
  /** The model's hash, identity adapter included. */
  readonly modelHash: string;
  /** The hash of the identity adapter's header. */
  readonly adapterHash: string;
  /** SHA-256 of the reference photos' files, in order. */
  readonly referenceHashes: readonly string[];
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
  /** Its sampler, where it is not DDIM. */
  readonly sampler?: string;
  /** Its model. */
  readonly model?: string;
  /** That model's hash, as that program computes it. */
  readonly modelHash?: string;
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
  const recorded = keyed.filter(({ name }) => values[name] !== undefined);
  return {
    software: `masterweaver ${version}`,
    ...Object.fromEntries(recorded.map(({ key, name }) => [
      key,
      String(values[name]),
    ])),
    model_hash: provenance.modelHash,
    adapter_hash: provenance.adapterHash,
    reference_hashes: provenance.referenceHashes.join(","),
  };
}

/** Whether text chunks are from an image that this program made. */
export function isOwnText(text: Texts): boolean {
  return text.software?.startsWith("masterweaver ") ?? false;
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
    modelHash: text.model_hash,
    adapterHash: text.adapter_hash,
    referenceHashes: text.reference_hashes?.split(","),
  });
  return {
    settings: read(imageOptions, text, name),
    provenance: { ...read(otherOptions, text, name), ...provenance },
  };
}

/** Keys of other programs' settings that mean the same here. */
const SHARED = new Set(
  "prompt negative_prompt steps guidance_scale seed width height".split(" "),
);

function fromOtherProgram({ parameters = "" }: Texts, name: string): Recorded {
  const text = fromParameters(parameters);
  if (!/^\d+$/.test(text.steps ?? "")) {
    throw new MasterWeaverError(
      "bad-image",
      `Cannot repeat ${name}: it carries no settings; give a PNG or JPEG that this command made`,
    );
  }
  const shared = Object.fromEntries(
    Object.entries(text).filter(([key, value]) =>
      SHARED.has(key) ||
      (key === "rng" && table.rng.type.fault(value) === undefined)
    ),
  );
  const { sampler, model, model_hash: modelHash } = text;
  return {
    settings: read(imageOptions, shared, name),
    provenance: {},
    otherProgram: withoutUndefined({ sampler, model, modelHash }),
  };
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
  try {
    checkValue(name, type, value);
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    throw wrong(error.message);
  }
  return value;
}

/** Keys that an image records only where they were asked for. */
const ifAsked = new Set([
  "software",
  ...keyed.filter(({ recordOnlyIfGiven }) => recordOnlyIfGiven).map(({ key }) =>
    key
  ),
]);

/**
 * Warns of what an image to repeat does not say about how it was made, and of
 * what is used instead.
 *
 * @param recorded the image's own chunks
 * @param used the chunks of the image that is made now
 * @param typed keys that the command line overrides
 * @returns no line or one
 */
export function missingWarnings(
  recorded: Texts,
  used: Texts,
  typed: ReadonlySet<string>,
): string[] {
  const missing = Object.keys(used).filter((key) =>
    !Object.hasOwn(recorded, key) && !ifAsked.has(key) && !typed.has(key)
  );
  if (missing.length === 0) return [];
  const values = missing.map((key) => {
    const value = used[key] === "" ? '""' : used[key];
    return key.includes("hash")
      ? value.split(",").map((hash) => hash.slice(0, 10)).join(",")
      : value.slice(0, 60);
  });
  return [
    `The image does not say its ${missing.join(", ")}: ${values.join(", ")} ${
      missing.length === 1 ? "is" : "are"
    } used`,
  ];
}

/**
 * Warns of what is not repeated of another program's image.
 *
 * @param name what messages call the image
 * @param used the model that is used instead
 */
export function otherProgramWarnings(
  { sampler, model, modelHash }: OtherProgram,
  name: string,
  used: string,
): string[] {
  const theirs = [
    model === undefined ? "a model it does not name" : `the model ${model}`,
    modelHash && `(${modelHash})`,
  ];
  const warnings = [
    `The image will differ: another program made ${name}, with ${
      theirs.filter(Boolean).join(" ").slice(0, 130)
    } and without these references; its prompts, steps, CFG scale, seed and size are repeated with ${used}`,
  ];
  if (sampler !== undefined) {
    warnings.push(
      `The image will differ: it was made with the sampler ${
        sampler.slice(0, 60)
      }, this is ${SAMPLER}`,
    );
  }
  return warnings;
}
