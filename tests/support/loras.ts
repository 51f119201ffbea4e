/**
 * LoRAs of the goldens as files, and what the mini model's networks make of them.
 *
 * @module
 */
import { assert } from "@std/assert";
import { type ByteSource, MemorySource } from "../../src/base/bytes.ts";
import {
  LoraFile,
  type LoraTargets,
  readLora,
} from "../../src/checkpoints/lora_reader.ts";
import type { Components } from "../../src/components/networks.ts";
import { adaptComponents, type AppliedLora } from "../../src/generate/loras.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { Graph } from "../../src/graph/graph.ts";
import { Network } from "../../src/graph/network.ts";
import { Tuner } from "../../src/graph/tuner.ts";
import { clipText } from "../../src/models/clip.ts";
import { crossKeys, unet } from "../../src/models/unet.ts";
import { channelsLast } from "../../tools/compare/values.ts";
import { sharedGpu } from "./gpu.ts";
import { miniComponents, repositoryPath } from "./model.ts";
import {
  type GoldenTensor,
  readMetadata,
  readSafetensors,
} from "./safetensors.ts";
import { join, rawSafetensors } from "./weights.ts";

/** A case of `tools/reference/lora_kinds.py`. */
interface Case {
  /** What the LoRA is multiplied by. */
  readonly scale: number;
  /** What its file says of itself. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** peft's config beside it. */
  readonly config?: unknown;
}

const path = repositoryPath("tests/goldens/lora_kinds.safetensors.gz");

/** All tensors of the goldens: LoRAs, inputs and results. */
export const loraGoldens: ReadonlyMap<string, GoldenTensor> =
  await readSafetensors(path);

/** The cases by name. */
export const loraCases: Readonly<Record<string, Case>> = JSON.parse(
  (await readMetadata(path)).cases,
);

/** A safetensors file of tensors of any type that goldens have. */
export function fileOf(
  tensors: readonly (readonly [string, GoldenTensor])[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  for (const [name, { shape, data }] of tensors) {
    const start = end;
    end += data.byteLength;
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const data = tensors.map(([, { data }]) => new Uint8Array(data.buffer));
  return rawSafetensors(header, join(data));
}

/** The file of a case. */
export function caseFile(name: string): Uint8Array<ArrayBuffer> {
  const own = [...loraGoldens].filter(([key]) => key.startsWith(`${name}/`));
  assert(own.length > 0, name);
  const tensors = own.map(([key, tensor]) =>
    [key.slice(name.length + 1), tensor] as const
  );
  return fileOf(tensors, loraCases[name].metadata);
}

/** The LoRA of a case. */
export async function caseLora(name: string): Promise<LoraFile> {
  return await openLora(
    new MemorySource(caseFile(name), `${name}.safetensors`),
    loraCases[name].config,
  );
}

/** A LoRA as stages take it. */
export async function openLora(
  source: ByteSource,
  config?: unknown,
): Promise<LoraFile> {
  const lora = await readLora(source, { config });
  assert(lora instanceof LoraFile);
  return lora;
}

/** A LoRA with one scale for all. */
export function applied(lora: LoraFile, scale = 1): AppliedLora {
  return { lora, scale, textScale: scale };
}

/** The mini model's networks that a LoRA changes. */
export async function miniTargets(): Promise<LoraTargets> {
  const { unet, text } = await miniComponents;
  return { unet: unet.file, text_encoder: text.file };
}

/** The matrices of a LoRA of the mini UNet, alpha included. */
export async function lowRankLayers(source: ByteSource) {
  const { unet } = (await openLora(source)).deltas(await miniTargets());
  return await Promise.all(unet.map(async ({ name, shape, readLowRank }) => ({
    name,
    shape,
    ...await readLowRank!(),
  })));
}

/** Both networks on the GPU, kept from one LoRA to the next. */
export class LoraBench implements Disposable {
  readonly #storage: StorageType;
  readonly #components: Components;
  readonly #unet: Network;
  readonly #text: Network;

  private constructor(
    storage: StorageType,
    components: Components,
    [unet, text]: Network[],
  ) {
    this.#storage = storage;
    this.#components = components;
    this.#unet = unet;
    this.#text = text;
  }

  /** Networks of which nothing is loaded yet. */
  static async make(
    storage: StorageType,
    components: Components,
  ): Promise<LoraBench> {
    const gpu = await sharedGpu();
    const network = () => new Network(gpu, true, new Tuner(gpu, "off"));
    return new LoraBench(storage, components, [network(), network()]);
  }

  /**
   * The noise that the UNet predicts with LoRAs.
   *
   * @param onLoad receives the bytes that were streamed, and all there were to be
   */
  async eps(
    loras: readonly AppliedLora[],
    onLoad?: (done: number, total: number) => void,
  ): Promise<Float32Array> {
    const { components, contents, key } = adaptComponents(
      this.#components,
      loras,
    );
    const { weights, config } = components.unet;
    const text = golden("text");
    const shape = [1, 8, 8, 4];
    const graph = () => {
      const g = new Graph(this.#storage);
      const states = g.input("text", text.shape, g.storage);
      g.output(
        "eps",
        unet(
          {
            sample: g.input("sample", shape, g.storage),
            t: g.input("t", [1], "f32"),
            cross: (attention) => crossKeys(attention, states, weights),
          },
          weights,
          config,
        ),
      );
      return g;
    };
    const plans = { unet: { key, graph } };
    const { eps } = await this.#unet.use(
      { plans, contents, onLoad },
      async ({ unet: plan }) => {
        plan.write("sample", goldenPixels("sample"));
        plan.write("text", Float32Array.from(text.data));
        plan.write("t", Float32Array.of(501));
        plan.run();
        return await plan.read("eps");
      },
    );
    return Float32Array.from(eps);
  }

  /** The text encoder's last hidden state with LoRAs. */
  async hidden(loras: readonly AppliedLora[]): Promise<Float32Array> {
    const { components, contents, key } = adaptComponents(
      this.#components,
      loras,
    );
    const { weights, config } = components.text;
    const graph = () => {
      const g = new Graph(this.#storage);
      const ids = g.input("ids", [1, config.positions], "u32");
      g.output("hidden", clipText(ids, weights.at("text_model"), config));
      return g;
    };
    const plans = { text: { key, graph } };
    const { hidden } = await this.#text.use(
      { plans, contents },
      async ({ text: plan }) => {
        plan.write("ids", Uint32Array.from(golden("ids").data));
        plan.run();
        return await plan.read("hidden");
      },
    );
    return Float32Array.from(hidden);
  }

  /** Frees the networks. */
  [Symbol.dispose](): void {
    this.#unet[Symbol.dispose]();
    this.#text[Symbol.dispose]();
  }
}

function golden(name: string): GoldenTensor {
  const found = loraGoldens.get(name);
  assert(found, name);
  return found;
}

/** A golden (B, C, H, W) as (B, H, W, C). */
export function goldenPixels(name: string): Float32Array {
  const { shape, data } = golden(name);
  return Float32Array.from(
    channelsLast({ shape, data: Float32Array.from(data) }).data,
  );
}
