/**
 * Opens a model wherever it is.
 *
 * @module
 */
import { type ByteSource, MemorySource } from "../../base/bytes.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import { PREVIEW_NAME } from "../../generate/preview_map.ts";
import {
  type ComponentName,
  isComponentName,
  type ModelFiles,
  networkComponents,
  optionalComponents,
  requiredComponents,
} from "../../weights/components.ts";
import { MANIFEST_NAME } from "../../weights/manifest.ts";
import { ChunkStore, type RemoteFile } from "./chunk_store.ts";
import type { AddressPlace, FolderPlace, ModelPlace } from "./place.ts";
import {
  type How,
  manifestAt,
  previewAt,
  type SmallFiles,
} from "./small_files.ts";
import { BlobSource, ChunkSource } from "./sources.ts";

/** Components that a page uses. */
const used: readonly ComponentName[] = [
  ...networkComponents,
  ...optionalComponents,
];

/**
 * Opens a model's files. Nothing of their content is read yet, but for a face
 * detector that stands in.
 *
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 */
export async function openPlace(place: ModelPlace): Promise<ModelFiles> {
  const { landmarks } = place;
  const files = place.kind === "folder"
    ? await openFolder(place)
    : await openAddress(place);
  if (!landmarks) return files;
  return {
    ...files,
    landmarks: new BlobSource(landmarks, "landmarks.weave"),
    elsewhere: [...files.elsewhere ?? [], "landmarks"],
  };
}

async function openFolder(
  { files, name, site }: FolderPlace,
): Promise<ModelFiles> {
  const source = (file: string): ByteSource | undefined =>
    files[file] && new BlobSource(files[file], file);
  const missing = requiredComponents.filter((one) => !files[`${one}.weave`]);
  if (missing.length > 0) {
    throw new MasterWeaverError(
      "bad-model",
      `The folder ${name} is no model: ${
        missing.map((one) => `${one}.weave`).join(", ")
      } missing; pick the folder that tools/convert.ts wrote`,
    );
  }
  const components = Object.fromEntries(
    used.map((one) => [one, source(`${one}.weave`)])
      .filter(([, file]) => file),
  );
  const manifest = source(MANIFEST_NAME), preview = source(PREVIEW_NAME);
  const standIn = components.face_detector === undefined && site
    ? await siteDetector(site)
    : undefined;
  return {
    ...components,
    ...standIn && { face_detector: standIn, elsewhere: ["face_detector"] },
    ...manifest && { manifest },
    ...preview && { preview },
  };
}

/**
 * The site's face detector, 63 KB; undefined where it cannot be had: a folder
 * makes images without one, too.
 */
async function siteDetector(
  site: AddressPlace,
): Promise<ByteSource | undefined> {
  try {
    const { face_detector: detector } = await openAddress(site);
    return detector && new MemorySource(
      await detector.read(0, detector.size),
      detector.name,
    );
  } catch {
    return undefined;
  }
}

async function openAddress(place: AddressPlace): Promise<ModelFiles> {
  const store = await ChunkStore.open();
  const { files, manifest, preview } = await listAddress(place, store, "kept");
  const components = Object.fromEntries(
    files.map(([name, file]) => [name, new ChunkSource(file, store)]),
  );
  return {
    ...components,
    manifest: new MemorySource(manifest, MANIFEST_NAME),
    ...preview && { preview: new MemorySource(preview, PREVIEW_NAME) },
  };
}

/** A model's files on the host. */
export interface AddressFiles {
  /** By component. */
  readonly files: readonly (readonly [ComponentName, RemoteFile])[];
  /** The manifest's bytes. */
  readonly manifest: Uint8Array<ArrayBuffer>;
  /** The bytes of `preview.json`, where there is one. */
  readonly preview: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Lists a model's files on the host.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function listAddress(
  { url }: AddressPlace,
  store: SmallFiles,
  how: How,
): Promise<AddressFiles> {
  const { bytes: manifest, content: { components } } = await manifestAt(
    url + MANIFEST_NAME,
    store,
    how,
  );
  const preview = await previewAt(url + PREVIEW_NAME, store, how);
  const files: (readonly [ComponentName, RemoteFile])[] = [];
  for (const [name, { file, hash, bytes }] of components) {
    if (!isComponentName(name) || !used.includes(name)) continue;
    const address = url + encodeURIComponent(file);
    files.push([name, { url: address, name: file, hash, bytes }]);
  }
  return { files, manifest, preview };
}

/** Forgets what is kept of models that the site had before this one, and of its earlier versions. */
export async function forgetEarlier(
  { url }: AddressPlace,
  { files }: AddressFiles,
  store: ChunkStore,
): Promise<void> {
  await store.forgetAllBut(
    new URL("..", url).href,
    files.map(([, file]) => file),
    [url + MANIFEST_NAME, url + PREVIEW_NAME],
  );
}
