/**
 * A made-up vocabulary with the form and size of CLIP's: every byte, alone and
 * at a word's end, then pairs of them, then the two marks.
 *
 * @module
 */

/** Files of a tokenizer. */
export interface MadeTokenizer {
  /** `vocab.json`: numbers by token. */
  readonly vocab: Readonly<Record<string, number>>;
  /** `merges.txt`. */
  readonly merges: string;
}

/**
 * Makes a tokenizer.
 *
 * @param size tokens, from 514 to 66050
 */
export function makeTokenizer(size: number): MadeTokenizer {
  const letters = byteSymbols();
  const ends = letters.map((letter) => `${letter}</w>`);
  const pairs = letters.flatMap((left) =>
    ends.map((right) => [left, right] as const)
  ).slice(0, size - 2 * letters.length - 2);
  const tokens = [
    ...letters,
    ...ends,
    ...pairs.map(([left, right]) => left + right),
    "<|startoftext|>",
    "<|endoftext|>",
  ];
  const lines = pairs.map((pair) => pair.join(" "));
  return {
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: ["#version: 0.2", ...lines, ""].join("\n"),
  };
}

/** What byte-level BPE writes for the bytes: printable ones as they are. */
function byteSymbols(): string[] {
  const isShown = (byte: number) =>
    byte >= 33 && byte <= 126 || byte >= 161 && byte !== 173;
  let others = 0;
  return Array.from(
    { length: 256 },
    (_, byte) => String.fromCodePoint(isShown(byte) ? byte : 256 + others++),
  );
}
