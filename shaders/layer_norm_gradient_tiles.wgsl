// dx[m, c] = r · (weight[c] · dy[m, c] − mean of weight · dy − x̂ · mean of weight · dy · x̂)
//
// Computes what layer_norm_gradient.wgsl does, one row per workgroup, for hardware
// GPUs, which load the memory of neighbouring invocations at once. Each invocation
// sums every 64th vec4 of the row; these sums are added in workgroup memory, in six
// halvings, always in the same order.
//
// with r = 1 / sqrt(variance_m + eps), x̂ = (x − mean_m) · r and the means over the row.
// x, dy and dx (M, C), or a slice of the rows; weight (C); C a multiple of 4. Leaves
// mean_m and r in stats (M, 2), f32. Accumulates in f32.
// = the gradient by its input of torch.nn.functional.layer_norm over the last axis.
// Prepended: one of vec4_*.wgsl.
// Grid: M workgroups of 64.

struct Params {
  rows: u32,
  first_row: u32, // index of the launch's first row, for stats
  channels4: u32, // C / 4
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> weight: array<packed4>;
@group(0) @binding(2) var<storage, read> dy: array<packed4>;
@group(0) @binding(3) var<storage, read_write> dx: array<packed4>;
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> sums: array<vec3<f32>, 64>;

// The sums of the values of all invocations of the workgroup.
fn add_all(lane: u32, values: vec3<f32>) -> vec3<f32> {
  workgroupBarrier();
  sums[lane] = values;
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
  let ones = vec4<f32>(1.0);

  var sum = vec4<f32>();
  for (var c = lane; c < p.channels4; c += 64u) {
    sum += unpack4(x[base + c]);
  }
  let mean = add_all(lane, vec3<f32>(dot(sum, ones))).x / count;

  var squares = vec4<f32>(); // Σ (x − mean)²
  var weighted = vec4<f32>(); // Σ weight · dy
  var products = vec4<f32>(); // Σ weight · dy · (x − mean)
  for (var c = lane; c < p.channels4; c += 64u) {
    let d = unpack4(x[base + c]) - mean;
    let g = unpack4(weight[c]) * unpack4(dy[base + c]);
    squares += d * d;
    weighted += g;
    products += g * d;
  }
  let own = vec3<f32>(dot(squares, ones), dot(weighted, ones), dot(products, ones));
  let means = add_all(lane, own) / count;
  let inverse = inverseSqrt(means.x + p.eps);
  let slope = inverse * inverse * means.z;

  for (var c = lane; c < p.channels4; c += 64u) {
    let d = unpack4(x[base + c]) - mean;
    let g = unpack4(weight[c]) * unpack4(dy[base + c]);
    dx[base + c] = pack4(inverse * (g - means.y - slope * d));
  }
  if lane == 0u { stats[p.first_row + row] = vec2<f32>(mean, inverse); }
}
