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
  { inputs: graphInputs, outputs }: Graph,
): void {
  for (const [name, output] of outputs) {
    const input = graphInputs.get(name);
    if (input) checkSharedName(nodes, name, input, baseOf(output));
  }
  nodes.forEach((node, i) => {
    for (const changed of changedBy(node)) {
      const later = nodes.slice(i + 1).find((other) => reads(other, changed));
      const [name] = [...outputs].find(([, tensor]) =>
        baseOf(tensor) === changed
      ) ?? [];
      const { source } = rootOf(changed);
      const why = timesRead(node, changed) > 1
        ? "it also reads it as another operand"
        : later
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

/**
 * An output that has an input's name is written to that input's memory: every
 * op that reads the input must come before the one that writes it.
 */
function checkSharedName(
  nodes: readonly OpNode[],
  name: string,
  input: Tensor,
  output: Tensor,
): void {
  if (rootOf(output) === input) return;
  const writer = nodes.findIndex(({ outputs }) =>
    Object.values(outputs).includes(output)
  );
  const later = nodes.slice(writer).find(({ inputs }) =>
    Object.values(inputs).some((tensor) => tensor && rootOf(tensor) === input)
  );
  if (!later) return;
  throw new MasterWeaverError(
    "gpu",
    `Cannot write the output ${name} over the input of that name: ${
      describeNode(later)
    } reads it then or later; copy the result by a view`,
  );
}

function reads(node: OpNode, tensor: Tensor): boolean {
  return timesRead(node, tensor) > 0;
}

function timesRead({ inputs }: OpNode, tensor: Tensor): number {
  return Object.values(inputs)
    .filter((input) => input && baseOf(input) === tensor).length;
}
