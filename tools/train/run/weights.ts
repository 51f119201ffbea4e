/**
 * Trained weights as files that other programs read.
 *
 * @module
 */
import { adapterDicts } from "../../../src/checkpoints/adapter_dicts.ts";
import { tensorToWrite } from "../../../src/checkpoints/plain_tensor.ts";
import { writeTorchZip } from "../../../src/checkpoints/torch_writer.ts";
import type { JsonObject } from "../../../src/weights/weave.ts";
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
