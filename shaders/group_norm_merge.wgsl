// Group normalisation, second of three: from sums to a mean and a scale for
// every channel.
//
// stats[b, 0, c] = mean of c's group
// stats[b, 1, c] = weight[c] / sqrt(variance of c's group + eps)
//
// x (B, N, C) for its first pixel, sums (B, P, 2, C), weight (C), stats
// (B, 2, C) in f32. The variance is the biased one; per-channel moments are
// merged by Chan's rule.
// Grid: B · G invocations in groups of 32.

struct Params {
  pixels: u32, // N
  channels: u32, // C
  pieces: u32, // P
  groups: u32, // G
  total: u32, // B · G
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<real>;
@group(0) @binding(3) var<storage, read_write> stats: array<f32>;
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
  let count = f32(p.pixels);

  var mean = 0.0;
  var m2 = 0.0; // Σ (x − mean)² over the channels merged so far
  for (var i = 0u; i < width; i++) {
    let c = first + i;
    var sum = 0.0;
    var squares = 0.0;
    for (var piece = 0u; piece < p.pieces; piece++) {
      let at = (b * p.pieces + piece) * 2u * p.channels + c;
      sum += sums[at];
      squares += sums[at + p.channels];
    }
    let shifted = sum / count;
    let channel_mean = f32(x[b * p.pixels * p.channels + c]) + shifted;
    let channel_m2 = max(squares - sum * shifted, 0.0);
    let n = f32(i);
    let delta = channel_mean - mean;
    mean += delta / (n + 1.0);
    m2 += channel_m2 + delta * delta * count * n / (n + 1.0);
  }

  let inverse = inverseSqrt(m2 / (count * f32(width)) + p.eps);
  for (var i = 0u; i < width; i++) {
    let c = first + i;
    stats[b * 2u * p.channels + c] = mean;
    stats[(b * 2u + 1u) * p.channels + c] = f32(weight[c]) * inverse;
  }
}
