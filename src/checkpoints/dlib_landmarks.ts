/**
 * Converts dlib's shape predictor from its file to the component `landmarks`.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import {
  checkSplits,
  type LandmarkPredictor,
  LANDMARKS,
  LEAF_BLOCKS,
  MAX_SIZES,
  SHAPE_VALUES,
} from "../face/landmark_model.ts";
import { type PackedLeaves, PlainLeaves } from "../face/leaves.ts";
import type { JsonObject } from "../weights/weave.ts";
import type { TensorToWrite, WeaveContent } from "../weights/weave_writer.ts";
import { DlibStream, INTEGER_BYTES, REAL_BYTES } from "./dlib_stream.ts";
import { tensorToWrite } from "./plain_tensor.ts";

/** The most values of leaves: 512 MiB as f32, five times those of the real model. */
const MAX_LEAF_VALUES = 2 ** 27;

/**
 * Reads dlib's `shape_predictor` of 68 points.
 *
 * @param source such as `shape_predictor_68_face_landmarks.dat`, whole
 * @throws {MasterWeaverError} `bad-checkpoint` where it is damaged or another kind of predictor
 */
export async function readDlibPredictor(
  source: ByteSource,
): Promise<LandmarkPredictor & { readonly leaves: PlainLeaves }> {
  const s = new DlibStream(source);
  const shapeBytes = 2 * INTEGER_BYTES + SHAPE_VALUES * REAL_BYTES;
  await s.ahead(4 * INTEGER_BYTES + shapeBytes);
  s.count("the version", 1, 1);
  const initialShape = new Float32Array(SHAPE_VALUES);
  shape(s, "the initial shape", initialShape, 0);
  const forest = await readForest(s);
  const { cascades } = forest;
  const pixels = await readPixels(s, cascades);
  s.end();
  checkSplits(forest.splitPixels, pixels.pixels, (what) => s.wrong(what));
  const leaves = new PlainLeaves(forest.leaves, SHAPE_VALUES);
  return { initialShape, ...forest, leaves, ...pixels };
}

function shape(
  s: DlibStream,
  what: string,
  values: Float32Array,
  start: number,
): void {
  s.matrix(what, SHAPE_VALUES, 1);
  for (let i = 0; i < SHAPE_VALUES; i++) values[start + i] = s.single(what);
}

/** All trees; each must have the size of the first. */
async function readForest(s: DlibStream) {
  const cascades = s.count("the number of cascades", 1, MAX_SIZES.cascades);
  await s.ahead(2 * INTEGER_BYTES);
  const trees = s.count("the number of trees", 1, MAX_SIZES.trees);
  const splits = s.count("the number of splits", 1, MAX_SIZES.splits);
  const leaves = splits + 1;
  const values = cascades * trees * leaves * SHAPE_VALUES;
  if ((leaves & splits) !== 0) {
    throw s.wrong(`${splits} splits a tree are not those of a full tree`);
  }
  // A real number takes at least four bytes, so no count allocates more than
  // the file is long.
  if (values > MAX_LEAF_VALUES || values * 4 > s.remaining) {
    throw s.wrong(
      `${cascades} cascades of ${trees} trees of ${splits} splits need more than its ${s.remaining} bytes`,
    );
  }
  const forest = {
    cascades,
    trees,
    splits,
    splitPixels: new Int32Array(cascades * trees * splits * 2),
    thresholds: new Float32Array(cascades * trees * splits),
    leaves: new Float32Array(values),
  };
  for (let tree = 0; tree < cascades * trees; tree++) {
    await s.ahead(3 * INTEGER_BYTES);
    // The first tree's counts are read already.
    if (tree > 0) {
      if (tree % trees === 0) s.count("the number of trees", trees, trees);
      s.count("the number of splits", splits, splits);
    }
    await s.ahead(INTEGER_BYTES + splits * (2 * INTEGER_BYTES + REAL_BYTES));
    for (let i = tree * splits; i < (tree + 1) * splits; i++) {
      forest.splitPixels[2 * i] = s.count("a pixel", 0, MAX_SIZES.pixels - 1);
      forest.splitPixels[2 * i + 1] = s.count(
        "a pixel",
        0,
        MAX_SIZES.pixels - 1,
      );
      forest.thresholds[i] = s.single("a split's threshold");
    }
    s.count("the number of leaves", leaves, leaves);
    for (let leaf = tree * leaves; leaf < (tree + 1) * leaves; leaf++) {
      await s.ahead(2 * INTEGER_BYTES + SHAPE_VALUES * REAL_BYTES);
      shape(s, "a leaf", forest.leaves, leaf * SHAPE_VALUES);
    }
  }
  return forest;
}

/** The pixels that each cascade reads. */
async function readPixels(s: DlibStream, cascades: number) {
  await s.ahead(2 * INTEGER_BYTES);
  s.count("the number of anchor lists", cascades, cascades);
  const pixels = s.count("the number of pixels", 1, MAX_SIZES.pixels);
  if (cascades * pixels * 6 > s.remaining) {
    throw s.wrong(
      `${cascades} lists of ${pixels} pixels need more than the ${s.remaining} bytes left`,
    );
  }
  const anchors = new Int32Array(cascades * pixels);
  for (let i = 0; i < anchors.length; i++) {
    await s.ahead(2 * INTEGER_BYTES);
    if (i > 0 && i % pixels === 0) {
      s.count("the number of pixels", pixels, pixels);
    }
    anchors[i] = s.count("an anchor", 0, LANDMARKS - 1);
  }
  await s.ahead(INTEGER_BYTES);
  s.count("the number of offset lists", cascades, cascades);
  const deltas = new Float32Array(cascades * pixels * 2);
  for (let i = 0; i < deltas.length; i += 2) {
    await s.ahead(INTEGER_BYTES + 2 * REAL_BYTES);
    if (i % (2 * pixels) === 0) {
      s.count("the number of offsets", pixels, pixels);
    }
    deltas[i] = s.single("an offset");
    deltas[i + 1] = s.single("an offset");
  }
  return { pixels, anchors, deltas };
}

/**
 * A predictor as the component `landmarks`.
 *
 * @param leaves its leaves, plain or packed
 * @param provenance where it came from
 */
export function landmarksToWeave(
  predictor: Omit<LandmarkPredictor, "leaves">,
  leaves: PlainLeaves | PackedLeaves,
  provenance: JsonObject = {},
): WeaveContent {
  const { cascades, trees, splits, pixels } = predictor;
  const p = predictor;
  const forest = [cascades, trees];
  return {
    component: "landmarks",
    config: { landmarks: LANDMARKS, cascades, trees, splits, pixels },
    provenance,
    tensors: [
      tensorToWrite("initial_shape", "f32", [SHAPE_VALUES], p.initialShape),
      tensorToWrite("splits.pixels", "i32", [
        ...forest,
        splits,
        2,
      ], p.splitPixels),
      tensorToWrite("splits.thresholds", "f32", [
        ...forest,
        splits,
      ], p.thresholds),
      ...leafTensors(leaves, [...forest, splits + 1]),
      tensorToWrite("anchors", "i32", [cascades, pixels], p.anchors),
      tensorToWrite("deltas", "f32", [cascades, pixels, 2], p.deltas),
    ],
  };
}

/** The tensors of plain or packed leaves. */
function leafTensors(
  leaves: PlainLeaves | PackedLeaves,
  shape: readonly number[],
): TensorToWrite[] {
  if (leaves instanceof PlainLeaves) {
    return [
      tensorToWrite("leaves", "f32", [...shape, SHAPE_VALUES], leaves.values),
    ];
  }
  const { exponents, widths, bits } = leaves.arrays;
  return [
    tensorToWrite("leaves.exponents", "i32", [SHAPE_VALUES], exponents),
    tensorToWrite("leaves.widths", "u8", [...shape, LEAF_BLOCKS], widths),
    tensorToWrite("leaves.bits", "u8", [bits.length], bits),
  ];
}
