/**
 * Loads the model that was chosen.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { CallOptions } from "../../base/progress.ts";
import { MasterWeaver } from "../masterweaver.ts";
import type { ModelChoice } from "./model_choice.ts";
import { loadChoices, type Task } from "./task.ts";

/**
 * Loads the model. A storage type that is only repeated is dropped where the adapter
 * lacks it.
 *
 * @throws {MasterWeaverError} as `MasterWeaver.load`
 */
export async function loadModel(
  task: Task,
  { model, adapter }: Pick<ModelChoice, "model" | "adapter">,
  call: CallOptions,
): Promise<MasterWeaver> {
  const { dtype, ...choices } = loadChoices(task);
  const options = { ...call, ...choices, adapter };
  try {
    return await MasterWeaver.load(model, { ...options, dtype });
  } catch (error) {
    const isRepeated = task.flags.dtype === undefined && dtype !== undefined;
    if (
      !isRepeated || !(error instanceof MasterWeaverError) ||
      error.code !== "bad-option"
    ) throw error;
    const weaver = await MasterWeaver.load(model, options);
    call.onWarning?.(
      `The image will differ: it was made with --dtype ${dtype}, this adapter has ${weaver.dtype}`,
    );
    return weaver;
  }
}
