/**
 * Says what is repeated of another program's image, and what is not.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import { SAMPLER } from "./parameters_text.ts";
import type { Settings } from "./settings.ts";
import type { Recorded } from "./settings_text.ts";
import { table } from "./table.ts";

/** What other programs call the settings that mean the same here. */
const NAMES: readonly (readonly [option: keyof Settings, name: string])[] = [
  ["prompt", "prompt"],
  ["negativePrompt", "negative prompt"],
  ["clipSkip", "clip skip"],
  ["steps", "steps"],
  ["guidanceScale", "CFG scale"],
  ["seed", "seed"],
  ["width", "size"],
  ["rng", "RNG"],
  ["sampler", "sampler"],
  ["schedule", "schedule"],
  ["hiresStrength", "second pass"],
];
/** More than this many names, or signs, only make a line hard to read. */
const MOST = 12;

/**
 * Warns of what is not repeated of another program's image.
 *
 * @param recorded what was read from it
 * @param name what messages call the image
 * @param used the model that is used instead
 * @param typed keys that the command line overrides
 * @param hasReferences whether there are references now
 * @returns no line where the image is our own
 */
export function otherProgramWarnings(
  { settings, otherProgram }: Pick<Recorded, "settings" | "otherProgram">,
  name: string,
  used: string,
  typed: ReadonlySet<string>,
  hasReferences = true,
): string[] {
  if (!otherProgram) return [];
  const { sampler, model, modelHash, unsupported = [] } = otherProgram;
  const repeated = NAMES.filter(([option]) =>
    settings[option] !== undefined && settings[option] !== "" &&
    !typed.has(String(table[option].key))
  ).map(([, name]) => name);
  const theirs = [
    model === undefined ? "a model it does not name" : `the model ${model}`,
    modelHash && `(${modelHash})`,
  ];
  const differs = (why: string) => `The image will differ: ${why}`;
  const warnings = [differs(
    `another program made ${name}, with ${
      brief(theirs.filter(Boolean).join(" "))
    }${hasReferences ? " and without these references" : ""}; ${
      repeated.length === 0 ? "nothing else of it" : `its ${inWords(repeated)}`
    } ${repeated.length > 1 ? "are" : "is"} repeated with ${used}`,
  )];
  if (sampler !== undefined) {
    warnings.push(differs(
      `it was made with the sampler ${
        brief(sampler.slice(0, 60))
      }, which is not known here; this is ${SAMPLER}`,
    ));
  }
  const signsIn = settings.promptSyntax === "a1111" ? compositions : signsOf;
  const signs = (["prompt", "negativePrompt"] as const).flatMap((option) =>
    typed.has(String(table[option].key)) ? [] : signsIn(settings[option] ?? "")
  );
  const faults = [
    unsupported.length > 0 && `not supported here: ${some(unsupported)}`,
    signs.length > 0 && `read as plain words: ${some(signs)}`,
  ].filter(Boolean);
  if (faults.length > 0) warnings.push(differs(faults.join("; ")));
  return warnings;
}

/** Patterns of what other programs do not read as words; each takes linear time. */
const SIGNS: readonly RegExp[] = [
  /<(?:lora|lyco|hypernet):[^<>]{0,80}>/g,
  // Round brackets strengthen words, square ones weaken them.
  /(?<!\\)\([^()[\]]{0,40}\)?|(?<!\\)\[[^()[\]]{0,40}\]?/g,
  /\b(?:BREAK|AND)\b/g,
];

/**
 * Warns of prompts that are composed of several, which are read as one here.
 *
 * @param prompts in the syntax `a1111`
 * @returns no line or one
 */
export function compositionWarnings(prompts: readonly string[]): string[] {
  const signs = prompts.flatMap(compositions);
  return signs.length > 0 ? [`Read as plain words: ${some(signs)}`] : [];
}

/** What other programs do not read as words: tags, weights and breaks. */
function signsOf(prompt: string): string[] {
  return SIGNS.flatMap((pattern) => prompt.match(pattern) ?? []);
}

/** What other programs compose prompts by, and this one reads as a word. */
function compositions(prompt: string): string[] {
  return prompt.match(/\bAND\b/g) ?? [];
}

/** Some of many texts, each once. */
function some(texts: readonly string[]): string {
  const all = [...new Set(texts)];
  const left = all.length - MOST;
  return all.slice(0, MOST).map((text) => brief(text.slice(0, 40))).join(", ") +
    (left > 0 ? ` and ${left} more` : "");
}

function inWords(names: readonly string[]): string {
  return names.length === 1
    ? names[0]
    : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
