// How conv2d_tiles reads its weight, stored as q4: a word holds a vec8, the first
// four values in the lower halves of its bytes, the others in the upper halves, each
// plus 8. The scales follow all words, one f16 for every four vec8s. p.weight8 is the
// number of vec8s in the weight. See weights/FORMAT.md.

@group(0) @binding(1) var<storage, read> w: array<u32>;

struct fetched {
  word: u32,
  scale: f32,
}

// Vec8 `at` of the weight, row-major, with its scale.
fn fetch(at: u32) -> fetched {
  let block = at / 4u;
  let pair = unpack2x16float(w[p.weight8 + block / 2u]);
  return fetched(w[at], select(pair.x, pair.y, block % 2u == 1u));
}

fn expand(o: fetched) -> values {
  let low = vec4<f32>(unpack4xU8(o.word & 0x0f0f0f0fu)) - 8.0;
  let high = vec4<f32>(unpack4xU8((o.word >> 4u) & 0x0f0f0f0fu)) - 8.0;
  return o.scale * values(low, high);
}
