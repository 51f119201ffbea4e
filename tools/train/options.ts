/**
 * The options of training: the reference's, under its names, and what was added.
 *
 * @module
 */
import { UsageError } from "../../src/host/exit.ts";
import { DEFAULT_TARGETS } from "../../src/train/lora.ts";
import { SCHEDULES } from "../../src/train/optimiser/schedules.ts";
import { LAMBDA_EDIT, type Stage } from "../../src/train/stages.ts";
import {
  flag,
  listOf,
  oneOf,
  option,
  type Reader,
  refuse,
  text,
  type Values,
  whole,
} from "../tool.ts";

/** A number in a range. */
function number(
  least: number,
  most: number,
  expected: string,
): Reader<number> {
  return (value, name) => {
    const parsed = Number(value);
    const isNumber = value.trim() !== "" && Number.isFinite(parsed);
    if (isNumber && parsed >= least && parsed <= most) return parsed;
    return refuse(name, value, expected);
  };
}

const notNegative = number(0, Number.MAX_VALUE, "a number from 0 on");
const fraction = number(0, 1, "a number from 0 to 1");

/** `none`, `block`, `level`, or so many bytes such as 8GB. */
const memory: Reader<"none" | "block" | "level" | number> = (value, name) => {
  if (value === "none" || value === "block" || value === "level") return value;
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(MB|GB)$/i.exec(value) ?? [];
  if (!digits) {
    return refuse(name, value, "none, block, level, or a size such as 8GB");
  }
  return Number(digits) * (unit.toUpperCase() === "GB" ? 1e9 : 1e6);
};

/** The precisions of other trainers, less the one that WebGPU does not have. */
const precision: Reader<"no" | "fp16"> = (value, name) => {
  if (value === "no" || value === "fp16") return value;
  const why = value === "bf16" ? "; WebGPU has no bf16" : "";
  return refuse(name, value, `no or fp16${why}`);
};

/** The options of `tools/train.ts`. */
export const OPTIONS = {
  stage: option(oneOf(["1", "2"])),
  model: option(text),
  data: option(text),
  out: option(text),
  "adapter-path": option(text),
  train: option(oneOf(["adapter", "lora", "unet"]), "adapter"),
  resolution: option(whole(8, 4096)),
  seed: option(whole(0, 2 ** 32 - 1), "42"),
  "train-batch-size": option(whole(1, 4096), "4"),
  "gradient-accumulation-steps": option(whole(1, 4096), "4"),
  "max-train-steps": option(whole(1), "100000"),
  "learning-rate": option(notNegative),
  "scale-lr": flag,
  "no-scale-lr": flag,
  "lr-scheduler": option(oneOf(SCHEDULES), "constant"),
  "lr-warmup-steps": option(whole(0), "0"),
  "lambda-edit": option(notNegative, String(LAMBDA_EDIT)),
  "adam-beta1": option(fraction, "0.9"),
  "adam-beta2": option(fraction, "0.999"),
  "adam-weight-decay": option(notNegative, "0.01"),
  "adam-epsilon": option(notNegative, "1e-8"),
  "max-grad-norm": option(notNegative, "1"),
  "mixed-precision": option(precision, "no"),
  "dataloader-num-workers": option(whole(0, 64)),
  "save-steps": option(whole(1), "2000"),
  "vis-steps": option(whole(0), "200"),
  "keep-last": option(whole(1), "3"),
  "keep-every": option(whole(0), "0"),
  timesteps: option(oneOf(["uniform", "high"]), "uniform"),
  "snr-gamma": option(number(1e-3, 1e6, "a number above 0")),
  "initial-values": option(oneOf(["copy", "zero"]), "copy"),
  "edit-prompts": option(text),
  "ema-decay": option(fraction),
  recompute: option(memory, "none"),
  rank: option(whole(1, 4096), "4"),
  alpha: option(notNegative),
  "target-layers": option(listOf(text)),
  cache: option(text),
  "cache-size": option(number(0, 1e6, "a number of GB")),
  tune: option(oneOf(["auto", "off", "force"]), "off"),
  distributed: option(oneOf(["mpi"])),
  tensorboard: flag,
  replay: option(text),
  output: option(text),
  "to-pytorch": option(text),
  "from-pytorch": option(text),
  "num-processes": option(whole(1, 65536)),
  step: option(whole(0)),
  json: flag,
  quiet: flag,
};

/** What was given, by option. */
export type TrainValues = Values<typeof OPTIONS>;

/** The text of `--help`. */
export const USAGE =
  `Usage: deno run -A tools/train.ts --stage 1|2 --model DIR --data DIR --out RUN
       deno run -A tools/train.ts --train lora --model DIR --data DIR --out RUN
       deno run -A tools/train.ts --stage 1|2 --model DIR --adapter-path FILE
           --replay INPUTS.safetensors --output OUTPUTS.safetensors [--json]
       deno run -A tools/train.ts --to-pytorch RUN --output DIR [--step N]
       deno run -A tools/train.ts --from-pytorch DIR --out RUN …, as to train

Trains MasterWeaver's identity adapter, in the reference's two stages, on a data
set as tools/dataset.ts makes it. Stage 1 learns the adapter; stage 2 starts from
it and tunes its encoder so that prompts still change hair, glasses, expression.
Run again with the same --out to go on. Ctrl-C saves first, and ends with exit
code 1.

  --stage 1|2            which stage
  --model DIR            a converted model (tools/convert.ts)
  --data DIR             the data set's root
  --out RUN              the run's folder: checkpoints, metrics.jsonl, report.html
  --adapter-path FILE    the adapter to start from, .weave or .pt, or the folder of
                         the run that trained it; stage 2 needs one, stage 1
                         starts a fresh one without it
  --train WHAT           adapter, lora (of the UNet), unet (adapter)
                         A LoRA has no stage: its loss is the error in the
                         predicted noise alone, with each sample's references

Steps: one is an update of the parameters, from the gradients of some micro-batches
  --max-train-steps N    updates of the parameters (100000)
  --train-batch-size N   samples of a micro-batch, on each rank (4)
  --gradient-accumulation-steps N  micro-batches of an update (4)
  --resolution N         side of the images in pixels (the model's own)
  --seed N               (42)
  --mixed-precision no|fp16  fp16: activations in f16, with loss scaling (no)
  --recompute WHAT       none, block, level, or most GPU memory such as 8GB: what
                         is computed again in the backward pass (none)

Learning
  --learning-rate X      (1e-6; of a LoRA 1e-4)
  --scale-lr, --no-scale-lr  multiply it by ranks × batch × accumulation (on,
                         unless --learning-rate is given or for a LoRA)
  --lr-scheduler NAME    ${SCHEDULES.slice(0, 3).join(", ")},
                         ${SCHEDULES.slice(3).join(", ")} (constant)
  --lr-warmup-steps N    in updates (0)
  --lambda-edit X        weight of the editing-direction loss (${LAMBDA_EDIT})
  --edit-prompts FILE    other edits, one a line, such as: smiling {}
  --adam-beta1 X --adam-beta2 X --adam-weight-decay X --adam-epsilon X
                         (0.9, 0.999, 0.01, 1e-8)
  --max-grad-norm X      (1; 0: gradients are not clipped)

What the reference does not have, off by default
  --timesteps high       draw mostly noisy timesteps, which show who it is
  --snr-gamma X          min-SNR weighting
  --initial-values zero  a fresh adapter's values start at zero
  --ema-decay X          also keep a running mean of the parameters, of which X
                         stays at an update (less at first), and save it beside
                         them as adapter_ema_…; grids are drawn with it
  --rank N --alpha X     of a LoRA; it is multiplied by alpha / rank (4, the rank)
  --target-layers A,B,…  ends of the paths of the layers that a LoRA changes, such
                         as ff.net.0.proj, proj_in or conv1 (${
    DEFAULT_TARGETS.join(",")
  })

What is written
  --save-steps N         updates between checkpoints (2000)
  --keep-last N          checkpoints that are kept (3)
  --keep-every N         and those of every N-th update (0: none)
  --vis-steps N          updates between grids of images (200; 0: none); with each,
                         the loss in noisy images with the own face, with none
                         and with another's is recorded: loss_own, loss_none,
                         loss_other
  --tensorboard          also write event files
  --cache DIR            keep latents and features of frozen networks there
                         (RUN/cache)
  --cache-size GB        most that is kept (20; 0: nothing)
  --dataloader-num-workers N  (as many as there are cores, at most 16)
  --tune auto|off|force  measure kernels first (off: the same bits everywhere)
  --distributed mpi      one process of several, started by mpirun; to save and
                         stop: kill -USR2 mpirun (Ctrl-C leaves no time to save)

  --replay FILE          run recorded steps instead, and write losses, gradients
                         and parameters to --output
  --to-pytorch RUN       write the run's newest checkpoint, or that of --step N,
                         to the folder --output, for accelerate's load_state
  --from-pytorch DIR     make the run --out from what accelerate's save_state
                         wrote; the same command without it goes on from there
  --num-processes N      processes of accelerate, in both directions (the run's;
                         read from the folder)
  --json                 one JSON object on stdout
  --quiet                no report, no progress
  -h, --help             this text`;

/** The reference's learning rate, before it is scaled. */
const LEARNING_RATE = 1e-6;
/** What others train a LoRA with; it is not scaled. */
const LORA_LEARNING_RATE = 1e-4;
/** That of the recorded steps that come with the project. */
export const REPLAY_LEARNING_RATE = 1e-4;

/** The stage that was asked for; a LoRA has none, and trains as stage 1 does. */
export function stageOf(values: TrainValues): Stage {
  if (values.train === "lora") {
    if (values.stage !== "2") return 1;
    throw new UsageError("A LoRA has no stage 2: leave --stage out");
  }
  if (values.stage === undefined) {
    throw new UsageError("Give --stage 1 or --stage 2");
  }
  return values.stage === "1" ? 1 : 2;
}

/** Samples of an update, of all ranks together. */
export function samplesOfUpdate(values: TrainValues, ranks: number): number {
  return ranks * values["train-batch-size"] *
    values["gradient-accumulation-steps"];
}

/** Whether the learning rate is multiplied by the samples of an update. */
export function isScaled(values: TrainValues): boolean {
  if (values["scale-lr"] && values["no-scale-lr"]) {
    throw new UsageError("Give --scale-lr or --no-scale-lr, not both");
  }
  return values["scale-lr"] ||
    values["learning-rate"] === undefined && !values["no-scale-lr"] &&
      values.train !== "lora";
}

/** The learning rate, scaled unless it was given as it is. */
export function learningRateOf(values: TrainValues, ranks: number): number {
  const usual = values.train === "lora" ? LORA_LEARNING_RATE : LEARNING_RATE;
  const given = values["learning-rate"];
  const factor = isScaled(values) ? samplesOfUpdate(values, ranks) : 1;
  const rate = (given ?? usual) * factor;
  if (Number.isFinite(rate)) return rate;
  throw new UsageError(
    `--learning-rate is ${given}, times ${factor} by --scale-lr, expected a number that is finite then`,
  );
}

/** Options, and what must hold for them to have an effect. */
const CONDITIONS: readonly (readonly [
  names: readonly (keyof TrainValues)[],
  holds: (values: TrainValues) => boolean,
  advice: string,
])[] = [
  [
    ["rank", "alpha", "target-layers"],
    ({ train }) => train === "lora",
    "give --train lora, or leave it out",
  ],
  [
    ["lambda-edit", "edit-prompts"],
    (values) => stageOf(values) === 2,
    "edits belong to --stage 2; leave it out",
  ],
  [
    ["initial-values"],
    (values) =>
      values.train === "adapter" && values["adapter-path"] === undefined,
    "it is for a fresh adapter, without --adapter-path; leave it out",
  ],
];

/**
 * Refuses options that have no effect on what is trained. One that is given its
 * usual value says nothing wrong.
 *
 * @throws {UsageError}
 */
export function checkEffects(values: TrainValues): void {
  for (const [names, holds, advice] of CONDITIONS) {
    const idle = names.find((name) =>
      values[name] !== OPTIONS[name].read(OPTIONS[name].default, name)
    );
    if (idle === undefined || holds(values)) continue;
    throw new UsageError(`--${idle} has no effect here: ${advice}`);
  }
}

/** The values of options that must be given. */
export function required<N extends keyof TrainValues>(
  values: TrainValues,
  ...names: N[]
): { [K in N]: NonNullable<TrainValues[K]> } {
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length > 0) {
    throw new UsageError(
      `Give ${missing.map((name) => `--${name}`).join(", ")}`,
    );
  }
  return values as { [K in N]: NonNullable<TrainValues[K]> };
}
