/**
 * The components of a model folder: each has a file, a config and weights.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { sha256 } from "../base/sha256.ts";
import { brief } from "./brief.ts";
import { checkListed, MANIFEST_NAME, readManifest } from "./manifest.ts";
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
  | "taesd"
  | "evaluation";

/** Name of a component that is a network. */
export type NetworkComponent = Exclude<
  ComponentName,
  "face_detector" | "landmarks" | "taesd" | "evaluation"
>;

/** Components an image cannot be made without. */
export const requiredComponents: readonly NetworkComponent[] = [
  "text_encoder",
  "unet",
  "vae",
];

/** Components that an identity needs besides; a plain Stable Diffusion has none. */
export const identityComponents: readonly NetworkComponent[] = [
  "image_encoder",
  "identity_adapter",
  "face_parser",
];

/** All components that are networks. */
export const networkComponents: readonly NetworkComponent[] = [
  ...requiredComponents,
  ...identityComponents,
];

/** Components that alignment needs. */
export const optionalComponents: readonly ComponentName[] = [
  "face_detector",
  "landmarks",
];

/** The tiny autoencoder, which a model may have besides. */
export const TAESD = "taesd";

/** The component that only measures images; a model is loaded without it. */
export const EVALUATION = "evaluation";

/** All components. */
export const componentNames: readonly ComponentName[] = [
  ...networkComponents,
  ...optionalComponents,
  TAESD,
  EVALUATION,
];

/** Name of a component beside a model: chosen image by image, in a file of any name. */
export type ExtraName = "controlnet" | "upscaler";

/** An upscaler, which belongs to no one model. */
export const UPSCALER = "upscaler";

/** All components beside a model. */
export const extraComponents: readonly ExtraName[] = ["controlnet", UPSCALER];

/** Whether a string, from a file's header, is the name of a component beside a model. */
export function isExtraName(name: string): name is ExtraName {
  return (extraComponents as readonly string[]).includes(name);
}

/** Whether a string is the name of a component that is a network. */
export function isNetworkComponent(name: string): name is NetworkComponent {
  return (networkComponents as readonly string[]).includes(name);
}

/** Whether a string, from a file's header, is the name of a component. */
export function isComponentName(name: string): name is ComponentName {
  return (componentNames as readonly string[]).includes(name);
}

/** The files of a model, by component. */
export type ModelFiles =
  & Readonly<Partial<Record<ComponentName, ByteSource>>>
  & {
    /** Its `model.json`: the networks' files must be those it lists. */
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

/**
 * The networks that a model is loaded with: all, or the required ones alone where
 * one that an identity needs is missing.
 *
 * @throws {MasterWeaverError} `bad-model` where the manifest lists one that is missing; `cannot-read`
 */
export async function loadedComponents(
  files: ModelFiles,
): Promise<readonly NetworkComponent[]> {
  const missing = identityComponents.filter((name) => !files[name]);
  if (missing.length === 0) return networkComponents;
  const { components, name } = files.manifest
    ? await readManifest(files.manifest)
    : { components: new Map(), name: "" };
  const lost = missing.filter((one) => components.has(one));
  if (lost.length === 0) return requiredComponents;
  throw new MasterWeaverError(
    "bad-model",
    `The model has no ${weaveNames(lost)}, and ${name} lists ${
      lost.length === 1 ? "it" : "them"
    }: convert the model again, or, where it is meant to be without, delete ${MANIFEST_NAME}`,
  );
}

/**
 * The error where a model is asked for an identity and was converted without what
 * that needs.
 *
 * @param files the model's files
 */
export function withoutIdentity(files: ModelFiles): MasterWeaverError {
  const missing = identityComponents.filter((name) => !files[name]);
  return new MasterWeaverError(
    "bad-model",
    `The model has no ${
      weaveNames(missing)
    }, which an identity needs: convert it with MasterWeaver's adapter, image encoder and face parser, or make images without references`,
  );
}

/** `a.weave, b.weave and c.weave` */
function weaveNames(names: readonly string[]): string {
  const files = names.map((name) => `${name}.weave`);
  return files.length === 1
    ? files[0]
    : `${files.slice(0, -1).join(", ")} and ${files.at(-1)}`;
}

/** A network's component, with its config read by the network's own reader. */
export function component<C>(
  file: WeaveFile,
  readConfig: (json: unknown) => C,
  weights: WeightScope = new WeightScope(file),
): Component<C> {
  return { file, config: readConfig(file.config), weights };
}

/**
 * The same of a file that some images have beside the model, such as a ControlNet's:
 * its weights are freed when no plan reads them any more.
 */
export function componentBeside<C>(
  file: WeaveFile,
  readConfig: (json: unknown) => C,
): Component<C> {
  return component(file, readConfig, WeightScope.beside(file));
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
