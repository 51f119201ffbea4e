/**
 * The edits that an evaluation asks for.
 *
 * @module
 */

/**
 * Nine edits of different meanings, as the reference and the mini model's recipe
 * have them. An image is made from one of the first; all nine compete for it.
 *
 * Which script gave the shipped adapter's published figures is not known: these
 * are edits with which PyTorch gives them again, on the recipe's held-out people.
 */
export const NINE_EDITS: readonly string[] = [
  "smiling {}",
  "{} with red hair",
  "{} at night",
  "{} with blond hair",
  "bald {}",
  "{} wearing a santa hat",
  "{} in the snow",
  "{} wearing sunglasses",
  "{} with curly hair",
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
