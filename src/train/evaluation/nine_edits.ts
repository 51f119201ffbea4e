/**
 * The edits that an evaluation asks for.
 *
 * @module
 */

/**
 * Nine of the reference's edits that exclude each other in what they change, the
 * usual ones first. An image is made from one of the first; all nine compete for
 * it. Five kinds come first: expression, hair colour, hat, place, hair style.
 */
export const NINE_EDITS: readonly string[] = [
  "smiling {}",
  "{} with red hair",
  "{} wearing a santa hat",
  "{} in the snow",
  "bald {}",
  "{} wearing sunglasses",
  "{} with curly hair",
  "{} with blond hair",
  "angry {}",
];

/** The sentence around an edited person. */
const TEMPLATE = "a photo of a {}";

/** What a person of unknown gender is called. */
export const PERSON = "person";

/** What a person is called in prompts. */
export function wordFor(gender: string | undefined): string {
  return gender === "male" ? "man" : gender === "female" ? "woman" : PERSON;
}

/**
 * The prompt of an edit.
 *
 * @param edit with `{}` where the person's word goes
 * @example
 * ```ts
 * import { editPrompt } from "./nine_edits.ts";
 *
 * console.log(editPrompt("bald {}", "man")); // a photo of a bald man
 * ```
 */
export function editPrompt(edit: string, word: string): string {
  return TEMPLATE.replace("{}", edit.replace("{}", word));
}
