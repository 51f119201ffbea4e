/**
 * The library without a host: what a browser page or a worker imports.
 *
 * Each component's file is a {@linkcode ByteSource}, and an image is RGBA
 * pixels, like a page's own `ImageData`. Nothing here reaches a file system, a
 * process or a package: {@link https://docs.deno.com/api/web/ | web APIs} only.
 * The whole library exports this, and adds a model's folder and image files.
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, MemorySource, type ModelFiles } from "./core.ts";
 *
 * async function portrait(files: ModelFiles, photo: ImageData) {
 *   await using weaver = await MasterWeaver.load(files);
 *   const identity = await weaver.encodeIdentity([photo]);
 *   const { images } = await weaver.generate({ identity, prompt: "a man in the snow" });
 *   return images.map(({ data, width }) => new ImageData(data, width));
 * }
 * ```
 *
 * @module
 */
export { type ByteSource, MemorySource } from "./base/bytes.ts";
export { type ErrorCode, MasterWeaverError } from "./base/errors.ts";
export type {
  CallOptions,
  NetworkName,
  OnProgress,
  Progress,
  Stage,
} from "./base/progress.ts";
export { version } from "./base/version.ts";
export {
  type Lora,
  readLora,
  type ReadLoraOptions,
} from "./checkpoints/lora_reader.ts";
export type { DetectedFace, Point, Rect } from "./face/detect.ts";
export type { FaceChoice } from "./face/finder.ts";
export { type ControlNet, readControlNet } from "./generate/controlnet_file.ts";
export type { ControlUse } from "./generate/control_input.ts";
export type { LoraUse } from "./generate/lora_input.ts";
export type { Preview } from "./generate/previews.ts";
export type { EmbeddingFiles } from "./generate/prompts.ts";
export type { BufferPool } from "./gpu/buffers.ts";
export type { Gpu } from "./gpu/gpu.ts";
export type { GpuLimits, StorageType } from "./gpu/limits.ts";
export type { PartStarts } from "./gpu/part_starts.ts";
export type { Access, PipelineCache, PipelineKey } from "./gpu/pipelines.ts";
export type { TexelShape } from "./gpu/texels.ts";
export type { Choice, TuneMode, TuneStore } from "./graph/tuner.ts";
export type { Fit } from "./identity/fit.ts";
export type { FaceChoices } from "./identity/references.ts";
export type {
  Identity,
  IdentityHashes,
  IdentityTokens,
} from "./identity/identity.ts";
export type { SavedIdentity } from "./identity/input.ts";
export type { Image } from "./image/image.ts";
export type { LoadOptions } from "./load.ts";
export type { SizeRule } from "./options/options.ts";
export type { ControlPreprocess } from "./options/control_types.ts";
export type {
  IdentityChoices,
  LoadChoices,
  PromptSyntax,
  Rng,
  Settings,
} from "./options/settings.ts";
export {
  type Generated,
  type GenerateOptions,
  type IdentityOptions,
  MasterWeaver,
  type UpscaleOptions,
} from "./pipeline.ts";
export type { TurnOptions, WhenBusy } from "./call_queue.ts";
export type { ComponentName, ModelFiles } from "./weights/components.ts";
