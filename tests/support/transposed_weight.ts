/**
 * Transposes a weight of 256 MiB from a file and prints how many MiB of host memory
 * that took at most. Run as a process, whose memory nobody else uses; on Linux, which
 * tells the highest resident size.
 *
 * @module
 */
import { transposed } from "../../src/weights/transposed.ts";

/** A line of this process's memory, in MiB. */
async function residentMiB(name: string): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status");
  return Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(status)![1]) / 1024;
}

const CHUNK = 4 * 2 ** 20;
const shape = [8192, 8192];
const bytes = 4 * shape[0] * shape[1];

const path = await Deno.makeTempFile();
using file = await Deno.open(path, { read: true, write: true });
await Deno.remove(path);
await file.truncate(bytes);

async function* chunks() {
  await file.seek(0, Deno.SeekMode.Start);
  for (let at = 0; at < bytes; at += CHUNK) {
    const chunk = new Uint8Array(CHUNK);
    for (let done = 0; done < CHUNK;) {
      done += (await file.read(chunk.subarray(done)))!;
    }
    yield chunk;
  }
}

const tensor = { name: "weight", dtype: "f32", shape, bytes, chunks } as const;
const before = await residentMiB("VmRSS");
for await (
  const _ of transposed({ name: "weight", shape, tensor }).tensor.chunks()
);
console.log(Math.round(await residentMiB("VmHWM") - before));
