/**
 * What stands in a prompt beside its words: tags such as `<lora:name:0.8>`, and
 * comments.
 *
 * @module
 */

/** A tag of a prompt: an additional network that it asks for. */
export interface ExtraNetwork {
  /** What kind of network, such as `lora`. */
  readonly kind: string;
  /** Its name, such as its file without the extension. */
  readonly name: string;
  /** What follows, each after a colon: scales, or `key=value`. */
  readonly args: readonly string[];
}

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu;

/**
 * Takes the tags out of a prompt.
 *
 * @example
 * ```ts
 * import { splitExtraNetworks } from "./extra_networks.ts";
 *
 * const { text, extraNetworks } = splitExtraNetworks("a cat <lora:fur:0.8>");
 * console.log(text, extraNetworks); // "a cat " [ { kind: "lora", name: "fur", args: [ "0.8" ] } ]
 * ```
 */
export function splitExtraNetworks(
  prompt: string,
): { text: string; extraNetworks: ExtraNetwork[] } {
  const extraNetworks: ExtraNetwork[] = [];
  // Behind the last bracket that closes, every one that opens would be searched to the end.
  const closed = prompt.lastIndexOf(">") + 1;
  const without = prompt.slice(0, closed).replace(
    TAG,
    (_, kind: string, rest: string) => {
      const [name, ...args] = rest.split(":");
      extraNetworks.push({ kind, name, args });
      return "";
    },
  );
  return { text: without + prompt.slice(closed), extraNetworks };
}

/** A prompt without what stands between `#` and the end of its line. */
export function withoutComments(prompt: string): string {
  return prompt.replace(/#[^\n]*(\n|$)/g, "\n");
}
