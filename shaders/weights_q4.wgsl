// How linear and conv2d read their weight, stored as q4: a word holds eight values of
// four bits, each plus 8: the first four in the lower halves of its bytes, the others
// in the upper halves. The scales follow all words, one f16 for every 32 values.
// p.weight4 is the number of vec4s in the weight. See weights/FORMAT.md.

@group(0) @binding(1) var<storage, read> w: array<u32>;

const SCALED4 = 8u; // vec4s of a row that share a scale

// Values 4 · at … 4 · at + 3, not yet scaled.
fn weight4(at: u32) -> vec4<f32> {
  let halves = (w[at / 2u] >> (4u * (at & 1u))) & 0x0f0f0f0fu;
  return vec4<f32>(unpack4xU8(halves)) - 8.0;
}

// The scale of value 4 · at.
fn weight_scale(at: u32) -> f32 {
  let block = at / 8u;
  return unpack2x16float(w[p.weight4 / 2u + block / 2u])[block & 1u];
}
