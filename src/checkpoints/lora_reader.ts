/**
 * Reads LoRA files of any naming and kind as deltas of a model's weights.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { brief } from "../weights/brief.ts";
import type { TensorDelta } from "../weights/lora.ts";
import { listed } from "../weights/scope.ts";
import type { WeaveFile } from "../weights/weave.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  readFloats,
} from "./checkpoint.ts";
import { layerDeltas, type LoraFactors } from "./lora_layer.ts";
import { type LoraKey, LoraNames, type LoraNetwork } from "./lora_names.ts";
import { configRule, metadataRule, type ScaleRule } from "./lora_scale.ts";
import { openCheckpoint } from "./open.ts";

/** A LoRA whose file is open: see {@linkcode readLora}. */
export interface Lora {
  /** Its file's name without ending. */
  readonly name: string;
  /** What messages call the file. */
  readonly file: string;
}

/** The files of the networks that a LoRA changes. */
export type LoraTargets = Readonly<Record<LoraNetwork, WeaveFile>>;

/** What a LoRA does to each of them. */
export type LoraDeltas = Readonly<Record<LoraNetwork, readonly TensorDelta[]>>;

/** What is known of a LoRA beside its file. */
export interface ReadLoraOptions {
  /** The JSON of peft's `adapter_config.json`, which has the alpha of files that peft writes. */
  readonly config?: unknown;
}

/**
 * Opens a LoRA: reads the names, shapes and scales of its tensors. Their values
 * are read each time they are added to weights, so the source must stay
 * readable.
 *
 * It may be kohya's or diffusers', a LoCon, LoHa, LoKr or (IA)³ of LyCORIS, or
 * peft's, as safetensors or as PyTorch's file. Nothing in it is executed.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`
 * @example
 * ```ts no-eval
 * import { MasterWeaver, MemorySource, readLora } from "../core.ts";
 *
 * declare const weaver: MasterWeaver;
 * declare const options: Parameters<MasterWeaver["generate"]>[0];
 * const response = await fetch("loras/watercolour.safetensors");
 * const lora = await readLora(
 *   new MemorySource(await response.bytes(), "watercolour.safetensors"),
 * );
 * await weaver.generate({ ...options, loras: [{ lora, scale: 0.8 }] });
 * ```
 */
export async function readLora(
  source: ByteSource,
  { config }: ReadLoraOptions = {},
): Promise<Lora> {
  const file = await openCheckpoint(source);
  const numbers = new Map<CheckpointTensor, number>();
  for (const tensor of file.tensors.values()) {
    if (!/\.(alpha|scalar|on_input)$/.test(tensor.name)) continue;
    numbers.set(tensor, await numberOf(file.name, tensor));
  }
  return new LoraFile(file, numbers, config);
}

/** An opened LoRA. */
export class LoraFile implements Lora {
  readonly name: string;
  readonly #file: Checkpoint;
  readonly #numbers: ReadonlyMap<CheckpointTensor, number>;
  readonly #config: unknown;

  /** Called by {@linkcode readLora} alone. */
  constructor(
    file: Checkpoint,
    numbers: ReadonlyMap<CheckpointTensor, number>,
    config: unknown,
  ) {
    this.#file = file;
    this.#numbers = numbers;
    this.#config = config;
    this.name = stemOf(file.name);
  }

  /** What messages call the file. */
  get file(): string {
    return this.#file.name;
  }

  /**
   * What it does to the weights of a model.
   *
   * @throws {MasterWeaverError} `bad-checkpoint` where it is for another model, or no LoRA
   */
  deltas(targets: LoraTargets): LoraDeltas {
    const networks = ["unet", "text_encoder"] as const;
    const names = networks.map((network) => ({
      network,
      names: new LoraNames(changeable(targets[network]), network),
      layers: new Map<string, Partial<Record<string, CheckpointTensor>>>(),
    }));
    const unknown: string[] = [];
    for (const [name, tensor] of this.#file.tensors) {
      const found = keyIn(names, name);
      if (!found) {
        unknown.push(name);
        continue;
      }
      const { layers, key: { path, factor } } = found;
      const factors = layers.get(path) ?? {};
      if (factors[factor]) throw this.#twice(factors[factor], tensor);
      factors[factor] = tensor;
      layers.set(path, factors);
    }
    const count = names.reduce((sum, { layers }) => sum + layers.size, 0);
    if (unknown.length > 0 || count === 0) throw this.#foreign(unknown, count);
    return Object.fromEntries(
      names.map(({ network, layers }) => {
        const rule = this.#rule(network);
        return [
          network,
          [...layers].flatMap(([path, factors]) =>
            this.#layer(targets[network], path, factors, rule)
          ),
        ];
      }),
    ) as unknown as LoraDeltas;
  }

  /** What decides the scales of a network's layers that have no alpha. */
  #rule(network: LoraNetwork): ScaleRule {
    const { name, metadata } = this.#file;
    return this.#config === undefined
      ? metadataRule(name, metadata, network)
      : configRule(name, this.#config);
  }

  #layer(
    { tensors }: WeaveFile,
    path: string,
    factors: LoraFactors,
    rule: ScaleRule,
  ): TensorDelta[] {
    return layerDeltas({
      file: this.#file.name,
      path,
      shape: tensors.get(`${path}.weight`)!.shape,
      biasShape: tensors.get(`${path}.bias`)?.shape,
      factors,
      numbers: this.#numbers,
      rule,
    });
  }

  /** The error of a file with two names for one tensor. */
  #twice(first: CheckpointTensor, second: CheckpointTensor): Error {
    return badCheckpoint(
      this.#file.name,
      `tensors ${brief(first.name)} and ${
        brief(second.name)
      } stand for the same one of a layer; expected one of them`,
    );
  }

  /** The error of a file that has tensors with no place in the model. */
  #foreign(unknown: readonly string[], known: number): Error {
    const { name, tensors, metadata } = this.#file;
    const other = otherModel(unknown, metadata);
    const names = listed("unknown", unknown.map(brief));
    const what = other !== undefined
      ? `it is a LoRA of ${other}, expected one of Stable Diffusion 1.5`
      : known === 0
      ? "it is no LoRA of this model: expected tensors that belong to some of its layers"
      : `it is for another model, or of a kind that is not known here: ${known} layers are this model's`;
    return badCheckpoint(
      name,
      names === ""
        ? `${what}, got no tensors`
        : `${what}; of its ${tensors.size} tensors, ${names}`,
    );
  }
}

/** Paths of the layers that a LoRA can change: all that have a weight. */
function changeable({ tensors }: WeaveFile): string[] {
  return [...tensors.keys()].filter((name) => name.endsWith(".weight"))
    .map((name) => name.slice(0, -".weight".length));
}

/** The first network that knows a name. */
function keyIn<N extends { readonly names: LoraNames }>(
  networks: readonly N[],
  name: string,
): N & { readonly key: LoraKey } | undefined {
  for (const network of networks) {
    const key = network.names.parse(name);
    if (key) return { ...network, key };
  }
  return undefined;
}

/** Names that only other models' LoRAs have. */
const OTHER_MODELS: readonly (readonly [names: RegExp, model: string])[] = [
  [/^lora_te[12]_|^text_encoder_2\.|_transformer_blocks_[1-9]_/, "SDXL"],
  [/\.transformer_blocks\.[1-9]\.|^lora_unet_(in|out)put_blocks_/, "SDXL"],
  [
    /(^|\.|_)(double_blocks|single_blocks|single_transformer_blocks|joint_blocks)[._]/,
    "a model like Flux or SD 3",
  ],
  [/^(lora_)?transformer[._]/, "a model like Flux or SD 3"],
];

/** The model that a LoRA is of, where its names or its metadata say that it is another. */
function otherModel(
  names: readonly string[],
  metadata: Readonly<Record<string, string>>,
): string | undefined {
  const said = `${metadata.ss_base_model_version} ${
    metadata["modelspec.architecture"]
  }`;
  if (/sdxl|stable-diffusion-xl/i.test(said)) return "SDXL";
  if (/stable-diffusion-v2|sd_v2|sd_2/i.test(said)) {
    return "Stable Diffusion 2";
  }
  return OTHER_MODELS.find(([pattern]) =>
    names.some((name) => pattern.test(name))
  )?.[1];
}

/** The value of a tensor of one. */
async function numberOf(
  file: string,
  tensor: CheckpointTensor,
): Promise<number> {
  const { name, shape, dtype } = tensor;
  const count = shape.reduce((product, length) => product * length, 1);
  if (count !== 1) {
    throw badCheckpoint(
      file,
      `tensor ${brief(name)} has ${count} values, expected one number`,
    );
  }
  const value = await valueOf(tensor);
  if (value !== undefined && Number.isFinite(value)) return value;
  throw badCheckpoint(
    file,
    `tensor ${brief(name)} is ${
      value ?? `of type ${dtype}`
    }, expected a finite number`,
  );
}

/** A value of any type that a number may have. */
async function valueOf(tensor: CheckpointTensor): Promise<number | undefined> {
  if (/^(F|BF)/.test(tensor.dtype)) return (await readFloats(tensor))[0];
  const { buffer } = await tensor.read();
  const view = new DataView(buffer);
  switch (tensor.dtype) {
    case "BOOL":
    case "U8":
      return view.getUint8(0);
    case "I8":
      return view.getInt8(0);
    case "I16":
      return view.getInt16(0, true);
    case "I32":
      return view.getInt32(0, true);
    case "I64":
      return Number(view.getBigInt64(0, true));
  }
  return undefined;
}

/** `loras/watercolour.v2.safetensors` → `watercolour.v2` */
function stemOf(path: string): string {
  const name = path.slice(path.search(/[^/\\]*$/));
  return name.replace(/\.[^.]+$/, "") || name;
}
