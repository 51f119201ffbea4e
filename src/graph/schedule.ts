/**
 * Decides which ops of a graph run, and checks what they overwrite.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { describe } from "../ops/op.ts";
import {
  baseOf,
  describeNode,
  type Graph,
  type OpNode,
  type Tensor,
} from "./graph.ts";

/** The ops that outputs need, in order; an op that changes an input or a parameter is needed too. */
export function neededNodes(graph: Graph): OpNode[] {
  const needed = new Set<Tensor>([...graph.outputs.values()].map(baseOf));
  const nodes: OpNode[] = [];
  for (const node of [...graph.ops].reverse()) {
    const isNeeded = Object.values(node.outputs).some((t) => needed.has(t)) ||
      changedBy(node).some((input) => outlivesRun(rootOf(input)));
    if (!isNeeded) continue;
    for (const input of Object.values(node.inputs)) {
      if (input) needed.add(baseOf(input));
    }
    nodes.push(node);
  }
  return nodes.reverse();
}

/** The inputs that an op overwrites. */
function changedBy({ op, inputs }: OpNode): Tensor[] {
  return Object.values(op.overwrites ?? {})
    .map((name) => baseOf(inputs[name as string]!));
}

/** The tensor whose memory holds a tensor: itself, or the one that an op overwrote. */
export function rootOf(tensor: Tensor): Tensor {
  const base = baseOf(tensor);
  const { source } = base;
  if (source.kind !== "op") return base;
  const { op, inputs } = source.node;
  const overwritten = op.overwrites?.[source.output];
  return overwritten === undefined ? base : rootOf(inputs[overwritten]!);
}

function outlivesRun({ source }: Tensor): boolean {
  return source.kind === "input" || source.kind === "parameter";
}

/**
 * Requires that ops overwrite only what may be, after its last reader.
 *
 * @throws {MasterWeaverError} `gpu` naming the ops
 */
export function checkOverwrites(
  nodes: readonly OpNode[],
  { outputs }: Graph,
): void {
  nodes.forEach((node, i) => {
    for (const changed of changedBy(node)) {
      const later = nodes.slice(i + 1).find(({ inputs }) =>
        Object.values(inputs).some((input) =>
          input && baseOf(input) === changed
        )
      );
      const [name] = [...outputs].find(([, tensor]) =>
        baseOf(tensor) === changed && changed.source.kind === "op"
      ) ?? [];
      const { source } = rootOf(changed);
      const why = later
        ? `${describeNode(later)} still reads it`
        : name !== undefined
        ? `it is the output ${name}`
        : source.kind === "constant"
        ? "it is a constant"
        : source.kind === "parameter" && !source.trainable
        ? `the parameter ${source.ref.name} is not trainable`
        : null;
      if (why === null) {
        continue;
      }
      throw new MasterWeaverError(
        "gpu",
        `Cannot overwrite ${describe(changed)} by ${
          describeNode(node)
        }: ${why}`,
      );
    }
  });
}
