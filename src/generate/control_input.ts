/**
 * ControlNets as the library takes them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatValue, formatWord } from "../base/format_value.ts";
import { checkImage } from "../image/check.ts";
import { copyImage, type Image } from "../image/image.ts";
import type { UNetConfig } from "../models/unet.ts";
import {
  CONTROL_PREPROCESSORS,
  type ControlPreprocess,
  MAX_CONTROL_SCALE,
} from "../options/control_types.ts";
import { fractions } from "../options/types.ts";
import { type ControlNet, ControlNetFile } from "./controlnet_file.ts";

/** More at once than anyone has memory for. */
const MOST_CONTROLS = 16;

/** A ControlNet of an image. */
export interface ControlUse {
  /** The ControlNet, of `readControlNet`. */
  readonly net: ControlNet;
  /**
   * What it sees: a control image, or any photo with `preprocess`. It is resized to
   * the size of the image that is made, as diffusers does (Lanczos).
   */
  readonly image: Image;
  /** What it says is multiplied by this, −10..10; 1 where not given. */
  readonly scale?: number;
  /** The fraction of the steps from which it runs, 0..1; 0 where not given. */
  readonly start?: number;
  /** The fraction of the steps up to which it runs, 0..1; 1 where not given. */
  readonly end?: number;
  /**
   * What is made of the image first: its edges, white on black (`canny`), or the 68
   * landmarks of its faces, white points on black (`face`); nothing where not given.
   */
  readonly preprocess?: ControlPreprocess;
}

/** A ControlNet whose options are checked. */
export interface CheckedControl extends Required<Omit<ControlUse, "net">> {
  /** The ControlNet. */
  readonly net: ControlNetFile;
}

/** What a ControlNet must fit. */
export interface ControlledModel {
  /** The model's UNet. */
  readonly unet: { readonly config: UNetConfig };
  /** The model's autoencoder. */
  readonly vae: { readonly config: { readonly factor: number } };
}

/**
 * Checks the ControlNets of a call, and that they fit the model.
 *
 * @param given whatever stands in the option `controls`
 * @param guessMode the option of that name
 * @throws {MasterWeaverError} `bad-option`, `bad-image`, `bad-model` where one is for another model
 */
export function checkControls(
  given: unknown,
  guessMode: boolean,
  model: ControlledModel,
): readonly CheckedControl[] {
  const uses: readonly unknown[] = given === undefined
    ? []
    : Array.isArray(given)
    ? given
    : refuse("must be a list of { net, image, scale }", given);
  if (uses.length > MOST_CONTROLS) {
    refuse(`may have at most ${MOST_CONTROLS}`, uses.length);
  }
  if (guessMode && uses.length === 0) {
    throw new MasterWeaverError(
      "bad-option",
      "Option guessMode needs a ControlNet: give one in controls, or leave guessMode out",
    );
  }
  return uses.map((use, i) => checkUse(use, i, model));
}

function checkUse(
  use: unknown,
  index: number,
  model: ControlledModel,
): CheckedControl {
  const { net, image, scale = 1, start = 0, end = 1, preprocess = "none" } =
    Object(use);
  if (!(net instanceof ControlNetFile)) {
    refuse("must hold { net: await readControlNet(source), image }", use);
  }
  const named = `controls[${index}]`;
  if (typeof scale !== "number" || !(Math.abs(scale) <= MAX_CONTROL_SCALE)) {
    refuse(
      `has a wrong scale, a number in -${MAX_CONTROL_SCALE}..${MAX_CONTROL_SCALE}`,
      scale,
    );
  }
  const fault = fractions.fault([start, end]);
  if (fault !== undefined) {
    refuse(`has a wrong start and end, ${fault}`, [start, end]);
  }
  const isKnown = CONTROL_PREPROCESSORS.some((name) => name === preprocess);
  if (!isKnown) {
    refuse(
      `has a wrong preprocess, ${CONTROL_PREPROCESSORS.join(", ")}`,
      preprocess,
      formatWord,
    );
  }
  checkImage(image, `${named}.image`);
  checkFits(net, model);
  // The caller may change its own before this call has its turn.
  return { net, image: copyImage(image), scale, start, end, preprocess };
}

/** Requires that what a ControlNet says can be added to the UNet. */
function checkFits(
  { name, component: { config } }: ControlNetFile,
  { unet, vae }: ControlledModel,
): void {
  const { config: own } = unet;
  const pairs: readonly (readonly [key: string, found: string, own: string])[] =
    [
      [
        "block_out_channels",
        config.blockOutChannels.join(", "),
        own.blockOutChannels.join(", "),
      ],
      [
        "layers_per_block",
        `${config.layersPerBlock}`,
        `${own.layersPerBlock}`,
      ],
      [
        "cross_attention_dim",
        `${config.crossAttentionDim}`,
        `${own.crossAttentionDim}`,
      ],
      ["in_channels", `${config.channels}`, `${own.channels}`],
    ];
  const wrong = pairs.find(([, found, expected]) => found !== expected);
  if (wrong) {
    const [key, found, expected] = wrong;
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use the ControlNet ${name} with this model: its ${key} is ${found}, the UNet's ${expected}; give one that was trained for this kind of model`,
    );
  }
  const { factor } = vae.config;
  if (config.factor !== factor) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use the ControlNet ${name} with this model: it reduces images by ${config.factor}, the autoencoder by ${factor}; give one that was trained for this kind of model`,
    );
  }
}

function refuse(
  what: string,
  given: unknown,
  show: (value: unknown) => string = formatValue,
): never {
  throw new MasterWeaverError(
    "bad-option",
    `Option controls ${what}, got ${show(given)}`,
  );
}
