/**
 * A landmark model of one tree that corrects nothing: it puts one known face's
 * landmarks into any rectangle. The real one is not in the repository.
 *
 * @module
 */
import { LANDMARKS, SHAPE_VALUES } from "../../src/face/landmark_model.ts";
import type { TensorToWrite } from "../../src/weights/weave_writer.ts";
import { knownImages } from "./faces.ts";
import { floatTensor, weaveBytes } from "./weights.ts";

/** The bytes of such a `landmarks.weave`. */
export async function plainLandmarks(): Promise<Uint8Array<ArrayBuffer>> {
  const known = (await knownImages()).find(({ faces }) => faces.length > 0)!;
  const [{ rect: { left, top, right, bottom }, landmarks }] = known.faces;
  const shape = landmarks.flatMap(([x, y]) => [
    (x - left) / (right - left),
    (y - top) / (bottom - top),
  ]);
  return await weaveBytes({
    component: "landmarks",
    config: {
      landmarks: LANDMARKS,
      cascades: 1,
      trees: 1,
      splits: 1,
      pixels: 2,
    },
    tensors: [
      floatTensor("initial_shape", [SHAPE_VALUES], shape),
      wholeTensor("splits.pixels", [1, 1, 1, 2], [0, 1]),
      floatTensor("splits.thresholds", [1, 1, 1], [0]),
      floatTensor(
        "leaves",
        [1, 1, 2, SHAPE_VALUES],
        new Array(2 * SHAPE_VALUES).fill(0),
      ),
      wholeTensor("anchors", [1, 2], [0, 1]),
      floatTensor("deltas", [1, 2, 2], [0, 0, 0, 0]),
    ],
  });
}

function wholeTensor(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): TensorToWrite {
  const bytes = new Uint8Array(new Int32Array(values).buffer);
  return {
    name,
    dtype: "i32",
    shape,
    data: async function* () {
      yield await Promise.resolve(bytes);
    },
  };
}
