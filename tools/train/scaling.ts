/**
 * Predicts how training scales over GPUs and machines that are not at hand.
 *
 *     deno run -A tools/train/scaling.ts --step-seconds 0.4
 *
 * @module
 */
import { print } from "../../src/host/streams.ts";
import { UsageError } from "../../src/host/exit.ts";
import { BLOCK_BYTES } from "../../src/train/optimiser/parameter_layout.ts";
import { figure, type Table, tableText } from "../bench/table.ts";
import {
  flag,
  option,
  printJson,
  type Reader,
  refuse,
  toolMain,
  whole,
} from "../tool.ts";

const USAGE =
  `Usage: deno run -A tools/train/scaling.ts --step-seconds X [options]

Predicts how training scales: the time of an update on 1, 4, 16 and 64 GPUs, of
which each holds the whole model, and gradients are added up in a ring through
the machines' memory. A bound from below: no rank waits for a slower one.

  --step-seconds X        a step of one GPU, forward and backward, as measured
  --gradient-megabytes X  gradients in f32; the adapter of Stable Diffusion 1.5
                          has as many (148)
  --accumulation N        steps of an update (4)
  --hidden-seconds X      work between the last backward pass and the update that
                          needs no gradients, such as the next batch's text and
                          references (0)
  --gpus-per-machine N    (8)
  --memory X              GB/s that the ranks of a machine exchange together (40)
  --link X                GB/s between two machines (12.5, 100 Gbit/s)
  --latency X             microseconds of a message (20)
  --bus X                 GB/s between a GPU and its machine's memory (12)
  --json                  the same as one line of JSON
  -h, --help              this text`;

/** What the prediction is made from. */
export interface ScalingTask {
  /** Seconds of a step of one GPU, forward and backward. */
  readonly stepSeconds: number;
  /** Bytes of all gradients. */
  readonly gradientBytes: number;
  /** Bytes that are read back, added up and written at once. */
  readonly blockBytes: number;
  /** Steps of an update. */
  readonly accumulation: number;
  /** Seconds of work that goes on meanwhile. */
  readonly hiddenSeconds: number;
  /** GPUs of a machine. */
  readonly perMachine: number;
  /** Bytes a second that the ranks of a machine exchange together. */
  readonly memory: number;
  /** Bytes a second between two machines. */
  readonly link: number;
  /** Seconds until a message arrives. */
  readonly latency: number;
  /** Bytes a second between a GPU and the memory of its machine. */
  readonly bus: number;
}

/** What a number of GPUs makes of it. */
export interface Scaling {
  /** Seconds from the last backward pass until the sum is on the GPU. */
  readonly exchange: number;
  /** Seconds of an update. */
  readonly update: number;
  /** Samples a second, against one GPU's. */
  readonly speedUp: number;
  /** The share of one GPU's samples a second that each has. */
  readonly efficiency: number;
}

/**
 * Seconds of an all-reduce in a ring: each rank sends 2 (n − 1) parts of 1/n to
 * the next.
 *
 * @param bandwidth bytes a second of the slowest of its links
 */
export function ringSeconds(
  bytes: number,
  ranks: number,
  bandwidth: number,
  latency: number,
): number {
  return 2 * (ranks - 1) * (bytes / ranks / bandwidth + latency);
}

/** Predicts an update on a number of GPUs. */
export function predictScaling(task: ScalingTask, gpus: number): Scaling {
  const alone = task.accumulation * task.stepSeconds;
  const exchange = gpus === 1 ? 0 : exchangeSeconds(task, gpus);
  const update = alone + Math.max(0, exchange - task.hiddenSeconds);
  const efficiency = alone / update;
  return { exchange, update, speedUp: gpus * efficiency, efficiency };
}

/** A block is read from the GPU while the one before it is added up and written. */
function exchangeSeconds(task: ScalingTask, gpus: number): number {
  const { gradientBytes, blockBytes, perMachine, bus } = task;
  const blocks = Math.max(1, Math.ceil(gradientBytes / blockBytes));
  const bytes = gradientBytes / blocks;
  const inside = task.memory / Math.min(gpus, perMachine);
  // Ranks of a machine follow each other in the ring: one link leaves it.
  const bandwidth = gpus > perMachine ? Math.min(inside, task.link) : inside;
  const read = bytes / bus;
  const addAndWrite = ringSeconds(bytes, gpus, bandwidth, task.latency) +
    bytes / bus;
  return read + (blocks - 1) * Math.max(read, addAndWrite) + addAndWrite;
}

/** The prediction as a table. */
export function scalingTable(
  task: ScalingTask,
  counts: readonly number[] = [1, 4, 16, 64],
): Table {
  return {
    section: "scaling",
    subject:
      `an update of ${task.accumulation} steps of ${task.stepSeconds} s, ${
        (task.gradientBytes / 1e6).toFixed(0)
      } MB of gradients`,
    rows: counts.map((gpus) => {
      const predicted = predictScaling(task, gpus);
      return {
        labels: [`${gpus} GPU${gpus === 1 ? "" : "s"}`],
        figures: [
          figure("exchange", 1000 * predicted.exchange, "ms"),
          figure("update", 1000 * predicted.update, "ms"),
          figure("speed-up", predicted.speedUp, "×"),
          figure("efficiency", predicted.efficiency, "share"),
        ],
      };
    }),
    notes: [
      `${task.perMachine} GPUs a machine, ${task.memory / 1e9} GB/s in it, ${
        task.link / 1e9
      } GB/s between machines, ${task.bus / 1e9} GB/s to a GPU, ${
        (1e6 * task.latency).toFixed(0)
      } µs a message`,
    ],
  };
}

/** A number above or from zero. */
function number(least: "above 0" | "from 0"): Reader<number> {
  return (value, name) => {
    const read = Number(value);
    const isEnough = least === "from 0" ? read >= 0 : read > 0;
    return value.trim() !== "" && isEnough && read < Infinity
      ? read
      : refuse(name, value, `a number ${least}`);
  };
}

/** Predicts, from the command line's figures. */
export const main = toolMain({
  usage: USAGE,
  options: {
    "step-seconds": option(number("above 0")),
    "gradient-megabytes": option(number("above 0"), "148"),
    accumulation: option(whole(1), "4"),
    "hidden-seconds": option(number("from 0"), "0"),
    "gpus-per-machine": option(whole(1), "8"),
    memory: option(number("above 0"), "40"),
    link: option(number("above 0"), "12.5"),
    latency: option(number("from 0"), "20"),
    bus: option(number("above 0"), "12"),
    json: flag,
  },
  run(asked) {
    const stepSeconds = asked["step-seconds"];
    if (stepSeconds === undefined) {
      throw new UsageError(
        "--step-seconds is missing, expected a number above 0",
      );
    }
    const table = scalingTable({
      stepSeconds,
      gradientBytes: 1e6 * asked["gradient-megabytes"],
      blockBytes: BLOCK_BYTES,
      accumulation: asked.accumulation,
      hiddenSeconds: asked["hidden-seconds"],
      perMachine: asked["gpus-per-machine"],
      memory: 1e9 * asked.memory,
      link: 1e9 * asked.link,
      latency: asked.latency / 1e6,
      bus: 1e9 * asked.bus,
    });
    if (asked.json) printJson({ tables: [table] });
    else print(`${tableText(table)}\n`);
    return Promise.resolve();
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);
