/**
 * Converts single components of a tiny checkpoint.
 *
 * @module
 */
import { FileSource } from "../../src/host/files.ts";
import { checkComponent } from "../../src/components/networks.ts";
import { openWeave } from "../../src/weights/weave.ts";
import { convert } from "../../tools/convert.ts";
import { type Folder, makeFolder } from "./checkpoint_folder.ts";

/** Converts one network's folder, and reads it as loading does. */
export async function convertComponent(
  folder: Folder,
  component: string,
  allowUnused = false,
) {
  const output = `${folder.path}/out`;
  const lines: string[] = [];
  const [{ file }] = await convert({
    inputs: [`${folder.path}/${component}`],
    output,
    dtype: "f16",
    allowUnused,
    report: (line) => lines.push(line),
  });
  await using source = await FileSource.open(file);
  const weave = await openWeave(source);
  checkComponent(weave);
  return { lines, config: weave.config };
}

/** Makes a whole tiny checkpoint for a function, and removes it afterwards. */
export async function withFolder(work: (folder: Folder) => Promise<void>) {
  const folder = await makeFolder();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder.path, { recursive: true });
  }
}
