/**
 * Prompts of the editing-direction loss: of a person, and of the same person
 * edited.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { RandomStream } from "./random.ts";

/** Where the words of a template or an edit go. */
const PLACE = "{}";

/** Sentences around a person. */
export const TEMPLATES: readonly string[] = [
  "a {}",
  "a photo of a {}",
  "a rendering of a {}",
  "the photo of a {}",
  "a photo of a clean {}",
  "a photo of the cool {}",
  "a bright photo of the {}",
  "a cropped photo of a {}",
  "a photo of the {}",
  "a good photo of the {}",
  "a photo of one {}",
  "a rendition of the {}",
  "a photo of the clean {}",
  "a rendition of a {}",
  "a photo of a nice {}",
  "a good photo of a {}",
  "a photo of the nice {}",
  "a photo of a cool {}",
];

/** Words for a person. */
export const PERSON_WORDS: readonly string[] = [
  "man",
  "woman",
  "male",
  "female",
  "girl",
  "boy",
];

/** Edits of a person: hair, expression, age, glasses, hat, beard. */
export const EDITS: readonly string[] = [
  "{} with bangs",
  "{} with curly hair",
  "{} with wavy hair",
  "{} with straight hair",
  "{} with short hair",
  "{} with long hair",
  "{} with bob-cut hair",
  "{} with afro hair",
  "{} with dreads",
  "{} with black hair",
  "{} with brown hair",
  "{} with blond hair",
  "{} with red hair",
  "{} with grey hair",
  "{} with blue hair",
  "{} with green hair",
  "{} with purple hair",
  "{} with pink hair",
  "{} with rainbow hair",
  "smiling {}",
  "laughing {}",
  "happy {}",
  "angry {}",
  "sad {}",
  "crying {}",
  "surprised {}",
  "old {}",
  "young {}",
  "bald {}",
  "chubby {}",
  "{} with eyeglasses",
  "{} wearing eyeglasses",
  "{} with sunglasses",
  "{} wearing sunglasses",
  "{} wearing a red hat",
  "{} wearing a blue hat",
  "{} wearing a santa hat",
  "{} wearing a green headband",
  "{} with makeup",
  "{} with a mustache",
  "{} with a goatee",
  "{} with a beard",
];

/** Two prompts of one sample. */
export interface EditPrompt {
  /** The person as it is. */
  readonly plain: string;
  /** The person edited. */
  readonly edited: string;
}

/**
 * Reads edits from a text, one a line; empty lines do not count.
 *
 * @param name what messages call it
 * @throws {MasterWeaverError} `bad-data` for a line without exactly one `{}`, and
 *   for a text without any line
 */
export function parseEdits(text: string, name: string): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  lines.forEach((line, i) => {
    if (line === "" || line.split(PLACE).length === 2) return;
    throw new MasterWeaverError(
      "bad-data",
      `Line ${i + 1} of ${name} is ${
        JSON.stringify(line.slice(0, 60))
      }, expected an edit with ${PLACE} once, such as "smiling ${PLACE}"`,
    );
  });
  const edits = lines.filter((line) => line !== "");
  if (edits.length > 0) return edits;
  throw new MasterWeaverError(
    "bad-data",
    `${name} has no edits: write one a line, such as "smiling ${PLACE}"`,
  );
}

/**
 * Draws a batch's prompts. Templates, words and edits each come without repetition
 * until their list is used up, which the six words are at the seventh sample; from
 * there on any may come.
 *
 * @param seed the training's
 * @param step the batch's
 * @param batch samples of the batch, of all ranks together
 */
export function drawEditPrompts(
  seed: number,
  step: number,
  batch: number,
  edits: readonly string[] = EDITS,
): EditPrompt[] {
  const draw = (purpose: string, list: readonly string[]) =>
    drawDistinct(new RandomStream(seed, purpose, step), list, batch);
  const templates = draw("edit template", TEMPLATES);
  const words = draw("edit word", PERSON_WORDS);
  const chosen = draw("edit", edits);
  return templates.map((template, i) => ({
    plain: fill(template, words[i]),
    edited: fill(template, fill(chosen[i], words[i])),
  }));
}

/** Puts words in their place; a function, as a text's `$` would mean something. */
function fill(sentence: string, words: string): string {
  return sentence.replace(PLACE, () => words);
}

function drawDistinct(
  stream: RandomStream,
  list: readonly string[],
  count: number,
): string[] {
  const order = stream.permutation(list.length);
  return Array.from(
    { length: count },
    (_, i) => i < list.length ? list[order[i]] : stream.choice(list),
  );
}
