/**
 * Textures as memory: their shapes, and bytes written at any texel.
 */
import { assert, assertEquals } from "@std/assert";
import {
  scratchShape,
  shapeBytes,
  TEXEL_BYTES,
  TEXEL_FORMAT,
  texelShape,
  writeTexels,
} from "../src/gpu/texels.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

Deno.test("texels: a texture has room, loses little, and is a power of two wide", () => {
  for (const texels of [1, 31, 32, 33, 1000, 4096, 5000, 1 << 20, 3e7]) {
    for (const shape of [texelShape(texels), scratchShape(texels)]) {
      const { width, height, shift } = shape;
      assertEquals(width, 2 ** shift);
      assert(width * height >= texels, `${texels}`);
      assert(width * (height - 1) < texels, `${texels}`);
      assertEquals(shapeBytes(shape), width * height * 16);
    }
    const { width, height } = texelShape(texels);
    if (texels > 1024 && texels < 1 << 24) {
      assert(width * height < texels * 1.1, `${texels}: ${width}×${height}`);
    }
  }
});

gpuTest("texels: bytes are written from any texel on, over rows", async () => {
  const { device } = await sharedGpu();
  const { width, height } = texelShape(200);
  const bytes = width * height * TEXEL_BYTES;
  const texture = device.createTexture({
    size: [width, height],
    format: TEXEL_FORMAT,
    usage: GPUTextureUsage.COPY_DST | GPUTextureUsage.COPY_SRC,
  });
  const buffer = device.createBuffer({
    size: bytes,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  try {
    const want = Uint8Array.from({ length: bytes }, (_, i) => i * 7 + (i >> 8));
    // A part of a row, then the rest of it, whole rows and a part of one, the end.
    for (const [from, to] of [[3, 9], [9, 100], [0, 3], [100, bytes / 16]]) {
      writeTexels(
        device.queue,
        texture,
        from * TEXEL_BYTES,
        want.subarray(from * TEXEL_BYTES, to * TEXEL_BYTES),
      );
    }
    const encoder = device.createCommandEncoder();
    encoder.copyTextureToBuffer(
      { texture },
      { buffer, bytesPerRow: width * TEXEL_BYTES },
      [width, height],
    );
    device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ);
    assertEquals(new Uint8Array(buffer.getMappedRange()), want);
  } finally {
    buffer.destroy();
    texture.destroy();
  }
});
