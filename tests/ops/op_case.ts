/**
 * A case of an op: what it is applied to, and what must come out.
 *
 * The same list serves correctness, gradients and speed.
 *
 * @module
 */
import type { AnyOp } from "../../src/graph/graph.ts";
import { type Dense, dense } from "./reference.ts";

/** An input: its shape, and what its elements are. */
export interface InputSpec {
  /** Lengths of the axes. */
  readonly shape: readonly number[];
  /** Element type; the graph's own where not given. */
  readonly dtype?: "f32" | "u32" | "q8" | "q4";
  /** Standard deviation of its elements, 1 where not given. */
  readonly scale?: number;
  /** Its elements instead of random ones. */
  readonly value?: (index: number) => number;
}

/** Inputs by the op's own names. */
export type Values = Readonly<Record<string, Dense>>;

/** One case. */
export interface OpCase {
  /** What is special about it. */
  readonly name: string;
  /** The op. */
  readonly op: AnyOp;
  /** Its attributes. */
  readonly attributes: unknown;
  /** Its inputs; those not named are absent. */
  readonly inputs: Readonly<Record<string, InputSpec>>;
  /** The output that is compared, of an op with several. */
  readonly output?: string;
  /** What must come out, in f64. */
  readonly reference: (inputs: Values) => Dense;
  /** Terms of its longest sum, where they are 10⁵ and more. */
  readonly terms?: number;
  /** Whether every bit must be right. */
  readonly exact?: boolean;
  /** Whether it cannot be differentiated where its inputs are. */
  readonly hasKink?: boolean;
}

/** An input of normal random elements. */
export function normal(shape: readonly number[], scale = 1): InputSpec {
  return { shape, scale };
}

/** A weight of so many terms a sum: outputs are about as large as inputs. */
export function weight(shape: readonly number[], terms: number): InputSpec {
  return { shape, scale: 1 / Math.sqrt(terms) };
}

/** Cases again with their weight stored as q8, and as q4. */
export function quantised(cases: readonly OpCase[]): OpCase[] {
  return (["q8", "q4"] as const).flatMap((dtype) =>
    cases.map((opCase) => ({
      ...opCase,
      name: `${dtype}, ${opCase.name}`,
      inputs: {
        ...opCase.inputs,
        weight: { ...opCase.inputs.weight, dtype },
      },
    }))
  );
}

/** Makes an input's elements, the same on every run. */
export function makeInput(spec: InputSpec, seed: number): Dense {
  if (spec.value) return dense(spec.shape, spec.value);
  const next = normals(seed);
  const { scale = 1 } = spec;
  return dense(spec.shape, () => scale * next());
}

/** Normal random numbers: mulberry32 and Box–Muller. */
function normals(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1);
  const uniform = () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (((t ^ t >>> 14) >>> 0) + 0.5) / 2 ** 32;
  };
  return () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
