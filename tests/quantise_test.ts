import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertThrows,
} from "@std/assert";
import {
  dequantise,
  quantise,
  type QuantisedDtype,
} from "../src/weights/quantise.ts";
import { storedDtype } from "../src/weights/quantisation_policy.ts";
import { random } from "./support/weights.ts";

/** Normally distributed values (Box–Muller), the same every time. */
function normal(count: number, deviation: number): Float32Array {
  const next = random(7);
  const uniform = () => (next(2 ** 24) + 1) / 2 ** 24;
  return Float32Array.from(
    { length: count },
    () =>
      deviation * Math.sqrt(-2 * Math.log(uniform())) *
      Math.cos(2 * Math.PI * uniform()),
  );
}

function nmse(a: Float32Array, b: Float32Array): number {
  let error = 0;
  let square = 0;
  for (let i = 0; i < b.length; i++) {
    error += (a[i] - b[i]) ** 2;
    square += b[i] ** 2;
  }
  return error / square;
}

function roundTrip(values: Float32Array, dtype: QuantisedDtype) {
  const found = quantise(values, dtype);
  return { ...found, back: dequantise(found.quants, found.scales, dtype) };
}

Deno.test("quantise: q8 is within half a step of every value", () => {
  for (const deviation of [1e-5, 0.02, 3, 1e4]) {
    const values = normal(32 * 500, deviation);
    const { back, scales, maxError } = roundTrip(values, "q8");
    let worst = 0;
    for (const [i, value] of values.entries()) {
      const error = Math.abs(back[i] - value);
      const step = scales[i >> 5];
      // The product q · scale is rounded to f32, relative 6e-8 of 127 steps.
      assert(error <= step * 0.50001, `${value} became ${back[i]}`);
      worst = Math.max(worst, error);
    }
    // maxError is taken in double precision, `worst` after rounding to f32.
    assertAlmostEquals(maxError, worst, deviation * 1e-6);
  }
});

Deno.test("quantise: the error of normal weights is what the formats allow", () => {
  const values = normal(32 * 4000, 0.02);
  // A step of 2.36 σ / 127 (2.36: the mean largest of 32) has the error
  // step² / 12 = 2.9e-5 σ².
  assertAlmostEquals(nmse(roundTrip(values, "q8").back, values), 2.9e-5, 2e-6);
  // 16 levels: 2.36 σ / 8 gives 7.2e-3 σ²; the search for scales must gain.
  const q4 = roundTrip(values, "q4");
  const error = nmse(q4.back, values);
  assert(error < 6.8e-3, `${error}`);
  assert(error > 5e-3, `${error} is less than 16 levels can have`);
  const sum = values.reduce((a, b) => a + b * b, 0);
  assertAlmostEquals(q4.squaredError / sum, error, 1e-7);
});

Deno.test("quantise: exact values come back exactly", () => {
  const steps = Float32Array.from({ length: 32 }, (_, i) => (i % 16 - 8) / 64);
  for (const dtype of ["q8", "q4"] as const) {
    const zeros = roundTrip(new Float32Array(64), dtype);
    assertEquals([...zeros.scales], [0, 0]);
    assertEquals(zeros.back, new Float32Array(64));
    assertEquals(zeros.squaredError, 0);
  }
  assertEquals(roundTrip(steps, "q4").back, steps);
  assertEquals(
    roundTrip(steps.map((v) => -v), "q4").back,
    steps.map((v) => -v),
  );
  const one = new Float32Array(32);
  one[5] = -0.75;
  assertAlmostEquals(roundTrip(one, "q8").back[5], -0.75, 0.75 * 2 ** -11);
  assertAlmostEquals(roundTrip(one, "q4").back[5], -0.75, 0.75 * 2 ** -11);
});

Deno.test("quantise: values too small or too large for a scale", () => {
  const tiny = new Float32Array(32).fill(1e-9);
  for (const dtype of ["q8", "q4"] as const) {
    const { back, maxError } = roundTrip(tiny, dtype);
    assert(back.every(Number.isFinite));
    // Not further off than nothing stored at all.
    assert(maxError <= 1.0001e-9, `${dtype}: ${maxError}`);
    const huge = quantise(new Float32Array(32).fill(1e8), dtype);
    assertEquals(Math.abs(huge.scales[0]), Infinity);
  }
});

Deno.test("quantise: the bytes are those of the format", () => {
  const values = Float32Array.from({ length: 32 }, (_, i) => i % 8 - 4);
  values[31] = -8; // makes the scale 1
  const q4 = quantise(values, "q4");
  assertEquals([...q4.scales], [1]);
  // Value j in the lower four bits of byte j, value j + 4 in the upper, plus 8.
  assertEquals([...q4.quants.subarray(0, 4)], [0x84, 0x95, 0xa6, 0xb7]);
  assertEquals(q4.quants.length, 16);
  values[31] = -127;
  const q8 = quantise(values, "q8");
  assertEquals([...q8.scales], [1]);
  assertEquals([...new Int8Array(q8.quants.buffer)], [...values]);
});

Deno.test("quantise: broken blocks are refused", () => {
  assertThrows(() => quantise(new Float32Array(33), "q8"), RangeError, "33");
  assertThrows(
    () => dequantise(new Uint8Array(32), new Float16Array(2), "q8"),
    RangeError,
    "32 values with 2 scales",
  );
});

Deno.test("policy: what is quantised, and what stays", () => {
  const cases: [string, string, number[], string, string][] = [
    // component, tensor, shape, as q8, as q4
    ["unet", "mid_block.resnets.0.conv1.weight", [64, 3, 3, 64], "q8", "q4"],
    ["unet", "mid_block.attn.to_q.weight", [64, 96], "q8", "q4"],
    ["unet", "mid_block.attn.to_q.weight", [64, 100], "f16", "f16"],
    ["unet", "mid_block.attn.to_q.bias", [64], "f16", "f16"],
    ["unet", "mid_block.norm1.weight", [64], "f16", "f16"],
    ["unet", "conv_in.weight", [320, 3, 3, 32], "f16", "f16"],
    ["unet", "conv_out.weight", [4, 3, 3, 320], "f16", "f16"],
    ["unet", "time_embedding.linear_1.weight", [64, 64], "f16", "f16"],
    [
      "vae",
      "decoder.mid_block.resnets.0.conv1.weight",
      [64, 3, 3, 64],
      "q8",
      "q8",
    ],
    ["vae", "decoder.conv_out.weight", [3, 3, 3, 128], "f16", "f16"],
    [
      "text_encoder",
      "text_model.embeddings.token_embedding.weight",
      [99, 768],
      "f16",
      "f16",
    ],
    [
      "text_encoder",
      "text_model.encoder.layers.0.mlp.fc1.weight",
      [64, 64],
      "q8",
      "q4",
    ],
    [
      "identity_adapter",
      "id_encoder.proj_in.weight",
      [768, 1024],
      "f16",
      "f16",
    ],
    [
      "identity_adapter",
      "mid_block.attn2.to_k_img.weight",
      [64, 768],
      "q8",
      "q4",
    ],
    ["face_parser", "ffm.conv1.weight", [64, 1, 1, 64], "f16", "f16"],
    ["landmarks", "leaves.weight", [64, 64], "f16", "f16"],
  ];
  for (const [component, name, shape, q8, q4] of cases) {
    const facts = { name, shape };
    assertEquals(storedDtype(component, facts, "q8"), q8, name);
    assertEquals(storedDtype(component, facts, "q4"), q4, name);
    assertEquals(storedDtype(component, facts, "f16"), "f16", name);
    assertEquals(storedDtype(component, facts, "f32"), "f32", name);
    const exact = { ...facts, exact: true };
    assertEquals(storedDtype(component, exact, "q4"), "f32", name);
  }
});
