/**
 * The mini model, opened once for all tests of a process.
 *
 * @module
 */
import { openComponents } from "../../src/components/networks.ts";
import { MasterWeaver } from "../../src/host/masterweaver.ts";
import { openModelFolder } from "../../src/host/files.ts";
import type { StorageType } from "../../src/gpu/gpu.ts";
import { repositoryPath } from "./paths.ts";

export { repositoryPath } from "./paths.ts";

const weavers = new Map<StorageType, Promise<MasterWeaver>>();

/** The mini model on the GPU; stays loaded until the process ends. */
export function miniWeaver(dtype: StorageType): Promise<MasterWeaver> {
  let weaver = weavers.get(dtype);
  if (!weaver) {
    weaver = MasterWeaver.load(repositoryPath("weights/mini"), {
      dtype,
      tune: "off",
      keepLoaded: true,
    });
    weavers.set(dtype, weaver);
  }
  return weaver;
}

const folder = openModelFolder(repositoryPath("weights/mini"));

/** Every network of the mini model. */
export const miniComponents = folder.then(({ files }) => openComponents(files));
