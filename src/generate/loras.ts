/**
 * A model with LoRAs: what changes of its text encoder and its UNet.
 *
 * Weights that are stored as f32 or f16 are replaced by their sums with the
 * deltas while they are streamed to the GPU: the graph stays the same, and only
 * those weights are streamed again that hold something else. Quantised weights
 * stay as they are, and a branch of low rank runs beside each, so that nothing of
 * a delta is rounded to their few bits; a weight whose delta has no low rank is
 * held as f16 or f32 instead.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { LoraFile, LoraTargets } from "../checkpoints/lora_reader.ts";
import type { WeightContents } from "../graph/weight_store.ts";
import { isQuantised } from "../ops/tensor_spec.ts";
import type { Component } from "../weights/components.ts";
import { changed, type WeightDelta } from "../weights/deltas.ts";
import type { TensorDelta } from "../weights/lora.ts";
import { type SideBranch, WeightScope } from "../weights/scope.ts";
import { sideBranch } from "../weights/side_branch.ts";
import type { WeaveTensor } from "../weights/weave.ts";
import { blockStrength } from "./block_weights.ts";
import type { GeneratorComponents } from "./context.ts";

/** A LoRA and how strongly it acts. */
export interface AppliedLora {
  /** Its file. */
  readonly lora: LoraFile;
  /** What its deltas of the UNet are multiplied by; may be negative. */
  readonly scale: number;
  /** What its deltas of the text encoder are multiplied by. */
  readonly textScale: number;
  /** What each block's deltas are multiplied by besides; see {@linkcode blockStrength}. */
  readonly blocks?: readonly number[];
}

/** The components with LoRAs. */
export interface AdaptedComponents {
  /** Those that graphs are built from. */
  readonly components: GeneratorComponents;
  /** What the files' weights hold in the place of their values. */
  readonly contents: WeightContents;
  /** Tells graphs with branches from others; empty where there are none. */
  readonly key: string;
}

/** The components that LoRAs change, and what checkpoints call them. */
const NETWORKS = [["unet", "unet"], ["text", "text_encoder"]] as const;

/** A delta with its strength. */
interface Acting {
  readonly delta: TensorDelta;
  readonly strength: number;
  /** Tells it from all others. */
  readonly key: string;
}

/**
 * A model's components with LoRAs, added in this order.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where one is for another model, `bad-option` for a wrong number of block weights
 */
export function adaptComponents(
  components: GeneratorComponents,
  loras: readonly AppliedLora[],
): AdaptedComponents {
  const targets: LoraTargets = {
    unet: components.unet.file,
    text_encoder: components.text.file,
  };
  const acting = { unet: new ActingDeltas(), text: new ActingDeltas() };
  for (const applied of loras) {
    const { lora, scale, textScale, blocks } = applied;
    const deltas = lora.deltas(targets);
    const strength = blocks
      ? blockStrength(lora.name, blocks, components.unet.config)
      : () => 1;
    for (const [component, network] of NETWORKS) {
      for (const delta of deltas[network]) {
        const own = component === "unet"
          ? scale * strength(delta.name)
          : textScale * strength();
        acting[component].add(lora, delta, own);
      }
    }
  }
  const contents = new Map();
  const { component: unet, key } = adapt(
    components.unet,
    acting.unet,
    contents,
  );
  const { component: text, key: textKey } = adapt(
    components.text,
    acting.text,
    contents,
  );
  return {
    components: { ...components, unet, text },
    contents,
    key: key + textKey,
  };
}

/** The deltas of one component that are not multiplied by zero, by tensor. */
class ActingDeltas {
  readonly byName = new Map<string, Acting[]>();

  add(lora: LoraFile, delta: TensorDelta, strength: number): void {
    if (strength === 0) return;
    const known = this.byName.get(delta.name) ?? [];
    known.push({ delta, strength, key: `${numberOf(lora)}*${strength}` });
    this.byName.set(delta.name, known);
  }
}

/** Numbers of opened files: what is streamed for one is not taken for another's. */
const numbers = new WeakMap<LoraFile, number>();
let lastNumber = 0;

function numberOf(lora: LoraFile): number {
  const known = numbers.get(lora) ?? ++lastNumber;
  numbers.set(lora, known);
  return known;
}

/** One component with its deltas; adds to the contents of its weights. */
function adapt<C>(
  component: Component<C>,
  { byName }: ActingDeltas,
  contents: Map<WeaveTensor, { key: string; tensor: WeaveTensor }>,
): { component: Component<C>; key: string } {
  const { file, weights } = component;
  const tensors = new Map(file.tensors);
  const branches = new Map<string, SideBranch>();
  const keys: string[] = [];
  for (const [name, acting] of byName) {
    const tensor = file.tensors.get(name)!;
    const key = acting.map(({ key }) => key).join("+");
    const sum = () => changed(tensor, acting.map(lazy));
    if (!isQuantised(tensor.dtype)) {
      contents.set(tensor, { key, tensor: sum() });
      continue;
    }
    keys.push(`${name}=${key}`);
    const branch = sideBranch(tensor, acting);
    if (branch) branches.set(name, branch);
    else tensors.set(name, sum());
  }
  if (keys.length === 0) return { component, key: "" };
  const changedFile = { ...file, tensors };
  return {
    component: {
      ...component,
      file: changedFile,
      weights: WeightScope.changed(weights, { file: changedFile, branches }),
    },
    key: keys.join(";"),
  };
}

/** A delta that is read while its weight is streamed. */
function lazy({ delta, strength }: Acting): WeightDelta {
  const { name, shape } = delta;
  return {
    name,
    shape,
    opened: () => delta.read(strength),
    addTo() {
      throw new MasterWeaverError("gpu", `Delta of ${name} was not opened`);
    },
  };
}
