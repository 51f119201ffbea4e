/**
 * Where a model is: what the page sends its Workers, which open the files
 * themselves.
 *
 * @module
 */

/** Where a model is. */
export type ModelPlace = AddressPlace | FolderPlace;

/** A folder of this page's own host, read by ranges and kept in the browser. */
export interface AddressPlace {
  /** Tells the kinds apart. */
  readonly kind: "address";
  /** The folder's absolute address, with a slash at its end. */
  readonly url: string;
  /** What people and images call the model. */
  readonly name: string;
  /** A landmarks file that was picked. */
  readonly landmarks?: Blob;
}

/** A folder that somebody picked, read in place. */
export interface FolderPlace {
  /** Tells the kinds apart. */
  readonly kind: "folder";
  /** Its files by name, without those of folders inside. */
  readonly files: Readonly<Record<string, Blob>>;
  /** The folder's name. */
  readonly name: string;
  /** The site's own model, whose face detector stands in where the folder has none. */
  readonly site?: AddressPlace;
  /** A landmarks file that was picked. */
  readonly landmarks?: Blob;
}
