/**
 * An identity adapter's tensors as the two state dicts of the reference's
 * checkpoint.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "../weights/brief.ts";
import { inModuleOrder } from "./module_order.ts";
import { checkpointKey } from "./tables/identity_adapter.ts";
import type { TorchDict, TorchTensor } from "./torch_writer.ts";

/**
 * Sorts an adapter's tensors into `id_encoder` and `adapter_modules`, under the
 * reference's names and in the order of its modules.
 *
 * @param source where they come from, for messages
 * @param tensors by the names of a converted adapter, in any order
 * @throws {MasterWeaverError} `bad-model` for a tensor that is none of an adapter's
 */
export function adapterDicts(
  source: string,
  tensors: readonly TorchTensor[],
): TorchDict[] {
  const key = checkpointKey(tensors.map(({ name }) => name));
  const dicts = new Map<string, TorchTensor[]>([
    ["id_encoder", []],
    ["adapter_modules", []],
  ]);
  for (const tensor of tensors) {
    const path = key(tensor.name);
    const dict = path && dicts.get(path.dict);
    if (!dict) {
      throw new MasterWeaverError(
        "bad-model",
        `Cannot write ${source} for PyTorch: the reference has no name for its tensor ${
          brief(tensor.name)
        }`,
      );
    }
    dict.push({ ...tensor, name: path.name });
  }
  return [...dicts].map(([name, tensors]) => ({
    name,
    tensors: inModuleOrder(tensors),
  }));
}
