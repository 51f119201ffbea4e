/**
 * Stable Diffusion 1.5 at full size, planned and not run: what it takes of the
 * GPU's memory, and that every size of image fits an adapter's limits.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { checkSettings } from "../src/options/options.ts";
import { fullSizeComponents } from "./support/full_size.ts";
import {
  handedOver,
  imageGraphs,
  plannedBytes,
  ways,
} from "./support/full_size_plans.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

/** Limits of issue 5, of 512×512, one image, guidance on; in bytes. */
const budgets = [["f16", 2.3e9], ["q8", 1.5e9], ["q4", 1.1e9]] as const;

for (const [dtype, most] of budgets) {
  gpuTest(
    `full size, ${dtype}: 512×512 takes at most ${most / 1e9} GB of the GPU`,
    async () => {
      const gpu = await sharedGpu();
      const parts = fullSizeComponents(dtype);
      const runShape = { images: 1, height: 64, width: 64, guided: true };
      const all = imageGraphs("f16", parts, runShape);
      const before = gpu.buffers.bytes;
      using handed = await handedOver(gpu, "f16", parts, runShape);
      const kept = gpu.buffers.bytes - before;
      const cases = Object.entries(ways).flatMap(([title, way]) =>
        Object.entries(all).map(([name, g]) => ({ name, g, title, way }))
      );
      for (const { name, g, title, way } of cases) {
        const bytes = kept + await plannedBytes(gpu, g, handed, way);
        assert(bytes <= most, `${name} takes ${bytes} bytes ${title}`);
        // Its 860 million weights are among them.
        const perWeight = { f16: 2, q8: 1, q4: 0.5 }[dtype];
        if (name === "step") assert(bytes > 8.2e8 * perWeight, `${bytes}`);
      }
      assertEquals(gpu.buffers.bytes - before, kept);
    },
  );
}

/** Columns and rows: the corners of what is allowed, and odd levels in the UNet. */
const sizes = [
  [256, 256],
  [264, 1016],
  [1024, 256],
  [776, 520],
  [1024, 1024],
] as const;

for (const [width, height] of sizes) {
  gpuTest(
    `full size: ${width}×${height} fits bindings of 128 MiB`,
    async () => {
      const gpu = await sharedGpu();
      const parts = fullSizeComponents("q4");
      const runShape = {
        images: 1,
        height: height / 8,
        width: width / 8,
        guided: true,
      };
      const { step, decode } = imageGraphs("f16", parts, runShape);
      using handed = await handedOver(gpu, "f16", parts, runShape);
      for (const way of Object.values(ways)) {
        for (const g of [step, decode]) {
          const bytes = await plannedBytes(gpu, g, handed, way);
          assert(bytes < 2.1e9, `${bytes} bytes`);
        }
      }
      const { shape } = decode.outputs.get("pixels")!;
      assertEquals(shape, [1, height, width]);
    },
  );
}

Deno.test("full size: sides are the multiples of 8 from 64 to 2048", () => {
  const rule = { own: 512, multiple: 8 };
  const check = (side: number) =>
    checkSettings({ prompt: "", width: side, height: side }, rule);
  for (let side = 64; side <= 2048; side += 8) {
    assertEquals(check(side).width, side);
  }
  assertEquals(checkSettings({ prompt: "" }, rule).height, 512);
  for (const side of [56, 260, 1023, 2056, 512.5]) {
    assertThrows(() => check(side), MasterWeaverError, `got ${side}`);
  }
});
