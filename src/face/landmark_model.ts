/**
 * The landmark model, read from the component `landmarks`.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { WeaveFile } from "../weights/weave.ts";
import {
  LEAF_BLOCK,
  type Leaves,
  PackedLeaves,
  PlainLeaves,
} from "./leaves.ts";
import { allFinite, readTensor } from "./tensors.ts";

/** Points of a face: jaw 0–16, brows, nose, eyes 36–47, mouth 48–67. */
export const LANDMARKS = 68;
/** Coordinates of a shape: x and y of each point in turn. */
export const SHAPE_VALUES: number = 2 * LANDMARKS;

/** Blocks of packed values in a leaf. */
export const LEAF_BLOCKS: number = SHAPE_VALUES / LEAF_BLOCK;
/** The largest sizes accepted. */
export const MAX_SIZES: LandmarkSizes = {
  cascades: 100,
  trees: 10000,
  splits: 1023,
  pixels: 65536,
};

/** Sizes of a {@linkcode LandmarkPredictor}. */
export interface LandmarkSizes {
  /** Corrections of the shape, one after the other. */
  readonly cascades: number;
  /** Regression trees of a cascade. */
  readonly trees: number;
  /** Comparisons of a tree, which has one leaf more. */
  readonly splits: number;
  /** Pixels that a cascade reads. */
  readonly pixels: number;
}

/**
 * An ensemble of regression trees (Kazemi and Sullivan, 2014). Shapes are
 * normalised to the face's rectangle: (0, 0) its first corner, (1, 1) its last.
 */
export interface LandmarkPredictor extends LandmarkSizes {
  /** (136): where the shape starts. */
  readonly initialShape: Float32Array;
  /** (cascades, trees, splits, 2): the two pixels compared. */
  readonly splitPixels: Int32Array;
  /** (cascades, trees, splits): first − second above this goes left. */
  readonly thresholds: Float32Array;
  /** (cascades, trees, splits + 1) of 136 values: what is added to the shape. */
  readonly leaves: Leaves;
  /** (cascades, pixels): the point of the shape that a pixel moves with. */
  readonly anchors: Int32Array;
  /** (cascades, pixels, 2): from that point to the pixel, x and y. */
  readonly deltas: Float32Array;
}

/**
 * Checks that splits compare pixels that exist.
 *
 * @param splitPixels indices of pixels
 * @param pixels how many there are
 * @param wrong makes the error
 * @throws {MasterWeaverError} what `wrong` makes
 */
export function checkSplits(
  splitPixels: Int32Array,
  pixels: number,
  wrong: (what: string) => MasterWeaverError,
): void {
  for (const pixel of splitPixels) {
    if (pixel < 0 || pixel >= pixels) {
      throw wrong(`a split compares the pixel ${pixel} of ${pixels}`);
    }
  }
}

async function readLeaves(
  file: WeaveFile,
  shape: readonly number[],
): Promise<Leaves> {
  if (file.tensors.has("leaves")) {
    const values = await readTensor(file, "leaves", "f32", [
      ...shape,
      SHAPE_VALUES,
    ]);
    return new PlainLeaves(values, SHAPE_VALUES);
  }
  const bytes = file.tensors.get("leaves.bits")?.bytes ?? 0;
  return new PackedLeaves({
    exponents: await readTensor(file, "leaves.exponents", "i32", [
      SHAPE_VALUES,
    ]),
    widths: await readTensor(file, "leaves.widths", "u8", [
      ...shape,
      LEAF_BLOCKS,
    ]),
    bits: await readTensor(file, "leaves.bits", "u8", [bytes]),
  });
}

/**
 * Reads the component `landmarks`.
 *
 * @throws {MasterWeaverError} `bad-model` where a number, shape or index does not fit
 */
export async function loadLandmarkPredictor(
  file: WeaveFile,
): Promise<LandmarkPredictor> {
  const wrong = (what: string) =>
    new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: ${what}; convert the landmarks again`,
    );
  const size = (key: string, most: number) => {
    const value = file.config[key];
    if (typeof value === "number" && Number.isInteger(value)) {
      if (value >= 1 && value <= most) return value;
    }
    throw wrong(`${key} in its config must be a whole number 1 to ${most}`);
  };
  if (file.config.landmarks !== LANDMARKS) {
    throw wrong(`landmarks in its config must be ${LANDMARKS}`);
  }
  const cascades = size("cascades", MAX_SIZES.cascades);
  const trees = size("trees", MAX_SIZES.trees);
  const splits = size("splits", MAX_SIZES.splits);
  const pixels = size("pixels", MAX_SIZES.pixels);
  if ((splits & (splits + 1)) !== 0) {
    throw wrong(`${splits} splits a tree are not those of a full tree`);
  }
  const forest = [cascades, trees];
  const predictor: LandmarkPredictor = {
    cascades,
    trees,
    splits,
    pixels,
    initialShape: await readTensor(file, "initial_shape", "f32", [
      SHAPE_VALUES,
    ]),
    splitPixels: await readTensor(file, "splits.pixels", "i32", [
      ...forest,
      splits,
      2,
    ]),
    thresholds: await readTensor(file, "splits.thresholds", "f32", [
      ...forest,
      splits,
    ]),
    leaves: await readLeaves(file, [...forest, splits + 1]),
    anchors: await readTensor(file, "anchors", "i32", [cascades, pixels]),
    deltas: await readTensor(file, "deltas", "f32", [cascades, pixels, 2]),
  };
  checkSplits(predictor.splitPixels, pixels, wrong);
  for (const anchor of predictor.anchors) {
    if (anchor < 0 || anchor >= LANDMARKS) {
      throw wrong(`an anchor is point ${anchor} of ${LANDMARKS}`);
    }
  }
  const { initialShape, thresholds, leaves, deltas } = predictor;
  const plain = leaves instanceof PlainLeaves ? [leaves.values] : [];
  for (const values of [initialShape, thresholds, deltas, ...plain]) {
    if (!allFinite(values)) {
      throw wrong("it holds values that are infinite or not a number");
    }
  }
  return predictor;
}
