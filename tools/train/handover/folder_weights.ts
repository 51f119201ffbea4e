/**
 * Weights of an adapter in a folder of PyTorch's, in any of the layouts in which
 * a training script saves them.
 *
 * @module
 */
import {
  badCheckpoint,
  type CheckpointTensor,
} from "../../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../../src/checkpoints/open.ts";
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { FileSource } from "../../../src/host/files.ts";

/** An adapter's tensors. */
export interface FolderWeights {
  /** The files they are in, for messages. */
  readonly name: string;
  /** By path in the adapter's `.pt`: a state dict's name, and its own in it. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
}

/** The state dicts of an adapter, in the order in which their modules are prepared. */
const DICTS = ["id_encoder", "adapter_modules"];
/** What wrappers of modules put before names. */
const WRAPPED = /^(?:module\.|_orig_mod\.)+/;
const ADAPTER = /^adapter_(\d+|final)\.pt$/;

/**
 * Finds an adapter's weights: as accelerate saves one module or two, else
 * `adapter_….pt`.
 *
 * @param path the folder
 * @param names of all files in it
 * @param stack keeps the files open
 * @throws {MasterWeaverError} `bad-option` where there are none; `bad-checkpoint`, `cannot-read`
 */
export async function openFolderWeights(
  path: string,
  names: readonly string[],
  stack: AsyncDisposableStack,
): Promise<FolderWeights> {
  const open = async (name: string) => {
    const source = stack.use(await FileSource.open(`${path}/${name}`));
    return await openCheckpoint(source);
  };
  const models = [0, 1].map((i) => modelName(i, names));
  const [first, second] = models;
  if (first !== undefined) {
    const { tensors } = await open(first);
    const found = unwrapped(tensors);
    if (isAdapter(found)) return { name: `${path}/${first}`, tensors: found };
    // Two modules that were prepared one after the other.
    const others = second && unwrapped((await open(second)).tensors);
    const whole = new Map([
      ...prefixed(DICTS[0], found),
      ...others ? prefixed(DICTS[1], others) : [],
    ]);
    return {
      name: `${path}/${[first, second].filter(Boolean)}`,
      tensors: whole,
    };
  }
  const adapters = names.filter((name) => ADAPTER.test(name));
  if (adapters.length === 1) {
    const { tensors } = await open(adapters[0]);
    const name = `${path}/${adapters[0]}`;
    if (isAdapter(tensors)) return { name, tensors };
    throw badCheckpoint(name, `it holds no ${DICTS.join(" and ")}`);
  }
  throw new MasterWeaverError(
    "bad-option",
    `Cannot go on from ${path}: expected model.safetensors, pytorch_model.bin or one adapter_….pt, found ${
      adapters.length > 1 ? adapters.join(", ") : "none of them"
    }`,
  );
}

/** The step that the name of an adapter in a folder says. */
export function stepOfAdapter(names: readonly string[]): number | undefined {
  const steps = names.flatMap((name) => {
    const step = Number(ADAPTER.exec(name)?.[1] ?? NaN);
    return Number.isNaN(step) ? [] : [step];
  });
  return steps.length === 1 ? steps[0] : undefined;
}

/** The file of the i-th module that was prepared. */
function modelName(i: number, names: readonly string[]): string | undefined {
  const ending = i > 0 ? `_${i}` : "";
  return [`model${ending}.safetensors`, `pytorch_model${ending}.bin`]
    .find((name) => names.includes(name));
}

function unwrapped(
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Map<string, CheckpointTensor> {
  return new Map(
    [...tensors].map(([name, tensor]) => [name.replace(WRAPPED, ""), tensor]),
  );
}

function prefixed(
  dict: string,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): [string, CheckpointTensor][] {
  return [...tensors].map(([name, tensor]) => [`${dict}.${name}`, tensor]);
}

function isAdapter(tensors: ReadonlyMap<string, unknown>): boolean {
  return [...tensors.keys()].some((name) => name.startsWith(`${DICTS[0]}.`));
}
