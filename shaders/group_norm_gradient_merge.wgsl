// Gradient of group normalisation, fourth of six shaders: merges partial sums into
// what the gradients of x and of the affine parameters need, one group per
// invocation, in a fixed order.
//
// totals[b, 0, c] = Σₙ g[b, n, c]
// totals[b, 1, c] = Σₙ g[b, n, c] · x̂[b, n, c]
// totals[b, 2, c] = −r · mean of weight · g over c's group
// totals[b, 3, c] = −r² · mean of weight · g · x̂ over c's group
//
// with r = 1 / sqrt(variance + eps) of the group, which stats[b, 1, c] holds.
// sums (B, P, 2, C), of group_norm_gradient_sums.wgsl, stats (B, 2, C) and totals
// (B, 4, C) in f32; weight (C). Accumulates in f32.
// Grid: B · G invocations in groups of 32.

struct Params {
  pixels: u32, // N
  channels: u32, // C
  partials: u32, // P
  groups: u32, // G
  total: u32, // B · G
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<real>;
@group(0) @binding(3) var<storage, read_write> totals: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let width = p.channels / p.groups;
  let b = index / p.groups;
  let first = (index % p.groups) * width;
  let inverse = stats[(b * 2u + 1u) * p.channels + first];
  let to = b * 4u * p.channels + first;

  var mean = 0.0; // of weight · g, once divided
  var projection = 0.0; // mean of weight · g · x̂, once divided
  for (var i = 0u; i < width; i++) {
    var sum = 0.0;
    var products = 0.0;
    for (var partial = 0u; partial < p.partials; partial++) {
      let at = (b * p.partials + partial) * 2u * p.channels + first + i;
      sum += sums[at];
      products += sums[at + p.channels];
    }
    products *= inverse;
    totals[to + i] = sum;
    totals[to + p.channels + i] = products;
    let w = f32(weight[first + i]);
    mean += w * sum;
    projection += w * products;
  }
  let count = f32(width * p.pixels);
  for (var i = 0u; i < width; i++) {
    totals[to + 2u * p.channels + i] = -inverse * mean / count;
    totals[to + 3u * p.channels + i] = -inverse * inverse * projection / count;
  }
}
