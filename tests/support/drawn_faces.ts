/**
 * A reader of photos without a model: it finds faces where a test says they are.
 *
 * @module
 */
import type { PhotoReader } from "../../src/studio/api/studio.ts";
import type { FacesResource } from "../../src/studio/wire/resources.ts";

/** Left edge, top edge and side of a face, in shares of a photo. */
export type DrawnFace = readonly [number, number, number];

/** Finds the faces it was told of, in every photo, and says that they are aligned. */
export class DrawnFaces implements PhotoReader {
  readonly #faces: readonly DrawnFace[];
  #aligns = true;

  /** A reader that finds these. */
  constructor(...faces: readonly DrawnFace[]) {
    this.#faces = faces;
  }

  /** The same, of a model that takes photos whole. */
  get whole(): DrawnFaces {
    const whole = new DrawnFaces(...this.#faces);
    whole.#aligns = false;
    return whole;
  }

  faces(): Promise<FacesResource> {
    const side = 1000;
    return Promise.resolve({
      width: side,
      height: side,
      faces: this.#faces.map(([x, y, share], i) => ({
        rect: {
          left: x * side,
          top: y * side,
          right: (x + share) * side - 1,
          bottom: (y + share) * side - 1,
        },
        score: 0.9 - i / 10,
      })),
      aligns: this.#aligns,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
