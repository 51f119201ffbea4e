/**
 * What a run trains, by `--train`: where it starts, how it takes effect in the
 * model, and the files it is saved as.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { Components } from "../../src/components/networks.ts";
import { freshAdapter } from "../../src/train/fresh_adapter.ts";
import { withValues } from "../../src/train/previews.ts";
import { stageTrainable } from "../../src/train/stages.ts";
import {
  readFloats,
  type Trainable,
  trainedWeights,
} from "../../src/train/step/trainable.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { TrainArray } from "./run/checkpoint.ts";
import type { WeightsFile } from "./run/checkpoint_writer.ts";
import { adapterAsTorch, adapterAsWeave } from "./run/weights.ts";
import { stageOf, type TrainValues } from "./options.ts";

/** Values of trained parameters, by name. */
export type TrainedValues = ReadonlyMap<string, Float32Array>;

/** What is trained. */
export interface Trained {
  /** Its parameters. */
  readonly trainable: Trainable;
  /** The model with other values of its parameters. */
  components(values: TrainedValues): Components;
  /** The files it is saved as. */
  files(values: TrainedValues): Promise<WeightsFile[]>;
}

/** Sets up what `--train` says. */
export function trainedOf(
  values: TrainValues,
  components: Components,
  provenance: JsonObject,
): Trained {
  switch (values.train) {
    case "adapter":
      return trainedAdapter(values, components, provenance);
    case "unet":
      return trainedUnet(components);
    case "lora":
      throw new MasterWeaverError("bad-option", "Cannot train a LoRA yet");
  }
}

function trainedAdapter(
  values: TrainValues,
  components: Components,
  provenance: JsonObject,
): Trained {
  const stage = stageOf(values);
  const given = stageTrainable(stage, components);
  const isFresh = values["adapter-path"] === undefined;
  const { adapter } = components;
  return {
    trainable: isFresh
      ? freshAdapter(given, components, values.seed, values["initial-values"])
      : given,
    components: (values) => ({
      ...components,
      adapter: withValues(adapter, values),
    }),
    async files(values) {
      const tensors: Record<string, TrainArray> = {};
      for (const [name, { shape }] of adapter.file.tensors) {
        const data = values.get(name) ??
          await readFloats(adapter.weights.tensor(name, shape));
        tensors[name] = { shape, data: data as Float32Array<ArrayBuffer> };
      }
      const header = { config: adapter.file.config, provenance };
      return [adapterAsTorch(tensors), adapterAsWeave(tensors, header)];
    },
  };
}

/** The UNet's own weights. */
function trainedUnet(components: Components): Trained {
  const { unet } = components;
  return {
    trainable: trainedWeights(unet.weights),
    components: (values) => ({ ...components, unet: withValues(unet, values) }),
    files: () => Promise.resolve([]),
  };
}
