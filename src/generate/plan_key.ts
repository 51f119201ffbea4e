/**
 * Keys by which a network finds its plans again.
 *
 * A key contains what its graph is built from and nothing else, so that requests that
 * differ only in prompt, seed or scales share plans. The tensors to which a plan is
 * bound are not part of it: {@linkcode Network}, which keeps the plans, compares those
 * itself.
 *
 * @module
 */
import type { StorageType } from "../gpu/gpu.ts";
import type { ConditionShape } from "./graphs/conditions.ts";
import type { ControlShape, RunShape } from "./run_shape.ts";
import { type StepKind, stepName } from "./step_kinds.ts";

/** What decides the plan of control images. */
export type ControlKey = Pick<RunShape, "height" | "width"> & {
  /** The ControlNets. */
  readonly controls: ControlShape;
};

/** What decides the plan of a denoising step. */
export interface StepKey {
  /** The whole run shape. */
  readonly runShape: RunShape;
  /** The kind of step. */
  readonly kind: StepKind;
  /** The sampler's name. */
  readonly sampler: string;
}

/** What decides the plan of decoding, which decodes one image at a time. */
export interface DecodeKey extends Pick<RunShape, "height" | "width"> {
  /** The decoder; the model's autoencoder by default. */
  readonly decoder?: string;
  /** Whether it is a tile, which is blended with others. */
  readonly tile?: boolean;
}

/** What decides the plan of encoding, which encodes one image at a time. */
export type EncodeKey = Pick<RunShape, "height" | "width">;

/** What decides a plan: its graph, storage type and details of that graph. */
export type PlanKey =
  & {
    /** Storage type of activations. */
    readonly storage: StorageType;
    /** What is beside the weights in its graph; nothing by default. */
    readonly adapted?: string;
  }
  & (
    | { readonly graph: "condition"; readonly details: ConditionShape }
    | { readonly graph: "control"; readonly details: ControlKey }
    | { readonly graph: "step"; readonly details: StepKey }
    | { readonly graph: "decode"; readonly details: DecodeKey }
    | { readonly graph: "encode"; readonly details: EncodeKey }
  );

/** A key as a string, which is equal exactly if the keys are. */
export function planKey(key: PlanKey): string {
  const { graph, storage, adapted = "" } = key;
  const beside = adapted === "" ? [] : [adapted];
  return JSON.stringify([graph, storage, ...fields(key), ...beside]);
}

/** The details in a fixed order, with defaults for omitted ones. */
function fields({ graph, details }: PlanKey): (string | number | boolean)[] {
  switch (graph) {
    case "condition":
      return [details.images, details.guided, ...unusual(details)];
    case "control":
      return [details.height, details.width, ...controlField(details)];
    case "step": {
      const { runShape, kind, sampler } = details;
      const { images, height, width, guided } = runShape;
      const { cachesFeatures = false, mergeTokens = 0 } = runShape;
      const shape = [images, height, width, guided, cachesFeatures];
      const step = [mergeTokens, stepName(kind), sampler];
      const isRescaled = runShape.rescalesGuidance && kind.guided;
      return [
        ...shape,
        ...step,
        ...isRescaled ? ["rescaled"] : [],
        ...runShape.repaints ? ["repaints"] : [],
        ...unusual(runShape),
      ];
    }
    case "encode":
      return [details.height, details.width];
    case "decode":
      return [
        details.height,
        details.width,
        // Only what is unusual.
        ...details.decoder === undefined ? [] : [details.decoder],
        ...details.tile ? ["tile"] : [],
      ];
  }
}

/** Names what is unusual about the conditions; nothing where there is a plain text and an identity. */
function unusual(
  details: Omit<ConditionShape, "images" | "guided">,
): string[] {
  const { identity = true, textTokens, conditions } = details;
  const { clipSkip = 1, emphasis, replaced } = details;
  return [
    ...identity ? [] : ["no identity"],
    ...textTokens === undefined ? [] : [`${textTokens} tokens`],
    ...conditions === undefined ? [] : [`${conditions} conditions`],
    ...clipSkip === 1 ? [] : [`clip skip ${clipSkip}`],
    ...emphasis ? ["emphasis"] : [],
    ...replaced ? ["replaced"] : [],
    ...controlField(details),
  ];
}

/** Names the ControlNets, where there are any. */
function controlField({ controls }: Pick<RunShape, "controls">): string[] {
  if (!controls) return [];
  const nets = controls.nets.map((net) => controls.hashes[net]);
  return [`controls ${nets.join(" ")}${controls.guess ? " guess" : ""}`];
}
