/**
 * MasterWeaver on Deno's native WebGPU: one reference photo and a prompt in, a
 * image of that person out.
 *
 * Run directly, this is the command; imported, it is the library.
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, readImage, writePng } from "./mod.ts";
 *
 * await using weaver = await MasterWeaver.load("weights/mini");
 * const identity = await weaver.encodeIdentity([await readImage("a.png")]);
 * const { images } = await weaver.generate({
 *   identity,
 *   prompt: "a man in the snow",
 *   seed: 42,
 * });
 * await writePng("out.png", images[0]);
 * ```
 *
 * @module
 */
export type { ByteSource } from "./src/base/bytes.ts";
export { MemorySource } from "./src/base/bytes.ts";
export type { ComponentName, ModelFiles } from "./src/weights/components.ts";
export { type ErrorCode, MasterWeaverError } from "./src/base/errors.ts";
export type { DetectedFace, Point, Rect } from "./src/face/detect.ts";
export type { FaceChoice } from "./src/face/finder.ts";
export { readImage, writePng } from "./src/host/files.ts";
export type { Fit } from "./src/identity/fit.ts";
export type { BufferPool } from "./src/gpu/buffers.ts";
export type { Choice, TuneMode, TuneStore } from "./src/graph/tuner.ts";
export type { Gpu } from "./src/gpu/gpu.ts";
export type { GpuLimits, StorageType } from "./src/gpu/limits.ts";
export type { PartStarts } from "./src/gpu/part_starts.ts";
export type {
  Access,
  PipelineCache,
  PipelineKey,
} from "./src/gpu/pipelines.ts";
export type { TexelShape } from "./src/gpu/texels.ts";
export type {
  Identity,
  IdentityHashes,
  IdentityTokens,
} from "./src/identity/identity.ts";
export type { SavedIdentity } from "./src/identity/input.ts";
export type { Image } from "./src/image/image.ts";
export type { Rng, Settings, SizeRule } from "./src/options/options.ts";
export {
  type Generated,
  type GenerateOptions,
  type IdentityOptions,
  type LoadOptions,
  MasterWeaver,
} from "./src/pipeline.ts";
export type {
  CallOptions,
  NetworkName,
  OnProgress,
  Progress,
  Stage,
} from "./src/base/progress.ts";
export type { TurnOptions, WhenBusy } from "./src/turns.ts";
export { version } from "./src/base/version.ts";

if (import.meta.main) {
  const { fileURLToPath } = await import("node:url");
  const { main } = await import("./src/host/command/command.ts");
  const model = fileURLToPath(new URL("./weights/mini", import.meta.url));
  Deno.exitCode = await main(Deno.args, model);
}
