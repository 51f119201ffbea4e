// The squared norm, first of two shaders: partial sums of x².
//
// partials[w] = Σ x[i]² over the 16384 elements from 16384 w on
//
// x (N) and partials (P) in f32. Each lane adds eight sums of eight squares, 256
// elements apart, and the lanes' sums are added in pairs: the order is always the
// same, and an error grows with the logarithm of N rather than with N.
// Grid: P workgroups of 256.

struct Params {
  total: u32, // N
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups);
  let first = index * 16384u + lane;
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) {
    var eight = 0.0;
    for (var j = 0u; j < 8u; j++) {
      let at = first + (i * 8u + j) * 256u;
      if at < p.total { eight += x[at] * x[at]; }
    }
    sum += eight;
  }
  sums[lane] = sum;
  for (var step = 128u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if lane < step { sums[lane] += sums[lane + step]; }
  }
  // A dispatch folded to two axes may have more workgroups than there are sums.
  if lane == 0u && index * 16384u < p.total { partials[index] = sums[0]; }
}
