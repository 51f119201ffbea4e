/**
 * An identity used again: encoded once, saved as JSON, and loaded for as many
 * images as you like. It belongs to the model that made it; another refuses it.
 *
 *     deno run -A tools/examples/reuse_identity.ts encode PHOTO IDENTITY.json
 *     deno run -A tools/examples/reuse_identity.ts generate IDENTITY.json OUTPUT [STEPS]
 *
 * `generate` makes an image for each of two prompts and two seeds, in the folder
 * OUTPUT.
 *
 * @module
 */
import {
  MasterWeaver,
  readImage,
  type SavedIdentity,
  writePng,
} from "../../mod.ts";
import { words } from "./words.ts";

const usage = [
  "reuse_identity.ts encode PHOTO IDENTITY.json",
  "reuse_identity.ts generate IDENTITY.json OUTPUT [STEPS]",
];
const [task, from, to, steps = "30"] = words(usage, 3, 4);
if (!["encode", "generate"].includes(task)) {
  console.error(`The task is ${task}, expected encode or generate`);
  Deno.exit(2);
}

const PROMPTS = { snow: "a woman in the snow", angry: "an angry woman" };
const SEEDS = [1, 2];

try {
  const model = new URL("../../weights/mini", import.meta.url);
  // Without timing to choose kernels, a seed gives the same bits every time.
  await using weaver = await MasterWeaver.load(model, { tune: "off" });
  if (task === "encode") {
    const identity = await weaver.encodeIdentity([await readImage(from)]);
    const { tokens, unconditional, modelHash, adapterHash } = identity;
    // JSON has no Float32Array, but keeps each of its numbers exactly.
    const saved: SavedIdentity = {
      tokens: Array.from(tokens),
      unconditional: Array.from(unconditional),
      modelHash,
      adapterHash,
    };
    await Deno.writeTextFile(to, JSON.stringify(saved));
  } else {
    // `weaver.generate` checks what the file holds.
    const identity: SavedIdentity = JSON.parse(await Deno.readTextFile(from));
    await Deno.mkdir(to, { recursive: true });
    for (const [name, prompt] of Object.entries(PROMPTS)) {
      for (const seed of SEEDS) {
        const settings = { prompt, seed, steps: Number(steps) };
        const { images } = await weaver.generate({ ...settings, identity });
        await writePng(`${to}/${name}-${seed}.png`, images[0]);
      }
    }
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
