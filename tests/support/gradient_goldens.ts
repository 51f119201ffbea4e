/**
 * PyTorch's gradients of single ops: `tools/reference/gradients.py` says how
 * they are laid out.
 *
 * @module
 */
import { type Dense, dense } from "../ops/reference.ts";
import { repositoryPath } from "./paths.ts";
import { readMetadata, readSafetensors } from "./safetensors.ts";

/** One case. */
export interface GradientCase {
  /** What is special about it. */
  readonly name: string;
  /** Name of the op. */
  readonly op: string;
  /** Its attributes. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Its inputs by name. */
  readonly inputs: Readonly<Record<string, Dense>>;
  /** Gradient of the output, whose shape it has. */
  readonly dy: Dense;
  /** Gradients of the inputs by name; `ids` has none. */
  readonly gradients: Readonly<Record<string, Dense>>;
}

/** All cases. */
export async function gradientCases(): Promise<GradientCase[]> {
  const path = repositoryPath("tests/goldens/gradients.safetensors.gz");
  const tensors = await readSafetensors(path);
  const described: Record<
    string,
    Pick<GradientCase, "op" | "attributes"> & { inputs: string[] }
  > = JSON.parse((await readMetadata(path)).cases);
  const read = (name: string): Dense => {
    const { shape, data } = tensors.get(name)!;
    return dense(shape, (i) => data[i]);
  };
  return Object.entries(described).map(([name, { op, attributes, inputs }]) => {
    const trained = inputs.filter((input) => tensors.has(`${name}.d_${input}`));
    const pick = (names: string[], prefix: string) =>
      Object.fromEntries(
        names.map((input) => [input, read(`${name}.${prefix}${input}`)]),
      );
    return {
      name,
      op,
      attributes,
      inputs: pick(inputs, ""),
      dy: read(`${name}.dy`),
      gradients: pick(trained, "d_"),
    };
  });
}
