/**
 * How goldens are kept small: folded values, small scores and hashes must show
 * what the whole would.
 */
import {
  assert,
  assertAlmostEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { torchCpuNormal } from "../src/samplers/noise.ts";
import { nmse } from "./support/compare.ts";
import { type Noise, withNoise, withoutNoise } from "./support/drawn_noise.ts";
import { reduce, upsample } from "./support/enlarge.ts";
import { flat } from "./support/faces.ts";
import { fold } from "./support/fold.ts";
import { assertInput, imageInputs } from "./support/network_inputs.ts";
import { assertPixels, hashPixels, PIXELS } from "./support/pixels.ts";

Deno.test("goldens: the NMSE of folded values is that of the values", () => {
  const values = torchCpuNormal(1, 100_000);
  const noise = torchCpuNormal(2, values.length);
  for (const size of [1e-6, 1e-4, 1e-2]) {
    const off = values.map((x, i) => x + size * noise[i]);
    const ratio = nmse(fold(off), fold(values)) / nmse(off, values);
    // Five standard errors, of error and power each: the root of 2 · 2 / 4096.
    assertAlmostEquals(ratio, 1, 5 / 32);
  }
});

Deno.test("goldens: one wrong, moved or missing value shows in the folded values", () => {
  const values = torchCpuNormal(3, 50_000);
  const expected = fold(values);
  for (const at of [0, 4095, 4096, 31_415, 49_999]) {
    const wrong = values.slice();
    wrong[at] += 0.05;
    const error = nmse(fold(wrong), expected);
    assert(error > 1e-8, `${at}: ${error}`);
    assertAlmostEquals(error / nmse(wrong, values), 1, 5 / 32);
  }
  // By one row of an image, by as many as there are sums, all of them turned.
  const moved = [32, 4096, 8192].map((by) =>
    values.map((_, i) => values[(i + by) % values.length])
  );
  for (const wrong of [...moved, values.toReversed(), values.slice(1)]) {
    assert(nmse(fold(wrong), expected) > 1);
  }
  assert(nmse(fold(values.slice(0, -1)), expected) > 1e-8);
});

Deno.test("goldens: upsampling equals PyTorch's, and can be undone", () => {
  // torch.nn.functional.interpolate(torch.tensor([[[[1., 2.], [4., 8.]]]]),
  // size=(4, 4), mode="bilinear", align_corners=True)
  // deno-fmt-ignore
  const pytorch = [
    1, 1.3333334, 1.6666667, 2,
    2, 2.6666667, 3.3333335, 4,
    3, 4, 5, 6,
    4, 5.3333335, 6.666667, 8,
  ];
  const small = [1, 2, 4, 8];
  assert(nmse(upsample(small, 2, 4), pytorch) < 1e-14);
  const planes = torchCpuNormal(4, 3 * 32 * 32);
  assert(nmse(reduce(upsample(planes, 32, 256), 256, 32), planes) < 1e-24);
});

Deno.test("goldens: noise is drawn again, and other noise is refused", () => {
  const noise = (seed: number): Noise[] => [{ seed, draws: [["x", [5, 100]]] }];
  const data = Float32Array.from(torchCpuNormal(5, 500));
  const whole = new Map([["x", { shape: [5, 100], data }]]);
  const kept = withoutNoise(whole, noise(5));
  assert(!kept.has("x"));
  const again = withNoise(kept, noise(5));
  assert([...again.keys()].join() === "x");
  assert(nmse(again.get("x")!.data, data) < 1e-24);
  assertThrows(() => withNoise(kept, noise(6)), Error, "x is other noise");
  data[499] += 1e-3;
  assertThrows(() => withoutNoise(whole, noise(5)), Error, "x is other noise");
});

Deno.test("goldens: an input with one wrong bit is refused", async () => {
  const image = (await imageInputs()).get("vae.image")!;
  const data = Float32Array.from(image.data);
  await assertInput("vae.image", data);
  new Uint8Array(data.buffer)[4000] ^= 1;
  await assertRejects(() => assertInput("vae.image", data), Error, "vae.image");
});

Deno.test("goldens: an image with one wrong byte is refused, and its rows are named", async () => {
  const name = "resize/nearest_256x256";
  assert(name in PIXELS);
  const image = flat(256, 256);
  await assertRejects(
    () => assertPixels(image, name),
    Error,
    `${name} differs in rows 0..31, 32..63, `,
  );
  const { rows } = await hashPixels(image);
  image.data[(100 * 256 + 7) * 4]++;
  const other = await hashPixels(image);
  const different = rows.map((hash, i) => hash !== other.rows[i]);
  assert(different.every((is, i) => is === (i === 3)), `${different}`);
  await assertRejects(
    () => assertPixels(flat(16, 300), name),
    Error,
    `${name} is 16 × 300, expected 256 × 256`,
  );
  await assertRejects(() => assertPixels(image, "x"), Error, "has no x");
});
