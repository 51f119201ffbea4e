/**
 * Makes folders that tests keep from one run to the next.
 *
 * @module
 */
import { isThere } from "../../tools/dataset/whole_file.ts";

/**
 * Fills a folder under another name first, so that none is ever half done.
 *
 * @param mark a file of the finished folder that shows that it is right
 * @param fill fills the folder that it is given; returns why it could not
 * @returns why it could not
 */
export async function makeWholeFolder(
  folder: string,
  mark: string,
  fill: (draft: string) => Promise<string | undefined>,
): Promise<string | undefined> {
  const draft = `${folder}.${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(draft, { recursive: true });
  try {
    const fault = await fill(draft);
    if (fault !== undefined) return fault;
    await Deno.rename(draft, folder).catch((error) => {
      // Another process was faster; its folder is as good.
      if (!isThere(mark)) throw error;
    });
  } finally {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
  }
}
