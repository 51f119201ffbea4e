/**
 * Datasets in tests: their files, and NumPy's arrays.
 */

/** The values of a `.npy` file of f32. */
export async function readNpy(path: string): Promise<Float32Array> {
  const bytes = await Deno.readFile(path);
  const header = 10 + new DataView(bytes.buffer).getUint16(8, true);
  const text = new TextDecoder().decode(bytes.subarray(10, header));
  if (!text.includes("'<f4'") || header % 64 !== 0) throw new Error(text);
  return new Float32Array(bytes.slice(header).buffer);
}

/** A hash of every file under a folder, by path from there. */
export async function filesIn(folder: string): Promise<Map<string, string>> {
  const found: [string, string][] = [];
  const visit = async (path: string) => {
    for await (
      const { name, isDirectory } of Deno.readDir(`${folder}${path}`)
    ) {
      const inside = `${path}/${name}`;
      if (isDirectory) await visit(inside);
      else {
        const bytes = await Deno.readFile(`${folder}${inside}`);
        const hash = await crypto.subtle.digest("SHA-256", bytes);
        found.push([inside.slice(1), new Uint8Array(hash).toHex()]);
      }
    }
  };
  await visit("");
  return new Map(found.toSorted());
}
