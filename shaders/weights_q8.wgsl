// How linear and conv2d read their weight, stored as q8: a word holds four signed
// bytes. The scales follow all words, one f16 for every 32 values. p.weight4 is the
// number of vec4s in the weight. See weights/FORMAT.md.

@group(0) @binding(1) var<storage, read> w: array<u32>;

const SCALED4 = 8u; // vec4s of a row that share a scale

// Values 4 · at … 4 · at + 3, not yet scaled.
fn weight4(at: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xI8(w[at]));
}

// The scale of value 4 · at.
fn weight_scale(at: u32) -> f32 {
  let block = at / 8u;
  return unpack2x16float(w[p.weight4 + block / 2u])[block & 1u];
}
