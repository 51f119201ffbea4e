// y[m, c] = (x[m, c] − mean_m) / sqrt(variance_m + eps) · weight[c] + bias[c]
//
// x and y (M, C), weight and bias (C); C a multiple of 4; the variance is the
// biased one, computed in a second pass over the row. Accumulates in f32.
// = torch.nn.functional.layer_norm over the last axis.
// Prepended: one of vec4_*.wgsl.
// Grid: M invocations in groups of 32, one per row.

struct Params {
  rows: u32,
  channels4: u32, // C / 4
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> weight: array<packed4>;
@group(0) @binding(2) var<storage, read> bias: array<packed4>;
@group(0) @binding(3) var<storage, read_write> y: array<packed4>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = group_index(group, groups) * 32u + lane;
  if row >= p.rows { return; }
  let base = row * p.channels4;
  let count = f32(p.channels4 * 4u);

  var sum = vec4<f32>();
  for (var c = 0u; c < p.channels4; c++) {
    sum += unpack4(x[base + c]);
  }
  let mean = (sum.x + sum.y + sum.z + sum.w) / count;

  var squares = vec4<f32>();
  for (var c = 0u; c < p.channels4; c++) {
    let d = unpack4(x[base + c]) - mean;
    squares += d * d;
  }
  let variance = (squares.x + squares.y + squares.z + squares.w) / count;
  let inverse = inverseSqrt(variance + p.eps);

  for (var c = 0u; c < p.channels4; c++) {
    y[base + c] = pack4((unpack4(x[base + c]) - mean) * inverse *
      unpack4(weight[c]) + unpack4(bias[c]));
  }
}
