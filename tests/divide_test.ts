/**
 * The prelude's division of integers by floats: exact up to 2³¹ − 1.
 */
import { assertEquals } from "@std/assert";
import { BindGroups } from "../src/gpu/bind_groups.ts";
import { readBuffers } from "../src/gpu/readback.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";

const code = `
@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> quotients: array<u32>;
@group(0) @binding(2) var<uniform> count: vec4<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if id.x >= count.x { return; }
  quotients[id.x] = divide(pairs[id.x].x, pairs[id.x].y);
}
`;

/** Divisors, and for each what lies around its multiples, up to the largest. */
function cases(): number[][] {
  const largest = 2 ** 31 - 1;
  const divisors = [
    ...[1, 2, 3, 7, 40, 77, 255, 256, 1280, 4096, 65537],
    ...[2 ** 24 - 1, 2 ** 24 + 1, 1e9, largest],
  ];
  const factors = [0, 1, 2, 3, 1000, 65535, 2 ** 23 + 1, 2 ** 24 + 1, largest];
  return divisors.flatMap((b) =>
    factors.map((q) => Math.min(q, Math.floor(largest / b)) * b)
      .flatMap((a) => [a - 1, a, a + 1, a + b - 1, largest])
      .filter((a) => a >= 0 && a <= largest)
      .map((a) => [a, b])
  );
}

gpuTest("divide: whole quotients of numbers up to 2³¹ − 1", async () => {
  const gpu = await sharedGpu();
  const pairs = cases();
  const given = new Uint32Array(pairs.flat());
  const { STORAGE, UNIFORM, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const input = gpu.buffers.make(
    given.byteLength,
    STORAGE | COPY_DST,
    "pairs",
  );
  const output = gpu.buffers.make(
    4 * pairs.length,
    STORAGE | COPY_SRC,
    "quotients",
  );
  const count = gpu.buffers.make(16, UNIFORM | COPY_DST, "count");
  const slice = (buffer: GPUBuffer) => ({
    buffer,
    offset: 0,
    size: buffer.size,
  });
  try {
    const { queue } = gpu.device;
    queue.writeBuffer(input, 0, given);
    queue.writeBuffer(count, 0, new Uint32Array([pairs.length, 0, 0, 0]));
    const access = ["read", "write"] as const;
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(
      gpu.pipelines.get({ shader: "divide", code, storage: "f32", access }),
    );
    const bound = [slice(input), slice(output)];
    pass.setBindGroup(
      0,
      new BindGroups(gpu).bind(access, bound, slice(count)),
      [0],
    );
    pass.setBindGroup(1, gpu.partStarts.whole);
    pass.dispatchWorkgroups(Math.ceil(pairs.length / 64));
    pass.end();
    queue.submit([encoder.finish()]);
    const [bytes] = await readBuffers(gpu, [slice(output)]);
    const found = new Uint32Array(bytes);
    pairs.forEach(([a, b], i) =>
      assertEquals(found[i], Math.floor(a / b), `${a} / ${b}`)
    );
  } finally {
    for (const buffer of [input, output, count]) gpu.buffers.free(buffer);
  }
});
