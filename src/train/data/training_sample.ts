/**
 * What a training sample is, what decides it, and what a host gives to read one.
 *
 * @module
 */
import type { Image } from "../../image/image.ts";
import type { Rgb } from "../../image/normalize.ts";
import type { DatasetFiles } from "./layout.ts";
import type { ClassMap } from "./masks.ts";
import type { Stage } from "./sample_plan.ts";

/** A network's input: pixels, or what the network made of them before. */
export interface Input {
  /** Names content and transform, for a cache; null where the transform is too random to come again. */
  readonly key: string | null;
  /** The pixels, (side, side, 4); absent where `cached` is there. */
  readonly pixels?: Float32Array<ArrayBuffer>;
  /** What the network made of the same pixels before. */
  readonly cached?: Float32Array<ArrayBuffer>;
}

/** One sample of a batch. */
export interface TrainingSample {
  /** Its name in the data set. */
  readonly id: string;
  /** Its caption; "" where the text is dropped. */
  readonly caption: string;
  /** The image for the VAE, in −1..1, the fourth channel 0. Its key is always there. */
  readonly image: Input;
  /** Faces for the image encoder, normalised, the fourth channel 0. Always three; null: all zero. */
  readonly references: readonly (Input | null)[];
  /** (resolution, resolution): 1 where a face is, else 0. */
  readonly faceBox: Float32Array<ArrayBuffer>;
}

/** What samples are like. */
export interface SampleOptions {
  /** The stage of training. */
  readonly stage: Stage;
  /** Pixels of the image on each side: 512 for Stable Diffusion 1.5. */
  readonly resolution: number;
  /** Pixels of a face on each side before it is augmented; the reference has 512. */
  readonly faceSide: number;
  /** Pixels of a reference on each side: 224 for CLIP ViT-L/14. */
  readonly visionSide: number;
  /** Subtracted from references, whose values are 0..1. */
  readonly mean: Rgb;
  /** Divisor of references after that. */
  readonly std: Rgb;
}

/** The two kinds of inputs whose networks are frozen. */
export type InputKind = "image" | "reference";

/** How a host reads a data set. */
export interface SampleReader {
  /** The data set. */
  readonly files: DatasetFiles;
  /**
   * Decodes a JPEG or PNG file, without turning it as its EXIF data says, as
   * landmarks and faces belong to the pixels as they are stored.
   *
   * @throws {MasterWeaverError} where it cannot
   */
  decodeImage(file: Uint8Array, name: string): Image;
  /**
   * Decodes a PNG of classes: gray values or a palette's indices as they are.
   *
   * @throws {MasterWeaverError} where it cannot
   */
  decodeClasses(file: Uint8Array, name: string): ClassMap;
  /**
   * Width and height of an image, without decoding it.
   *
   * @throws {MasterWeaverError} where it cannot
   */
  imageSize(
    file: Uint8Array,
    name: string,
  ): { readonly width: number; readonly height: number };
  /** What a network made of an input before, if that is kept. */
  cached?(
    kind: InputKind,
    key: string,
  ): Promise<Float32Array<ArrayBuffer> | undefined>;
}
