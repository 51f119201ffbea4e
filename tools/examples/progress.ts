/**
 * Progress and cancellation: makes an image of many steps within a time limit.
 * When the limit passes, or at Ctrl-C, it stops, and the same model makes an
 * image of a few steps instead.
 *
 *     deno run -A tools/examples/progress.ts PHOTO OUTPUT.png [SECONDS] [STEPS]
 *
 * @module
 */
import {
  MasterWeaver,
  MasterWeaverError,
  type Progress,
  readImage,
  writePng,
} from "../../mod.ts";
import { words } from "./words.ts";

const usage = ["progress.ts PHOTO OUTPUT.png [SECONDS] [STEPS]"];
const [photo, output, seconds = "10", steps = "100"] = words(usage, 2, 4);
if (!(Number(seconds) > 0)) {
  console.error(`SECONDS is ${seconds}, expected a number above 0`);
  Deno.exit(2);
}

let shown = "";

/** Shows how far a call has come: on a terminal as one line, overwritten; elsewhere ten lines a stage. */
function show({ stage, network, done, total }: Progress) {
  const name = `${stage} ${network ?? ""}`;
  const line = `${name} ${done}/${total}`;
  if (!Deno.stderr.isTerminal()) {
    const now = `${name} ${Math.floor(10 * done / total)}`;
    if (now !== shown) console.error(line);
    shown = now;
    return;
  }
  Deno.stderr.writeSync(new TextEncoder().encode(`\r${line.padEnd(50)}`));
}

const interrupted = new AbortController();
const interrupt = () => interrupted.abort("Ctrl-C");
try {
  const model = new URL("../../weights/mini", import.meta.url);
  await using weaver = await MasterWeaver.load(model);
  const identity = await weaver.encodeIdentity([await readImage(photo)]);
  const settings = { identity, prompt: "a photo of a woman at the beach" };

  Deno.addSignalListener("SIGINT", interrupt);
  const limit = AbortSignal.timeout(1000 * Number(seconds));
  const signal = AbortSignal.any([limit, interrupted.signal]);
  let made = await weaver
    .generate({ ...settings, steps: Number(steps), signal, onProgress: show })
    .catch((error) => {
      if (error instanceof MasterWeaverError && error.code === "aborted") {
        return null;
      }
      throw error;
    })
    // From here on Ctrl-C ends the process, as usual.
    .finally(() => Deno.removeSignalListener("SIGINT", interrupt));
  if (made === null) {
    console.error(`\nStopped: ${limit.aborted ? "time is up" : signal.reason}`);
    made = await weaver.generate({ ...settings, steps: 5 });
  }
  await writePng(output, made.images[0]);
  console.log(`${output}: ${made.settings.steps} steps`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exitCode = 1;
}
