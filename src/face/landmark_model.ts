/**
 * The numbers of dlib's shape predictor: from dlib's file, to and from a
 * `*.weave` component.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import type { JsonObject, WeaveFile } from "../weights/weave.ts";
import type { TensorToWrite, WeaveContent } from "../weights/weave_writer.ts";
import { DlibStream, INTEGER_BYTES, REAL_BYTES } from "./dlib_stream.ts";
import {
  LEAF_BLOCK,
  type Leaves,
  PackedLeaves,
  PlainLeaves,
} from "./leaves.ts";
import { allFinite, readTensor, tensorToWrite } from "./tensors.ts";

/** Points of a face: jaw 0–16, brows, nose, eyes 36–47, mouth 48–67. */
export const LANDMARKS = 68;
/** Coordinates of a shape: x and y of each point in turn. */
export const SHAPE_VALUES = 2 * LANDMARKS;

/** Blocks of packed values a leaf. */
const BLOCKS = SHAPE_VALUES / LEAF_BLOCK;
const MAX_CASCADES = 100;
const MAX_TREES = 10000;
const MAX_SPLITS = 1023;
const MAX_PIXELS = 65536;
/** 512 MiB of leaves as f32: five times what the real model has. */
const MAX_LEAF_VALUES = 2 ** 27;

/** Sizes of a {@linkcode LandmarkPredictor}. */
export interface LandmarkSizes {
  /** Corrections of the shape, one after the other. */
  readonly cascades: number;
  /** Regression trees a cascade. */
  readonly trees: number;
  /** Comparisons a tree; it has one leaf more. */
  readonly splits: number;
  /** Pixels that a cascade looks at. */
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
  /** (cascades, trees, splits): first − second over this goes left. */
  readonly thresholds: Float32Array;
  /** (cascades, trees, splits + 1) of 136 values: what is added to the shape. */
  readonly leaves: Leaves;
  /** (cascades, pixels): the point of the shape that a pixel moves with. */
  readonly anchors: Int32Array;
  /** (cascades, pixels, 2): from that point to the pixel, x and y. */
  readonly deltas: Float32Array;
}

/**
 * Reads dlib's `shape_predictor` of 68 points.
 *
 * @param source as `shape_predictor_68_face_landmarks.dat`, whole
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
  const cascades = s.count("the number of cascades", 1, MAX_CASCADES);
  await s.ahead(2 * INTEGER_BYTES);
  const trees = s.count("the number of trees", 1, MAX_TREES);
  const splits = s.count("the number of splits", 1, MAX_SPLITS);
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
      forest.splitPixels[2 * i] = s.count("a pixel", 0, MAX_PIXELS - 1);
      forest.splitPixels[2 * i + 1] = s.count("a pixel", 0, MAX_PIXELS - 1);
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

/** Where each cascade looks. */
async function readPixels(s: DlibStream, cascades: number) {
  await s.ahead(2 * INTEGER_BYTES);
  s.count("the number of anchor lists", cascades, cascades);
  const pixels = s.count("the number of pixels", 1, MAX_PIXELS);
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

function checkSplits(
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
  const { exponents, widths, bits } = leaves.parts;
  return [
    tensorToWrite("leaves.exponents", "i32", [SHAPE_VALUES], exponents),
    tensorToWrite("leaves.widths", "u8", [...shape, BLOCKS], widths),
    tensorToWrite("leaves.bits", "u8", [bits.length], bits),
  ];
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
    widths: await readTensor(file, "leaves.widths", "u8", [...shape, BLOCKS]),
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
  const cascades = size("cascades", MAX_CASCADES);
  const trees = size("trees", MAX_TREES);
  const splits = size("splits", MAX_SPLITS);
  const pixels = size("pixels", MAX_PIXELS);
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
