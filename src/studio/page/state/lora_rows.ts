/**
 * The option `lora` as rows of a name and a strength each: `style=0.8;film=-0.3`.
 *
 * @module
 */
import { parseLoras } from "../../../options/lora_text.ts";

/** A LoRA as it is typed. */
export interface LoraRow {
  /** Its name. */
  readonly name: string;
  /**
   * What follows the equals sign: a scale, and where somebody types them the text
   * encoder's, `0.8/0.5`, and block weights, `0.8:1,0,…`.
   */
  readonly scale: string;
}

/** The rows of a text, whatever is typed as a strength. */
export function loraRows(text: string): LoraRow[] {
  return text.split(";").filter((entry) => entry.trim() !== "").map((entry) => {
    const at = entry.lastIndexOf("=");
    return at < 0
      ? { name: entry.trim(), scale: "1" }
      : { name: entry.slice(0, at).trim(), scale: entry.slice(at + 1) };
  });
}

/** The text of rows. */
export function loraText(rows: readonly LoraRow[]): string {
  return rows.map(({ name, scale }) => {
    // What separates LoRAs would make two of one.
    return `${name}=${scale.replaceAll(/[;=]/g, "")}`;
  }).join(";");
}

/** Whether what is typed is no strength. */
export function isWrongScale({ scale }: LoraRow): boolean {
  const [read, ...more] = parseLoras(`name=${scale.trim()}`) ?? [];
  return read?.name !== "name" || more.length > 0;
}

/** Whether a LoRA of the text has a wrong strength, or there are too many. */
export function isWrongLoraText(text: string): boolean {
  return loraRows(text).some(isWrongScale) || parseLoras(text) === undefined;
}
