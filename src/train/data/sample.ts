/**
 * Makes training samples of a data set's files.
 *
 * @module
 */
import { sha256 } from "../../base/sha256.ts";
import { resizeOpenCvCubic } from "../../image/resize_opencv.ts";
import { faceBoxMap } from "./face_box.ts";
import { listFaces, need, readCaption, readFaceLandmarks } from "./id_files.ts";
import { imagePath } from "./layout.ts";
import type { RandomStream } from "./random.ts";
import { ReferenceMaker } from "./references.ts";
import { drawSamplePlan, type ListedFace } from "./sample_plan.ts";
import type {
  Input,
  SampleOptions,
  SampleReader,
  TrainingSample,
} from "./training_sample.ts";

/**
 * Makes the sample of an id.
 *
 * @param stream the sample's own, at its start
 * @throws {MasterWeaverError} where a file is missing or broken
 */
export async function readSample(
  reader: SampleReader,
  id: string,
  stream: RandomStream,
  options: SampleOptions,
): Promise<TrainingSample> {
  const faces = await listFaces(reader.files, id);
  const plan = drawSamplePlan(stream, options.stage, faces);
  const text = await readCaption(reader.files, id);
  const file = await need(reader.files, imagePath(id));
  const maker = new ReferenceMaker(reader, id, options);
  const references: (Input | null)[] = [];
  for (const planned of plan.references) {
    references.push(planned && await maker.make(planned));
  }
  return {
    id,
    caption: plan.dropText ? "" : text,
    image: await imageInput(reader, id, file, options.resolution),
    references,
    faceBox: await readFaceBox(reader, id, file, faces, options.resolution),
  };
}

async function readFaceBox(
  reader: SampleReader,
  id: string,
  file: Uint8Array,
  faces: readonly ListedFace[],
  side: number,
): Promise<Float32Array<ArrayBuffer>> {
  const boxes = await Promise.all(
    faces.map(({ face }) => readFaceLandmarks(reader.files, id, face)),
  );
  const { width, height } = reader.imageSize(file, imagePath(id));
  const found = boxes.filter((box) => box !== undefined);
  return faceBoxMap(found, width, height, side);
}

/** Values of the VAE's input: x / 127.5 − 1, each operation rounded to f32. */
const SIGNED = Float32Array.from(
  { length: 256 },
  (_, value) => Math.fround(value / 127.5) - 1,
);

async function imageInput(
  reader: SampleReader,
  id: string,
  file: Uint8Array<ArrayBuffer>,
  side: number,
): Promise<Input> {
  const key = `image ${await sha256(file)} side ${side}`;
  const cached = await reader.cached?.("image", key);
  if (cached !== undefined) return { key, cached };
  const image = reader.decodeImage(file, imagePath(id));
  const { data } = resizeOpenCvCubic(image, side, side);
  const pixels = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 4) {
    pixels[i] = SIGNED[data[i]];
    pixels[i + 1] = SIGNED[data[i + 1]];
    pixels[i + 2] = SIGNED[data[i + 2]];
  }
  return { key, pixels };
}
