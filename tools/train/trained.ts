/**
 * What a run trains, by `--train`: where it starts, how it takes effect in the
 * model, and the files it is saved as.
 *
 * @module
 */
import type { Components } from "../../src/components/networks.ts";
import { freshAdapter } from "../../src/train/fresh_adapter.ts";
import { loraTrainable } from "../../src/train/lora.ts";
import type { ParameterBlocks } from "../../src/train/optimiser/parameter_blocks.ts";
import { withValues } from "../../src/train/previews.ts";
import { stageSettings, stageTrainable } from "../../src/train/stages.ts";
import {
  readFloats,
  type Trainable,
  trainedWeights,
} from "../../src/train/step/trainable.ts";
import type { StepShape } from "../../src/train/step/graph.ts";
import { component } from "../../src/weights/components.ts";
import { withDeltas } from "../../src/weights/deltas.ts";
import { loraDeltas } from "../../src/weights/lora.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { TrainArray } from "./run/checkpoint.ts";
import type { WeightsFile } from "./run/checkpoint_writer.ts";
import {
  adapterAsTorch,
  adapterAsWeave,
  asMean,
  componentAsWeave,
  loraFiles,
} from "./run/weights.ts";
import { stageOf, type TrainValues } from "./options.ts";

/** Values of trained parameters, by name. */
export type TrainedValues = ReadonlyMap<string, Float32Array>;

/** What is trained. */
export interface Trained {
  /** Its parameters. */
  readonly trainable: Trainable;
  /** What its steps minimise. */
  readonly losses: Pick<
    StepShape,
    "lambdaNoise" | "background" | "lambdaEdit"
  >;
  /** The model with other values of its parameters. */
  components(values: TrainedValues): Components;
  /** The files it is saved as. */
  files(values: TrainedValues): Promise<WeightsFile[]>;
}

/**
 * The files of the trained parameters as they are, and those of their running
 * mean where one is kept.
 */
export async function trainedFiles(
  trained: Trained,
  blocks: ParameterBlocks,
): Promise<WeightsFile[]> {
  const files = await trained.files(await blocks.read("parameters"));
  if (!blocks.kinds.includes("average")) return files;
  const means = await trained.files(await blocks.read("average"));
  return [...files, ...means.map(asMean)];
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
      return trainedUnet(values, components, provenance);
    case "lora":
      return trainedLora(values, components);
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
    losses: stageLosses(values),
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

/** The losses of the stage that was asked for. */
function stageLosses(values: TrainValues): Trained["losses"] {
  const { lambdaNoise, lambdaEdit } = stageSettings(
    stageOf(values),
    values["lambda-edit"],
  );
  return { lambdaNoise, lambdaEdit };
}

/** The UNet's own weights. */
function trainedUnet(
  values: TrainValues,
  components: Components,
  provenance: JsonObject,
): Trained {
  const { unet } = components;
  return {
    trainable: trainedWeights(unet.weights),
    losses: stageLosses(values),
    components: (values) => ({ ...components, unet: withValues(unet, values) }),
    files: (values) =>
      Promise.resolve([
        componentAsWeave("unet", unet.file, values, provenance),
      ]),
  };
}

/**
 * A LoRA of the UNet. Its loss is the error in the predicted noise alone, as other
 * trainers of LoRA have it; identities are there, and stay as they are.
 */
function trainedLora(
  { rank, alpha, "target-layers": targets, seed }: TrainValues,
  components: Components,
): Trained {
  const { unet } = components;
  const trainable = loraTrainable(components, { rank, alpha, targets, seed });
  return {
    trainable,
    losses: { lambdaNoise: 1, background: false },
    components(values) {
      const deltas = loraDeltas(trainable.layers(values));
      const file = withDeltas(unet.file, deltas);
      return { ...components, unet: component(file, () => unet.config) };
    },
    files: (values) => Promise.resolve(loraFiles(trainable.layers(values))),
  };
}
