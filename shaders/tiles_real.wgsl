// How conv2d_tiles reads its weight, stored in the storage type: a vec8 is fetched as
// it is stored, and unpacked when it is written to workgroup memory.

@group(0) @binding(1) var<storage, read> w: array<packed8>;

alias fetched = packed8;

// Vec8 `at` of the weight, row-major.
fn fetch(at: u32) -> fetched {
  return w[at];
}

fn expand(o: fetched) -> values {
  return unpack(o);
}
