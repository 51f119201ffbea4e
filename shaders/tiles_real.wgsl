// How conv2d_tiles reads its weight, stored as `real`: an octet is fetched as it
// lies and unpacked when it is put in workgroup memory.

@group(0) @binding(1) var<storage, read> w: array<octet>;

alias fetched = octet;

// Octet `at` of the weight, row-major.
fn fetch(at: u32) -> fetched {
  return w[at];
}

fn expand(o: fetched) -> values {
  return unpack(o);
}
