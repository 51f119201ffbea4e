/**
 * A LoRA's strength block by block, as AUTOMATIC1111's users give it.
 *
 * The blocks are numbered as the original UNet's: `IN00` is its first
 * convolution, then each layer and each downsampling going down is one, `M00` is
 * the middle, and each layer going up is one, with the upsampling after it. What
 * lies outside (the text encoder, the time embedding, the last layers) is `BASE`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { UNetConfig } from "../models/unet.ts";

/** The places among the 26 of the 17 blocks that have attention, which lists of 17 give. */
const WITH_ATTENTION = [
  ...[0, 2, 3, 5, 6, 8, 9],
  ...[13, 17, 18, 19, 20, 21, 22, 23, 24, 25],
];
/** Blocks of Stable Diffusion 1.5: base, 12 in, the middle, 12 out. */
const ALL = 26;

/** The sizes that decide how blocks are numbered. */
export type Levels = Pick<UNetConfig, "blockOutChannels" | "layersPerBlock">;

/** The strength of a layer of the UNet, by its path; of the text encoder without one. */
export type BlockStrength = (path?: string) => number;

/**
 * What a list of blocks multiplies each layer by.
 *
 * @param lora what messages call the LoRA
 * @param blocks `BASE`, `IN00`…, `M00`, `OUT00`…: 26 numbers for Stable Diffusion 1.5;
 *   or 17, for the blocks with attention, where the others are 0
 * @throws {MasterWeaverError} `bad-option` for a list of another length
 */
export function blockStrength(
  lora: string,
  blocks: readonly number[],
  levels: Levels,
): BlockStrength {
  const count = levels.blockOutChannels.length;
  const ins = count * (levels.layersPerBlock + 1);
  const total = 2 * ins + 2;
  const has17 = total === ALL;
  const all = has17 && blocks.length === WITH_ATTENTION.length
    ? spread(blocks)
    : blocks;
  if (all.length !== total) {
    throw new MasterWeaverError(
      "bad-option",
      `Option lora gives ${blocks.length} block weights for ${lora}, expected ${
        has17 ? `${WITH_ATTENTION.length} or ` : ""
      }${total}: BASE, ${
        has17 ? "then those with attention, or " : ""
      }IN00 to IN${twoDigits(ins - 1)}, M00, OUT00 to OUT${twoDigits(ins - 1)}`,
    );
  }
  return (path) => all[path === undefined ? 0 : blockOf(path, levels, ins)];
}

function spread(blocks: readonly number[]): number[] {
  const all = new Array<number>(ALL).fill(0);
  WITH_ATTENTION.forEach((place, i) => all[place] = blocks[i]);
  return all;
}

/** The place of a layer's block in a list of all. */
function blockOf(
  path: string,
  { layersPerBlock }: Levels,
  ins: number,
): number {
  if (path.startsWith("conv_in.")) return 1;
  if (path.startsWith("mid_block.")) return 1 + ins;
  const [, direction, level, kind, layer] =
    /^(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)/.exec(path) ?? [];
  if (direction === undefined) return 0;
  const first = Number(level) * (layersPerBlock + 1);
  const within = kind === "downsamplers" || kind === "upsamplers"
    ? layersPerBlock
    : Number(layer);
  return direction === "down" ? 2 + first + within : 2 + ins + first + within;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
