/**
 * What a decoder says of a file it cannot decode; the caller names the file.
 *
 * @module
 */

/** What is wrong: `cut` means that the rest of the file is missing. */
export type FaultKind = "cut" | "damaged" | "unsupported";

/** A fault of a file. */
export class ImageFault extends Error {
  /** What kind it is. */
  readonly kind: FaultKind;

  /**
   * Makes a fault.
   *
   * @param kind what kind it is
   * @param why what was found, worded to fit in a sentence
   * @param options the underlying error as `cause`, if there is one
   */
  constructor(kind: FaultKind, why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = "ImageFault";
    this.kind = kind;
  }
}
