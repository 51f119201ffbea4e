/**
 * Makes a folder, but not those above it.
 *
 * @module
 */

/** Makes a folder in one that is there; it may be there itself. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}
