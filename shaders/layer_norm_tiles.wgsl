// y[m, c] = (x[m, c] − mean_m) / sqrt(variance_m + eps) · weight[c] + bias[c]
//
// Computes what layer_norm.wgsl does, one row per workgroup, for hardware GPUs, which
// load the memory of neighbouring invocations at once. Each invocation sums every
// 64th vec4 of the row; these sums are added in workgroup memory, in six halvings.
// The mean comes first, then the squares of differences to it.
//
// x and y (M, C), weight and bias (C), in vec4s; C a multiple of 4. Accumulates in f32.
// = torch.nn.functional.layer_norm over the last axis.
// Prepended: one of vec4_*.wgsl.
// Grid: M workgroups of 64.

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

var<workgroup> sums: array<f32, 64>;

// The sum of the values of all invocations of the workgroup.
fn add_all(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  sums[lane] = value;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if lane < half { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  return sums[0];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  // A dispatch folded over two axes may have surplus workgroups: they compute the
  // last row again, as an early return would break the uniformity of barriers.
  let row = min(group_index(group, groups), p.rows - 1u);
  let base = row * p.channels4;
  let count = f32(p.channels4 * 4u);

  var sum = vec4<f32>();
  for (var c = lane; c < p.channels4; c += 64u) {
    sum += unpack4(x[base + c]);
  }
  let mean = add_all(lane, sum.x + sum.y + sum.z + sum.w) / count;

  var squares = vec4<f32>();
  for (var c = lane; c < p.channels4; c += 64u) {
    let d = unpack4(x[base + c]) - mean;
    squares += d * d;
  }
  let total = add_all(lane, squares.x + squares.y + squares.z + squares.w);
  let inverse = inverseSqrt(total / count + p.eps);

  for (var c = lane; c < p.channels4; c += 64u) {
    let v = (unpack4(x[base + c]) - mean) * inverse;
    y[base + c] = pack4(v * unpack4(weight[c]) + unpack4(bias[c]));
  }
}
