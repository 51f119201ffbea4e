/**
 * Makes the references of a sample: faces decoded, masked, augmented, normalised.
 *
 * @module
 */
import { sha256 } from "../../base/sha256.ts";
import type { Image } from "../../image/image.ts";
import { toChannels4 } from "../../image/normalize.ts";
import { resizeImage } from "../../image/resize.ts";
import { augmentFace } from "./augment.ts";
import { decodeMask, need } from "./id_files.ts";
import * as layout from "./layout.ts";
import { blackenedClasses, maskFace } from "./masks.ts";
import type { FaceSource, PlannedReference } from "./sample_plan.ts";
import type { Input, SampleOptions, SampleReader } from "./training_sample.ts";

/** The files of a face. */
interface FaceFiles {
  readonly path: string;
  readonly file: Uint8Array<ArrayBuffer>;
  readonly maskPath?: string;
  readonly maskFile?: Uint8Array<ArrayBuffer>;
}

/** Makes the references of one sample. */
export class ReferenceMaker {
  readonly #reader: SampleReader;
  readonly #id: string;
  readonly #options: SampleOptions;
  /** The face that was decoded last: copies of one face follow each other. */
  #last: { readonly source: FaceSource; readonly face: Image } | undefined;

  /** Sets up the references of an id. */
  constructor(reader: SampleReader, id: string, options: SampleOptions) {
    this.#reader = reader;
    this.#id = id;
    this.#options = options;
  }

  /**
   * Makes one.
   *
   * @throws {MasterWeaverError} where a file is missing or broken
   */
  async make({ source, augmentation }: PlannedReference): Promise<Input> {
    const { visionSide, mean, std } = this.#options;
    const files = await this.#files(source);
    const isRandom = augmentation.rotation !== undefined ||
      augmentation.crop !== undefined;
    const key = isRandom
      ? null
      : await this.#key(source, files, augmentation.flip);
    const cached = key === null
      ? undefined
      : await this.#reader.cached?.("reference", key);
    if (cached !== undefined) return { key, cached };
    const face = await this.#face(source, files);
    const reference = await augmentFace(face, augmentation, visionSide);
    return { key, pixels: toChannels4(reference, mean, std) };
  }

  async #files(source: FaceSource): Promise<FaceFiles> {
    const { files } = this.#reader;
    if (source.kind === "augmented") {
      const folder = layout.augmentedFolder(this.#id, source.face);
      const path = `${folder}/${source.file}`;
      return { path, file: await need(files, path) };
    }
    const path = layout.facePath(this.#id, source.face);
    const maskPath = layout.maskPath(this.#id, source.face);
    const file = await need(files, path);
    return { path, file, maskPath, maskFile: await files.read(maskPath) };
  }

  /** Names a face's content and all that is done to it. */
  async #key(
    source: FaceSource,
    { file, maskFile }: FaceFiles,
    flip: boolean,
  ): Promise<string> {
    const { faceSide, visionSide, mean, std } = this.#options;
    const mask = source.kind === "own" && maskFile !== undefined
      ? `${await sha256(maskFile)} without ${blackenedClasses(source.mask)}`
      : "none";
    return `face ${await sha256(
      file,
    )} mask ${mask} side ${faceSide} to ${visionSide} flip ${flip} mean ${mean} std ${std}`;
  }

  /** Decodes a face, at the size it is augmented at, and masks it. */
  async #face(source: FaceSource, files: FaceFiles): Promise<Image> {
    if (this.#last?.source === source) return this.#last.face;
    const { faceSide } = this.#options;
    const { path, file, maskPath, maskFile } = files;
    const decoded = this.#reader.decodeImage(file, path);
    const face = await resizeImage(decoded, faceSide, faceSide, "bicubic");
    if (source.kind === "own" && maskFile && maskPath) {
      const map = decodeMask(this.#reader, maskFile, maskPath, decoded);
      maskFace(face, map, source.mask);
    }
    this.#last = { source, face };
    return face;
  }
}
