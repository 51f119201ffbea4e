/**
 * What LoRA files call the factors of a layer: kohya's sd-scripts, which most tools
 * write and read, and diffusers with peft. Both directions.
 *
 * @module
 */

/** Which of a layer's tensors one is. */
export type LoraFactor = "down" | "up" | "alpha";

/** A tensor of a file. */
export interface LoraKey {
  /** The layer's path in the UNet. */
  readonly path: string;
  /** Its place there. */
  readonly factor: LoraFactor;
}

const KOHYA = "lora_unet_";
const DIFFUSERS = "unet.";

/** kohya's names: the path with `_` for each dot. */
export function kohyaKey({ path, factor }: LoraKey): string {
  const layer = `${KOHYA}${path.replaceAll(".", "_")}`;
  return factor === "alpha"
    ? `${layer}.alpha`
    : `${layer}.lora_${factor}.weight`;
}

/** The names that diffusers and peft write; they have none for alpha. */
export function diffusersKey(
  { path, factor }: LoraKey & { readonly factor: "down" | "up" },
): string {
  return `${DIFFUSERS}${path}.lora_${factor === "down" ? "A" : "B"}.weight`;
}

/** Endings that stand for a factor, of kohya, peft, and diffusers before it used peft. */
const ENDINGS: readonly (readonly [ending: string, factor: LoraFactor])[] = [
  [".lora_down.weight", "down"],
  [".lora_up.weight", "up"],
  [".alpha", "alpha"],
  [".lora_A.weight", "down"],
  [".lora_B.weight", "up"],
  [".lora_A.default.weight", "down"],
  [".lora_B.default.weight", "up"],
  [".lora.down.weight", "down"],
  [".lora.up.weight", "up"],
  ["_lora.down.weight", "down"],
  ["_lora.up.weight", "up"],
];

/** What may stand before a layer's path. */
const PREFIXES = ["base_model.model.unet.", "base_model.model.", "unet.", ""];

/** Reads the names of a UNet's LoRA, of every kind. */
export class LoraNames {
  readonly #paths: ReadonlySet<string>;
  /** By kohya's name, whose underscores do not say where the dots were. */
  readonly #byKohya: ReadonlyMap<string, string>;

  /**
   * Names of a UNet's layers.
   *
   * @param paths of the layers that a LoRA may change
   */
  constructor(paths: Iterable<string>) {
    this.#paths = new Set(paths);
    this.#byKohya = new Map(
      [...this.#paths].map((path) => [KOHYA + path.replaceAll(".", "_"), path]),
    );
  }

  /** What a tensor is; undefined where no layer has that name. */
  parse(name: string): LoraKey | undefined {
    const found = ENDINGS.find(([ending]) => name.endsWith(ending));
    if (!found) return undefined;
    const [ending, factor] = found;
    const path = this.#pathOf(name.slice(0, -ending.length));
    return path === undefined ? undefined : { path, factor };
  }

  #pathOf(layer: string): string | undefined {
    const kohya = this.#byKohya.get(layer);
    if (kohya !== undefined) return kohya;
    // diffusers' attention processors had `attn1.processor.to_out`.
    const plain = layer.replace(".processor.", ".").replace(
      /\.to_out$/,
      "$&.0",
    );
    for (const prefix of PREFIXES) {
      if (!plain.startsWith(prefix)) continue;
      const path = plain.slice(prefix.length);
      if (this.#paths.has(path)) return path;
    }
    return undefined;
  }
}
