/**
 * Checks ids of a data set on disk, in this thread or in a Worker.
 *
 * @module
 */
import { checkId, type IdCheck } from "../../src/train/data/check_id.ts";
import { sampleReader } from "../train/data/decode.ts";
import { FolderFiles } from "../train/data/folder.ts";
import type { Run, WorkerKind } from "../train/data/workers.ts";

/** Makes what checks the ids of a data set. */
export function idChecker(root: string): Run<string, IdCheck> {
  const reader = sampleReader(new FolderFiles(root));
  return (id) => checkId(reader, id);
}

/** The Workers of a check. */
export const CHECK_WORKERS: WorkerKind<string, string, IdCheck> = {
  module: new URL("./check_worker.ts", import.meta.url),
  here: idChecker,
};
