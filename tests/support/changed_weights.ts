/**
 * The mini model with some weights changed, like a broken or an overflowing
 * checkpoint.
 *
 * @module
 */
import { MemorySource } from "../../src/base/bytes.ts";
import type { ModelFiles } from "../../src/weights/components.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { weaveFloats } from "../../src/weights/floats.ts";
import { repositoryPath } from "./paths.ts";
import { floatTensor, weaveBytes } from "./weights.ts";

/** How to change a tensor's values; undefined leaves it unchanged. */
export type ChangeWeights = (
  name: string,
) => ((value: number, index: number) => number) | undefined;

const mini = repositoryPath("weights/mini");

/**
 * A component's file with some tensors changed, which are then f32.
 *
 * @throws {Error} where no tensor was changed
 */
export async function changedComponent(
  component: string,
  change: ChangeWeights,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await Deno.readFile(`${mini}/${component}.weave`);
  const { config, tensors } = await openWeave(new MemorySource(bytes));
  let changed = 0;
  const written = await Promise.all(
    [...tensors.values()].map(async (tensor) => {
      const { name, dtype, shape } = tensor;
      const values = change(name);
      if (!values) return { name, dtype, shape, data: () => tensor.chunks() };
      changed++;
      const chunks = await Array.fromAsync(weaveFloats(tensor));
      const floats = chunks.flatMap((chunk) => [...chunk]);
      return floatTensor(name, shape, floats.map(values));
    }),
  );
  if (changed === 0) throw new Error(`No tensor of ${component} was changed`);
  return await weaveBytes({ component, config, tensors: written });
}

/** The mini model's files, one of them changed. */
export async function changedFiles(
  component: string,
  change: ChangeWeights,
): Promise<ModelFiles> {
  const files: Record<string, MemorySource> = {};
  for await (const { name } of Deno.readDir(mini)) {
    if (!name.endsWith(".weave")) continue;
    const own = name.replace(".weave", "");
    files[own] = new MemorySource(
      own === component
        ? await changedComponent(component, change)
        : await Deno.readFile(`${mini}/${name}`),
      name,
    );
  }
  return files as ModelFiles;
}

/** Changes a VAE so that it overflows in f16, but not in f32. */
export const overflowing: ChangeWeights = (name) =>
  name.startsWith("decoder.conv_in.") ? (value) => 30000 * value : undefined;

/** Makes one value of a tensor NaN. */
export function brokenTensor(tensor: string): ChangeWeights {
  return (name) =>
    name === tensor ? (value, i) => i === 0 ? NaN : value : undefined;
}
