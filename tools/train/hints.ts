/**
 * Options that people bring from other trainers, and what does the same here.
 *
 * @module
 */
import type { Hints } from "../../src/host/arguments.ts";

const VALIDATION =
  "give --vis-steps; grids show the data set's people and prompts in turn";

/** What to give instead, by the options of diffusers, kohya and accelerate. */
export const HINTS: Hints = {
  "gradient-checkpointing": "give --recompute block",
  "checkpointing-steps": "give --save-steps",
  "checkpoints-total-limit": "give --keep-last",
  "report-to": "give --tensorboard; report.html is always written",
  "resume-from-checkpoint":
    "run the same command again with the same --out, and it goes on",
  "output-dir": "give --out",
  "pretrained-model-name-or-path":
    "give --model, the folder of a model that tools/convert.ts converted",
  "train-data-dir": "give --data, a data set that tools/dataset.ts made",
  "network-dim": "give --rank",
  "network-alpha": "give --alpha",
  "num-train-epochs": "give --max-train-steps, the number of updates",
  "validation-prompt": VALIDATION,
  "validation-prompts": VALIDATION,
  "validation-steps": VALIDATION,
  "validation-epochs": VALIDATION,
  "use-ema": "give --ema-decay, such as 0.9999",
};
