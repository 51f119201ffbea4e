/**
 * Trained weights as files that other programs read.
 *
 * @module
 */
import { adapterDicts } from "../../../src/checkpoints/adapter_dicts.ts";
import {
  diffusersLora,
  kohyaLora,
  type LoraContent,
} from "../../../src/checkpoints/lora_file.ts";
import { tensorToWrite } from "../../../src/checkpoints/plain_tensor.ts";
import { writeSafetensors } from "../../../src/checkpoints/safetensors_writer.ts";
import { writeTorchZip } from "../../../src/checkpoints/torch_writer.ts";
import type { LoraLayer } from "../../../src/weights/lora.ts";
import type { JsonObject, WeaveFile } from "../../../src/weights/weave.ts";
import { writeWeave } from "../../../src/weights/weave_writer.ts";
import type { TrainArray } from "./checkpoint.ts";
import type { WeightsFile } from "./checkpoint_writer.ts";

/** An adapter's tensors by the names of a converted adapter. */
export type AdapterTensors = Readonly<Record<string, TrainArray>>;

/** What an adapter's `*.weave` says of itself. */
export interface WeaveHeader {
  /** The adapter's config, that of the model it was trained from. */
  readonly config: JsonObject;
  /** Where its weights come from. */
  readonly provenance: JsonObject;
}

/**
 * An identity adapter as `adapter_….pt`, which the reference loads: f32, its two
 * state dicts.
 *
 * @throws {MasterWeaverError} `bad-model`, as it is written, for a tensor that is none of an adapter's
 */
export function adapterAsTorch(tensors: AdapterTensors): WeightsFile {
  return {
    stem: "adapter",
    ending: "pt",
    write: (append) =>
      writeTorchZip(
        append,
        adapterDicts(
          "the adapter",
          Object.entries(tensors).map(([name, { shape, data }]) => ({
            name,
            shape,
            floats: async function* () {
              yield await Promise.resolve(data);
            },
          })),
        ),
      ),
  };
}

/** An identity adapter as `adapter_….weave`, which a model's folder takes: f32. */
export function adapterAsWeave(
  tensors: AdapterTensors,
  { config, provenance }: WeaveHeader,
): WeightsFile {
  return {
    stem: "adapter",
    ending: "weave",
    write: (append) =>
      writeWeave(append, {
        component: "identity_adapter",
        config,
        provenance,
        tensors: Object.entries(tensors).map(([name, { shape, data }]) =>
          tensorToWrite(name, "f32", shape, data)
        ),
      }),
  };
}

/**
 * A whole component with its trained values, as `STEM_….weave`, which takes the
 * place of that component's file in a model's folder. What is trained is f32, the
 * rest as it was.
 */
export function componentAsWeave(
  stem: string,
  { component, config, tensors }: WeaveFile,
  values: ReadonlyMap<string, Float32Array>,
  provenance: JsonObject,
): WeightsFile {
  return {
    stem,
    ending: "weave",
    write: (append) =>
      writeWeave(append, {
        component,
        config,
        provenance,
        tensors: [...tensors.values()].map((tensor) => {
          const { name, shape, dtype } = tensor;
          const trained = values.get(name);
          return trained
            ? tensorToWrite(name, "f32", shape, trained)
            : { name, shape, dtype, data: () => tensor.chunks() };
        }),
      }),
  };
}

/**
 * A LoRA in the two forms that other programs read: `lora_….safetensors` in kohya's
 * names, `pytorch_lora_weights_….safetensors` in diffusers'. f32.
 */
export function loraFiles(layers: readonly LoraLayer[]): WeightsFile[] {
  const file = (stem: string, { tensors, metadata }: LoraContent) => ({
    stem,
    ending: "safetensors" as const,
    write: (append: (bytes: Uint8Array) => Promise<void>) =>
      writeSafetensors(append, tensors, "F32", metadata),
  });
  return [
    file("lora", kohyaLora(layers)),
    file("pytorch_lora_weights", diffusersLora(layers)),
  ];
}

/** A file of the running mean of what is trained: `adapter_ema_….pt`. */
export function asMean(file: WeightsFile): WeightsFile {
  return { ...file, stem: `${file.stem}_ema` };
}
