/**
 * What LoRA files call a layer's tensors: kohya's sd-scripts, which most tools
 * write and read, LyCORIS, diffusers before and since it uses peft, and peft.
 * The names that we write ourselves, and all that are read.
 *
 * @module
 */

/** The networks of a model that a LoRA changes. */
export type LoraNetwork = "unet" | "text_encoder";

/** Which of a layer's tensors one is, by LyCORIS's names for all but the first. */
export type LoraFactor =
  | "down"
  | "up"
  | "mid"
  | "alpha"
  | "scalar"
  | "hada_w1_a"
  | "hada_w1_b"
  | "hada_t1"
  | "hada_w2_a"
  | "hada_w2_b"
  | "hada_t2"
  | "lokr_w1"
  | "lokr_w1_a"
  | "lokr_w1_b"
  | "lokr_w2"
  | "lokr_w2_a"
  | "lokr_w2_b"
  | "lokr_t2"
  | "ia3"
  | "on_input"
  | "ia3_l"
  | "diff"
  | "diff_b"
  | "dora_scale";

/** A tensor of a file. */
export interface LoraKey {
  /** The layer's path in its network. */
  readonly path: string;
  /** Its place there. */
  readonly factor: LoraFactor;
}

const DIFFUSERS = "unet.";

/** kohya's names: the path with `_` for each dot. */
export function kohyaKey(
  { path, factor, network = "unet" }: LoraKey & {
    readonly factor: "down" | "up" | "alpha";
    readonly network?: LoraNetwork;
  },
): string {
  const [prefix] = PREFIXES[network].flat;
  const layer = `${prefix}${path.replaceAll(".", "_")}`;
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

/** Endings of LyCORIS, which peft took over, that are called what they are. */
const SAME: readonly LoraFactor[] = [
  "alpha",
  "scalar",
  "hada_w1_a",
  "hada_w1_b",
  "hada_t1",
  "hada_w2_a",
  "hada_w2_b",
  "hada_t2",
  "lokr_w1",
  "lokr_w1_a",
  "lokr_w1_b",
  "lokr_w2",
  "lokr_w2_a",
  "lokr_w2_b",
  "lokr_t2",
  "on_input",
  "ia3_l",
  "diff",
  "diff_b",
  "dora_scale",
];

/** Endings that stand for a factor; peft's may have the adapter's name, `default`. */
const ENDINGS: readonly (readonly [ending: string, factor: LoraFactor])[] = [
  [".lora_down.weight", "down"],
  [".lora_up.weight", "up"],
  [".lora_mid.weight", "mid"],
  [".lora_A.weight", "down"],
  [".lora_B.weight", "up"],
  [".lora_A.default.weight", "down"],
  [".lora_B.default.weight", "up"],
  // diffusers before it used peft
  [".lora.down.weight", "down"],
  [".lora.up.weight", "up"],
  [".lora_linear_layer.down.weight", "down"],
  [".lora_linear_layer.up.weight", "up"],
  ["_lora.down.weight", "down"],
  ["_lora.up.weight", "up"],
  [".w_norm", "diff"],
  [".b_norm", "diff_b"],
  [".lora_magnitude_vector", "dora_scale"],
  [".lora_magnitude_vector.weight", "dora_scale"],
  [".lora_magnitude_vector.default.weight", "dora_scale"],
  ...SAME.map((name) => [`.${name}`, name] as const),
  ...SAME.map((name) => [`.${name}.default`, name] as const),
];

/** What may stand before a layer's path with dots, and before one with `_`, kohya's first. */
const PREFIXES: Readonly<
  Record<LoraNetwork, { readonly dotted: string[]; readonly flat: string[] }>
> = {
  unet: {
    dotted: ["base_model.model.unet.", "base_model.model.", "unet.", ""],
    flat: ["lora_unet_", "lycoris_unet_", "lycoris_"],
  },
  text_encoder: {
    dotted: [
      "base_model.model.text_encoder.",
      "base_model.model.",
      "text_encoder.",
      "",
    ],
    flat: ["lora_te_", "lycoris_te_", "lycoris_"],
  },
};

/** Reads the names of a network's layers, of every kind. */
export class LoraNames {
  readonly #network: LoraNetwork;
  readonly #paths: ReadonlySet<string>;
  /** By the name whose underscores do not say where the dots were. */
  readonly #byFlatName: ReadonlyMap<string, string>;

  /**
   * Names of a network's layers.
   *
   * @param paths of the layers that a LoRA may change
   */
  constructor(paths: Iterable<string>, network: LoraNetwork = "unet") {
    this.#network = network;
    this.#paths = new Set(paths);
    this.#byFlatName = new Map(
      [...this.#paths].map((path) => [path.replaceAll(".", "_"), path]),
    );
  }

  /** What a tensor is; undefined where no layer has that name. */
  parse(name: string): LoraKey | undefined {
    const found = ENDINGS.find(([ending]) => name.endsWith(ending));
    const key = found && this.#keyOf(name, ...found);
    // LyCORIS's (IA)³ calls its factors as the layer does: the last resort.
    return key ?? this.#keyOf(name, ".weight", "ia3");
  }

  #keyOf(
    name: string,
    ending: string,
    factor: LoraFactor,
  ): LoraKey | undefined {
    if (!name.endsWith(ending)) return undefined;
    const layer = name.slice(0, -ending.length);
    const path = this.#flat(layer) ??
      (factor === "ia3" ? undefined : this.#dotted(layer));
    return path === undefined ? undefined : { path, factor };
  }

  /** The path of a name with `_` for each dot. */
  #flat(layer: string): string | undefined {
    for (const prefix of PREFIXES[this.#network].flat) {
      if (!layer.startsWith(prefix)) continue;
      const path = this.#byFlatName.get(layer.slice(prefix.length));
      if (path !== undefined) return path;
    }
    return undefined;
  }

  /** The path of a name with dots. */
  #dotted(layer: string): string | undefined {
    // diffusers' attention processors had `attn1.processor.to_out`, and in the
    // text encoder `self_attn.to_q`, where the layer is `self_attn.q_proj`.
    const plain = layer.replace(".processor.", ".")
      .replace(/(attn[12])\.to_out$/, "$1.to_out.0")
      .replace(/(self_attn)\.to_([qkv])$/, "$1.$2_proj")
      .replace(/(self_attn)\.to_out$/, "$1.out_proj");
    for (const prefix of PREFIXES[this.#network].dotted) {
      if (!plain.startsWith(prefix)) continue;
      const path = plain.slice(prefix.length);
      // transformers 5 has no `text_model` of its own.
      for (const full of [path, `text_model.${path}`]) {
        if (this.#paths.has(full)) return full;
      }
    }
    return undefined;
  }
}
