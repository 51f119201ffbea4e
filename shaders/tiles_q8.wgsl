// How conv2d_tiles reads its weight, stored as q8: a vec8 is two words of four signed
// bytes. The scales follow all words, one f16 for every four vec8s. p.weight8 is the
// number of vec8s in the weight. See weights/FORMAT.md.

@group(0) @binding(1) var<storage, read> w: array<u32>;

struct fetched {
  first: u32,
  second: u32,
  scale: f32,
}

// Vec8 `at` of the weight, row-major, with its scale.
fn fetch(at: u32) -> fetched {
  let block = at / 4u;
  let pair = unpack2x16float(w[p.weight8 * 2u + block / 2u]);
  return fetched(
    w[at * 2u],
    w[at * 2u + 1u],
    select(pair.x, pair.y, block % 2u == 1u),
  );
}

fn expand(o: fetched) -> values {
  return o.scale *
    values(vec4<f32>(unpack4xI8(o.first)), vec4<f32>(unpack4xI8(o.second)));
}
