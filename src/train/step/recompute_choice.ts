/**
 * Memory for time: chooses the blocks that are computed again in the backward pass.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { baseOf, type Block, type Tensor } from "../../graph/graph.ts";
import { neededNodes } from "../../graph/schedule.ts";
import { tensorBytes } from "../../ops/op.ts";
import type { StepRecipe } from "./recipe.ts";

/**
 * What is computed again: nothing; every residual block and transformer; every
 * level going down, the middle, and every level going up; or, given the bytes that
 * training may take, what costs the least of all that fits.
 */
export type Recompute = "none" | "block" | "level" | number;

/** Chooses from the blocks of a graph; none of those chosen lies inside another. */
export type BlockPicker = (blocks: readonly Block[]) => readonly Block[];

/** What training costs with a choice. */
export interface TrainingCost {
  /** Bytes of the GPU's memory, in all. */
  readonly bytes: number;
  /** Floating-point operations of the costliest step. */
  readonly flops: number;
}

/** A choice, and what training costs with it. */
export interface RecomputeChoice<Cost extends TrainingCost> {
  /** Its name in a table. */
  readonly name: string;
  /** Chooses the blocks. */
  readonly pick: BlockPicker;
  /** What it costs. */
  readonly cost: Cost;
}

/** How the costs of choices are found. */
export interface RecomputePlanner<Cost extends TrainingCost> {
  /** What training costs with a choice. */
  cost(pick: BlockPicker): Cost;
  /** The costliest step, nothing of it computed again. */
  readonly recipe: StepRecipe;
}

/** The choices that have names. */
export const blockPickers: Readonly<
  Record<"none" | "block" | "level", BlockPicker>
> = {
  none: () => [],
  block: innermost,
  level: (blocks) =>
    blocks.filter((block) => !blocks.some((other) => contains(other, block))),
};

/** The choices that have names, with what each costs: the table that a tool prints. */
export function namedChoices<Cost extends TrainingCost>(
  planner: RecomputePlanner<Cost>,
): RecomputeChoice<Cost>[] {
  return Object.entries(blockPickers)
    .map(([name, pick]) => choiceOf(planner, name, pick));
}

/**
 * Finds the choice that costs the least of those that fit: nothing, the fewest
 * blocks, every block, or every level.
 *
 * @param bytes that training may take
 * @throws {MasterWeaverError} `bad-option` with the least that is possible if that is more
 */
export function chooseRecompute<Cost extends TrainingCost>(
  bytes: number,
  planner: RecomputePlanner<Cost>,
): RecomputeChoice<Cost> {
  const fits = ({ cost }: RecomputeChoice<Cost>) => cost.bytes <= bytes;
  const none = choiceOf(planner, "none", blockPickers.none);
  if (fits(none)) return none;
  const order = worthwhileBlocks(planner.recipe);
  const first = (count: number) => {
    const names = new Set(order.slice(0, count));
    const pick: BlockPicker = (blocks) =>
      innermost(blocks).filter(({ name }) => names.has(name));
    return choiceOf(planner, `${count} of ${order.length} blocks`, pick);
  };
  let best = choiceOf(planner, "block", blockPickers.block);
  if (!fits(best)) {
    const level = choiceOf(planner, "level", blockPickers.level);
    if (fits(level)) return level;
    throw tooFew(bytes, [none, best, level]);
  }
  // More blocks take less memory: the fewest that fit, by halving.
  for (let low = 1, high = order.length - 1; low <= high;) {
    const count = (low + high) >> 1;
    const choice = first(count);
    if (fits(choice)) {
      best = choice;
      high = count - 1;
    } else low = count + 1;
  }
  return best;
}

function choiceOf<Cost extends TrainingCost>(
  planner: RecomputePlanner<Cost>,
  name: string,
  pick: BlockPicker,
): RecomputeChoice<Cost> {
  return { name, pick, cost: planner.cost(pick) };
}

function tooFew(
  bytes: number,
  choices: readonly RecomputeChoice<TrainingCost>[],
): MasterWeaverError {
  const least = choices.reduce((a, b) => b.cost.bytes < a.cost.bytes ? b : a);
  const how = least.name === "none"
    ? "with nothing computed again"
    : `with every ${least.name} computed again`;
  return new MasterWeaverError(
    "bad-option",
    `Cannot train in ${bytes} bytes: it takes at least ${least.cost.bytes}, ${how}; ` +
      "use fewer samples a step, smaller images or f16",
  );
}

function contains(outer: Block, inner: Block): boolean {
  return outer !== inner && outer.start <= inner.start &&
    inner.end <= outer.end;
}

function innermost(blocks: readonly Block[]): Block[] {
  return blocks.filter((block) =>
    !blocks.some((other) => contains(block, other))
  );
}

/**
 * Names of the innermost blocks that save memory if they are computed again, those
 * first that save the most bytes for an operation.
 */
function worthwhileBlocks({ graph, forwardOps }: StepRecipe): string[] {
  const needed = new Set(neededNodes(graph));
  const keptForBackward = new Set<Tensor>();
  for (const { inputs } of graph.ops.slice(forwardOps)) {
    for (const input of Object.values(inputs)) {
      if (input) keptForBackward.add(baseOf(input));
    }
  }
  const found = new Map<string, { bytes: number; flops: number }>();
  for (const { name, start, end } of innermost(graph.blocks)) {
    const nodes = graph.ops.slice(start, end)
      .filter((node) => needed.has(node));
    // What comes out of a block is kept in any case, for the next one.
    const bytes = nodes.slice(0, -1)
      .flatMap(({ outputs }) => Object.values(outputs))
      .filter((output) => keptForBackward.has(output))
      .reduce((sum, output) => sum + tensorBytes(output), 0);
    if (bytes === 0) continue;
    const known = found.get(name) ?? { bytes: 0, flops: 0 };
    const flops = nodes
      .reduce((sum, node) => sum + (node.op.flops?.(node) ?? 0), 0);
    found.set(name, {
      bytes: known.bytes + bytes,
      flops: known.flops + flops,
    });
  }
  return [...found]
    .sort(([, a], [, b]) => b.bytes / b.flops - a.bytes / a.flops)
    .map(([name]) => name);
}
