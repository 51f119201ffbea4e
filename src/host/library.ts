/**
 * The whole library, for runtimes with a file system: the core, with a
 * `MasterWeaver` that loads a model's folder, and image files.
 *
 * @module
 */
export * from "../core.ts";
// The core's types, for a function that works with or without a file system.
export type {
  LoadOptions as CoreLoadOptions,
  MasterWeaver as CoreMasterWeaver,
} from "../core.ts";
// Their replacements, which also load a model's folder and use the user's cache.
export { type LoadOptions, MasterWeaver } from "./masterweaver.ts";
export { type OpenFile, openFile, readImage, writePng } from "./files.ts";
