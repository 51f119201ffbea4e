/**
 * What decides a plan, as the string by which it is found again.
 *
 * A key names what its graph is built from and nothing else, so that requests
 * that differ only in prompt, seed and scales share their plans. The tensors that
 * a plan is bound to are not in it: {@linkcode Network}, which keeps the plans,
 * compares them itself.
 *
 * @module
 */
import type { StorageType } from "../gpu/gpu.ts";
import type { Layout } from "./layout.ts";
import { type StepKind, stepName } from "./step_kinds.ts";

/** What decides the plan of text and identity to keys and values. */
export type ConditionKey = Pick<Layout, "images" | "guided">;

/** What decides the plan of a denoising step. */
export interface StepKey {
  /** All of it. */
  readonly layout: Layout;
  /** The work of the step. */
  readonly kind: StepKind;
  /** The sampler's name. */
  readonly sampler: string;
}

/** What decides the plan of latents to pixels: it decodes one image at a time. */
export type DecodeKey = Pick<Layout, "height" | "width">;

/** What decides a plan of one of the graphs. */
export type PlanKey =
  & {
    /** Storage of activations. */
    readonly storage: StorageType;
  }
  & (
    | { readonly graph: "condition"; readonly of: ConditionKey }
    | { readonly graph: "step"; readonly of: StepKey }
    | { readonly graph: "decode"; readonly of: DecodeKey }
  );

/** A key as a string: equal for equal keys, different for different ones. */
export function planKey(key: PlanKey): string {
  return JSON.stringify([key.graph, key.storage, ...fields(key)]);
}

/** In a fixed order, and what is not given as the value that it stands for. */
function fields({ graph, of }: PlanKey): (string | number | boolean)[] {
  switch (graph) {
    case "condition":
      return [of.images, of.guided];
    case "step": {
      const { layout, kind, sampler } = of;
      const { images, height, width, guided } = layout;
      const { cachesFeatures = false, mergeTokens = 0 } = layout;
      const shape = [images, height, width, guided, cachesFeatures];
      return [...shape, mergeTokens, stepName(kind), sampler];
    }
    case "decode":
      return [of.height, of.width];
  }
}
