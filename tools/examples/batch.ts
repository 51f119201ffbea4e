/**
 * A batch: an image for every photo in a folder, with one loaded model. A photo
 * that cannot be used is reported and skipped.
 *
 *     deno run -A tools/examples/batch.ts PHOTOS OUTPUT PROMPT [STEPS]
 *
 * PHOTOS and OUTPUT are folders; `a.jpg` becomes `a.jpg.png`. The exit code is 1
 * if a photo was skipped.
 *
 * @module
 */
import {
  MasterWeaver,
  MasterWeaverError,
  readImage,
  writePng,
} from "../../mod.ts";
import { words } from "./words.ts";

const usage = ["batch.ts PHOTOS OUTPUT PROMPT [STEPS]"];
const [photos, output, prompt, steps = "30"] = words(usage, 3, 4);

/** Errors that concern one photo; any other would stop the next photo too. */
const PHOTO_ERRORS = ["cannot-read", "bad-image", "no-face"];

try {
  const info = await Deno.stat(photos).catch(() => null);
  if (!info?.isDirectory) {
    throw new Error(
      `Cannot read ${photos}: it is not a folder; give one with photos`,
    );
  }
  const names = (await Array.fromAsync(Deno.readDir(photos)))
    .map(({ name }) => name)
    .filter((name) => /\.(png|jpe?g)$/i.test(name))
    .toSorted();
  if (names.length === 0) throw new Error(`No PNG or JPEG file in ${photos}`);
  await Deno.mkdir(output, { recursive: true });
  // Networks that stay on the GPU are loaded once for the whole batch.
  const model = new URL("../../weights/mini", import.meta.url);
  await using weaver = await MasterWeaver.load(model, { keepLoaded: true });
  const settings = { prompt, steps: Number(steps) };
  for (const name of names) {
    let identity;
    try {
      const photo = await readImage(`${photos}/${name}`);
      identity = await weaver.encodeIdentity([photo]);
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      if (!PHOTO_ERRORS.includes(error.code)) throw error;
      console.error(`Skipped ${name}: ${error.message}`);
      Deno.exitCode = 1;
      continue;
    }
    const { images } = await weaver.generate({ ...settings, identity });
    await writePng(`${output}/${name}.png`, images[0]);
    console.log(`${output}/${name}.png`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
