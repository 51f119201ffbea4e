/**
 * Lowers ops to steps: each op with its kernel, preceded by packing the inputs that
 * the kernel reads from textures. A tensor is packed once for all its readers.
 *
 * @module
 */
import type { GpuLimits } from "../gpu/gpu.ts";
import type { Launch, ScratchSpec, Target } from "../ops/op.ts";
import { packTexels } from "../ops/pack_texels.ts";
import { type AnyKernel, baseOf, type OpNode, type Tensor } from "./graph.ts";
import type { KernelChoice } from "./kernel_choice.ts";

/** An op with its kernel, before memory is assigned. */
export interface Step {
  /** The op. */
  readonly node: OpNode;
  /** The kernel that computes it. */
  readonly kernel: AnyKernel;
  /** Storage type and limits that its launches are made for. */
  readonly target: Target;
  /** Its inputs as the kernel reads them, some of them packed. */
  readonly operands: Readonly<Record<string, Tensor | undefined>>;
  /** Memory it needs only while it runs, by the kernel's names for it. */
  readonly scratch: Readonly<Record<string, ScratchSpec>>;
}

/** The steps of a graph, in order. */
export function lower(choice: KernelChoice, limits: GpuLimits): Step[] {
  const steps: Step[] = [];
  const packed = new Map<Tensor, Map<number, Tensor>>();
  const add = (node: OpNode, kernel: AnyKernel, operands: Step["operands"]) => {
    const target = { storage: node.storage, limits };
    const scratch = kernel.scratch?.(node, target) ?? {};
    steps.push({ node, kernel, target, operands, scratch });
  };
  const pack = (input: Tensor): Tensor => {
    const base = baseOf(input);
    const channels = input.shape.at(-1)!;
    let known = packed.get(base);
    if (!known) packed.set(base, known = new Map());
    let tensor = known.get(channels);
    if (!tensor) {
      const node = input.graph.node(packTexels, { x: input }, {});
      add(node, packTexels.kernels[0], node.inputs);
      known.set(channels, tensor = node.outputs.output);
    }
    return tensor;
  };
  for (const node of choice.nodes) {
    const kernel = choice.kernel(node);
    const wanted = kernel.texelInputs?.(node, {
      storage: node.storage,
      limits,
    });
    const operands = { ...node.inputs };
    for (const name of wanted ?? []) operands[name] = pack(operands[name]!);
    add(node, kernel, operands);
  }
  return steps;
}

/** The launches of a step, in order. */
export function launchesOf({ node, kernel, target }: Step): readonly Launch[] {
  return kernel.launch(node, target);
}
