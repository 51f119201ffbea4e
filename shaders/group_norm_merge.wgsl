// Group normalisation, second of three shaders: merges the moments of partial sums
// into a mean and a scale for every channel.
//
// stats[b, 0, c] = mean of c's group
// stats[b, 1, c] = weight[c] / sqrt(variance of c's group + eps), or without WEIGHTED,
//                  for the gradient, 1 / sqrt(…)
//
// moments (B, P, 3, C), weight (C), stats (B, 2, C) in f32. The variance is the
// biased one; moments are merged by Chan's rule, in f32.
// Grid: B · G invocations in groups of 32.

struct Params {
  pixels: u32, // N
  channels: u32, // C
  partials: u32, // P
  partial: u32, // pixels per partial sum
  groups: u32, // G
  total: u32, // B · G
  eps: f32,
}

override WEIGHTED: bool = true;

@group(0) @binding(0) var<storage, read> moments: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<real>;
@group(0) @binding(2) var<storage, read_write> stats: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

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

  // Means are kept as differences to one pixel's value, so that no digits are lost.
  let origin = moments[b * p.partials * 3u * p.channels + first];
  var mean = 0.0;
  var m2 = 0.0; // Σ (x − mean)² over all values merged so far
  var count = 0.0;
  for (var partial = 0u; partial < p.partials; partial++) {
    let n = f32(min(p.partial, p.pixels - partial * p.partial));
    let at = (b * p.partials + partial) * 3u * p.channels + first;
    for (var i = 0u; i < width; i++) {
      let delta = moments[at + i] - origin + moments[at + p.channels + i] - mean;
      let share = n / (count + n);
      mean += delta * share;
      m2 += moments[at + 2u * p.channels + i] + delta * delta * count * share;
      count += n;
    }
  }

  let inverse = inverseSqrt(m2 / count + p.eps);
  for (var i = 0u; i < width; i++) {
    let c = first + i;
    stats[b * 2u * p.channels + c] = origin + mean;
    stats[(b * 2u + 1u) * p.channels + c] =
      select(1.0, f32(weight[c]), WEIGHTED) * inverse;
  }
}
