// dx[m, c] = r · (weight[c] · dy[m, c] − mean of weight · dy − x̂ · mean of weight · dy · x̂)
//
// with r = 1 / sqrt(variance_m + eps), x̂ = (x − mean_m) · r and the means over the row.
// x, dy and dx (M, C), or a slice of the rows; weight (C); C a multiple of 4. Leaves
// mean_m and r in stats (M, 2), f32, for layer_norm_gradient_sums.wgsl. Accumulates
// in f32; the variance is the biased one, of differences to the mean.
// = the gradient by its input of torch.nn.functional.layer_norm over the last axis.
// Prepended: one of vec4_*.wgsl.
// Grid: M invocations in groups of 32, one per row.

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
  let mean = dot(sum, vec4<f32>(1.0)) / count;

  var squares = vec4<f32>(); // Σ (x − mean)²
  var weighted = vec4<f32>(); // Σ weight · dy
  var products = vec4<f32>(); // Σ weight · dy · (x − mean)
  for (var c = 0u; c < p.channels4; c++) {
    let d = unpack4(x[base + c]) - mean;
    let g = unpack4(weight[c]) * unpack4(dy[base + c]);
    squares += d * d;
    weighted += g;
    products += g * d;
  }
  let inverse = inverseSqrt(dot(squares, vec4<f32>(1.0)) / count + p.eps);
  let level = dot(weighted, vec4<f32>(1.0)) / count;
  let slope = inverse * inverse * dot(products, vec4<f32>(1.0)) / count;

  for (var c = 0u; c < p.channels4; c++) {
    let d = unpack4(x[base + c]) - mean;
    let g = unpack4(weight[c]) * unpack4(dy[base + c]);
    dx[base + c] = pack4(inverse * (g - level - slope * d));
  }
  stats[p.first_row + row] = vec2<f32>(mean, inverse);
}
