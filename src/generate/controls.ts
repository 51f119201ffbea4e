/**
 * The ControlNets of a call: which of them run at which steps, how strongly, and what
 * is computed of their images before the first step.
 *
 * @module
 */
import { type CallOptions, networkProgress } from "../base/progress.ts";
import type { Image } from "../image/image.ts";
import { toChannels4 } from "../image/normalize.ts";
import { residualCount } from "../models/controlnet.ts";
import type { Component } from "../weights/components.ts";
import type { ControlNetConfig } from "../models/controlnet.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import type { ControlNetFile } from "./controlnet_file.ts";
import { controlImageGraph, controlImageName } from "./graphs/controls.ts";
import type { Handover } from "./handover.ts";
import { planKey } from "./plan_key.ts";
import type { ControlShape, RunShape } from "./run_shape.ts";
import { isActive, type StepKind } from "./step_kinds.ts";

/** A ControlNet with its image. */
export interface AppliedControl {
  /** The ControlNet. */
  readonly net: ControlNetFile;
  /** What it sees, of the size of the image that is made. */
  readonly image: Image;
  /** What it says is multiplied by this. */
  readonly scale: number;
  /** The fraction of the steps from which it runs. */
  readonly start: number;
  /** The fraction of the steps up to which it runs. */
  readonly end: number;
}

/** The ControlNets of a call that run at some step. */
export interface UsedControls {
  /** Each with its image. */
  readonly controls: readonly AppliedControl[];
  /** The ControlNets, each once. */
  readonly nets: readonly Component<ControlNetConfig>[];
  /** What decides graphs. */
  readonly shape: ControlShape;
}

/**
 * Leaves out what has no effect.
 *
 * @param steps number of steps that are run
 * @param guess whether they see the conditional half of guidance alone
 * @returns undefined where nothing is left
 */
export function usedControls(
  given: readonly AppliedControl[],
  steps: number,
  guess: boolean,
): UsedControls | undefined {
  const controls = given.filter((control) =>
    control.scale !== 0 &&
    Array.from({ length: steps }, (_, step) => step)
      .some((step) => isActive(control, step, steps))
  );
  if (controls.length === 0) return undefined;
  const files = [...new Map(controls.map(({ net }) => [net.hash, net]))];
  return {
    controls,
    nets: files.map(([, { component }]) => component),
    shape: {
      nets: controls.map(({ net }) =>
        files.findIndex(([hash]) => hash === net.hash)
      ),
      hashes: files.map(([hash]) => hash),
      guess,
    },
  };
}

/**
 * Computes what the ControlNets see of their images, which is the same at every step,
 * and writes it to the handover.
 *
 * @throws {MasterWeaverError} `aborted`, `bad-model`, `cannot-read`, `out-of-memory`, `device-lost`, `gpu`
 */
export async function encodeControls(
  { gpu, storage, networks }: GeneratorContext,
  { height, width }: RunShape,
  handover: Handover,
  { controls, nets, shape }: UsedControls,
  options: CallOptions,
): Promise<void> {
  const details = { height, width, controls: shape };
  await networks.control.use({
    plans: {
      images: {
        key: planKey({ graph: "control", storage, details }),
        graph: () => controlImageGraph(storage, nets, details),
        bindings: handover.bindings,
      },
    },
    ...networkProgress("ControlNet", options),
  }, async ({ images }) => {
    controls.forEach(({ image }, i) => {
      const { channelOrder } = nets[shape.nets[i]].config;
      const rgb = toChannels4(image, [0, 0, 0], [1, 1, 1]);
      images.write(controlImageName(i), inOrder(rgb, channelOrder));
    });
    await images.runPaced(callPace(gpu, options));
  });
}

/** Pixels (H, W, 4) with their colours in the order in which a ControlNet reads them. */
export function inOrder(
  rgb: Float32Array,
  order: ControlNetConfig["channelOrder"],
): Float32Array {
  if (order === "rgb") return rgb;
  const pixels = rgb.slice();
  for (let i = 0; i < pixels.length; i += 4) {
    [pixels[i], pixels[i + 2]] = [pixels[i + 2], pixels[i]];
  }
  return pixels;
}

/**
 * What each residual of a control is multiplied by, f32 (N, B): in guess mode the
 * first least, and nothing where there is no prompt.
 *
 * @param control its number
 */
export function controlScales(
  { controls, nets, shape }: UsedControls,
  control: number,
  images: number,
  { guided }: StepKind,
): Float32Array {
  const { scale } = controls[control];
  const count = residualCount(nets[shape.nets[control]].config);
  const batch = (guided ? 2 : 1) * images;
  const scales = new Float32Array(count * batch);
  for (let row = 0; row < count; row++) {
    // As torch.logspace(-1, 0, count).
    const factor = shape.guess ? 10 ** (row / (count - 1) - 1) : 1;
    const end = shape.guess ? images : batch;
    scales.fill(scale * factor, row * batch, row * batch + end);
  }
  return scales;
}
