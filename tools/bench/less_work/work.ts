/**
 * An image as the sum of its steps: how often each kind comes, and how many
 * floating-point operations it is.
 *
 * @module
 */
import {
  type StepKind,
  stepKinds,
  stepName,
} from "../../../src/generate/step_kinds.ts";
import type { Graph } from "../../../src/graph/graph.ts";
import { neededNodes } from "../../../src/graph/schedule.ts";
import {
  defaultSettings,
  type Settings,
} from "../../../src/options/options.ts";
import {
  type GeneratorComponents,
  type Layout,
  stepGraph,
} from "../../../src/generate/generator.ts";

/** A step as a plan does it. */
export interface StepWork {
  /** What tells it from others. */
  readonly name: string;
  /** Its kind. */
  readonly kind: StepKind;
  /** Share of the tokens that self-attention merges. */
  readonly mergeTokens: number;
}

/** Every step of an image, in order. */
export function stepsOf(settings: Partial<Settings>): StepWork[] {
  const { mergeTokens, ...rules } = { ...defaultSettings, ...settings };
  return stepKinds(rules).map((kind) => ({
    name: `${stepName(kind)}, ${mergeTokens}`,
    kind,
    mergeTokens,
  }));
}

/** The sum over an image's steps of what each costs. */
export function imageCost(
  settings: Partial<Settings>,
  cost: (step: StepWork) => number,
): number {
  return stepsOf(settings).reduce((sum, step) => sum + cost(step), 0);
}

/** Counts the operations of a model's steps, each kind once. */
export function countWork(
  parts: GeneratorComponents,
  size: number,
): (step: StepWork) => number {
  const counted = new Map<string, number>();
  return ({ name, kind, mergeTokens }) => {
    const layout = { ...square(parts, size), mergeTokens };
    const flops = counted.get(name) ??
      flopsOf(stepGraph("f16", parts, layout, kind));
    counted.set(name, flops);
    return flops;
  };
}

/** One square image, guided. */
export function square({ vae }: GeneratorComponents, size: number): Layout {
  const side = size / vae.config.factor;
  return { images: 1, height: side, width: side, guided: true };
}

/** Floating-point operations of a graph's ops, as they count them themselves. */
export function flopsOf(graph: Graph): number {
  return neededNodes(graph)
    .reduce((sum, node) => sum + (node.op.flops?.(node) ?? 0), 0);
}
