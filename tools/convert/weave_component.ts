/**
 * Converted components that are to be stored as another type: like checkpoints,
 * they are checked against their network's table.
 *
 * @module
 */
import {
  type ComponentName,
  EVALUATION,
  type ExtraName,
} from "../../src/weights/components.ts";
import { loadFaceDetector } from "../../src/face/detector_model.ts";
import { loadLandmarkPredictor } from "../../src/face/landmark_model.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import {
  checkTensors,
  planReconversion,
} from "../../src/checkpoints/reconversion.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import { controlNetTable } from "../../src/checkpoints/tables/controlnet.ts";
import { evaluationTable } from "../../src/checkpoints/tables/evaluation.ts";
import { networkTable } from "../../src/checkpoints/tables/networks.ts";
import {
  type JsonObject,
  openWeave,
  type WeaveFile,
} from "../../src/weights/weave.ts";
import type { Component } from "./component.ts";

/** A component that was converted before. */
export interface WeaveInput {
  /** Name of the file to write, without `.weave`. */
  readonly output: string;
  /** The file. */
  readonly file: string;
  /** What its header says it is. */
  readonly component: ComponentName | ExtraName;
  /** Its configuration. */
  readonly config: JsonObject;
  /** The config of the UNet that an adapter is for. */
  readonly unet: () => JsonObject;
}

/** A converted component that is to be stored as another type. */
export function weaveComponent(
  { output, file, component, config, unet }: WeaveInput,
): Component {
  return {
    output,
    files: [file],
    config,
    async plan([source], { dtype }) {
      const weave = await openWeave(source);
      const exact = new Set<string>();
      if (component === "face_detector") await loadFaceDetector(weave);
      else if (component === "landmarks") await loadLandmarkPredictor(weave);
      else {
        const own = new CheckpointConfig(weave.config, weave.name);
        const table = component === EVALUATION
          ? evaluationTable(own)
          : component === "controlnet"
          ? controlNetTable(own)
          : networkTable(component, own, {
            unet: () => new CheckpointConfig(unet(), "the UNet's config"),
            imageWidth: () => imageWidth(weave),
          });
        checkTensors(weave, table);
        // Values that the first conversion computed stay f32.
        for (const row of table.rows) if (row.exact) exact.add(row.name);
      }
      const { tensors, loss, dropped } = planReconversion(weave, dtype, exact);
      const content = {
        component,
        config: weave.config,
        provenance: {
          ...weave.provenance,
          stored_before_as: storedTypes(weave),
        },
        tensors,
      };
      return { content, loss, dropped, warnings: [] };
    },
  };
}

/** Width of the hidden states that an adapter takes; its config does not state it. */
function imageWidth({ name, tensors }: WeaveFile): number {
  const width = tensors.get("id_encoder.proj_in.weight")?.shape[1];
  if (width !== undefined) return width;
  throw badCheckpoint(name, "it has no id_encoder.proj_in.weight");
}

function storedTypes({ tensors }: WeaveFile): string[] {
  return [...new Set([...tensors.values()].map(({ dtype }) => dtype))].sort();
}
