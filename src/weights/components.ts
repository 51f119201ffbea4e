/**
 * The components of a model folder: each has a file, a config and weights.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { brief } from "./brief.ts";
import { checkListed, readManifest } from "./manifest.ts";
import { openWeave, type WeaveFile } from "./weave.ts";
import { WeightScope } from "./scope.ts";

/** Name of a component, in its file's name and header. */
export type ComponentName =
  | "text_encoder"
  | "unet"
  | "vae"
  | "image_encoder"
  | "identity_adapter"
  | "face_parser"
  | "face_detector"
  | "landmarks"
  | "evaluation";

/** Name of a component that is a network. */
export type NetworkComponent = Exclude<
  ComponentName,
  "face_detector" | "landmarks" | "evaluation"
>;

/** Components an image cannot be made without. */
export const requiredComponents: readonly NetworkComponent[] = [
  "text_encoder",
  "unet",
  "vae",
  "image_encoder",
  "identity_adapter",
  "face_parser",
];

/** Components that alignment needs. */
export const optionalComponents: readonly ComponentName[] = [
  "face_detector",
  "landmarks",
];

/** The component that only measures images; a model is loaded without it. */
export const EVALUATION = "evaluation";

/** All components. */
export const componentNames: readonly ComponentName[] = [
  ...requiredComponents,
  ...optionalComponents,
  EVALUATION,
];

/** Whether a string is the name of a network, which is a required component. */
export function isNetworkComponent(name: string): name is NetworkComponent {
  return (requiredComponents as readonly string[]).includes(name);
}

/** Whether a string, from a file's header, is the name of a component. */
export function isComponentName(name: string): name is ComponentName {
  return (componentNames as readonly string[]).includes(name);
}

/** The files of a model, by component. */
export type ModelFiles =
  & Readonly<Partial<Record<ComponentName, ByteSource>>>
  & {
    /** Its `model.json`: required files must be those it lists. */
    readonly manifest?: ByteSource;
    /** Components from outside the model's folder, which the manifest does not list. */
    readonly elsewhere?: readonly ComponentName[];
    /** Its `preview.json`: how previews are made of latents. */
    readonly preview?: ByteSource;
  };

/** A component that is a network: its file, config and weights. */
export interface Component<C> {
  /** The opened file. */
  readonly file: WeaveFile;
  /** What the network is built from. */
  readonly config: C;
  /** Its weights by name. */
  readonly weights: WeightScope;
}

/**
 * Opens the file of one component, and checks that it holds that component and,
 * where the model has a manifest, that it is the file listed there.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openComponentFile(
  files: ModelFiles,
  name: ComponentName,
): Promise<WeaveFile> {
  const source = files[name];
  if (!source) {
    throw new MasterWeaverError(
      "bad-model",
      `The model has no ${name}.weave: convert the model, or give another`,
    );
  }
  const file = await openWeave(source);
  if (file.component !== name) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: it holds the component ${
        brief(file.component)
      }, expected ${name}`,
    );
  }
  if (files.manifest && !files.elsewhere?.includes(name)) {
    checkListed(await readManifest(files.manifest), name, {
      name: file.name,
      hash: file.hash,
      bytes: source.size,
    });
  }
  return file;
}

/** A network's component, with its config read by the network's own reader. */
export function component<C>(
  file: WeaveFile,
  readConfig: (json: unknown) => C,
): Component<C> {
  return {
    file,
    config: readConfig(file.config),
    weights: new WeightScope(file),
  };
}

/**
 * Opens a network's component.
 *
 * @param readConfig turns the header's config into the network's own
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openComponent<C>(
  files: ModelFiles,
  name: ComponentName,
  readConfig: (json: unknown) => C,
): Promise<Component<C>> {
  return component(await openComponentFile(files, name), readConfig);
}

/** One hash that covers all files of a model: hexadecimal SHA-256. */
export async function modelHash(
  files: readonly Pick<WeaveFile, "component" | "hash">[],
): Promise<string> {
  const text = files.map(({ component, hash }) => `${component} ${hash}`)
    .sort().join("\n");
  return await sha256(text);
}
