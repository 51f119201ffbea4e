// Gradients of layer normalisation by its weight and bias: partial sums over rows,
// which affine_gradient.wgsl adds.
//
// sums[partial, 0, c] = Σₘ dy[m, c] over the partial sum's rows
// sums[partial, 1, c] = Σₘ dy[m, c] · (x[m, c] − mean_m) · r_m
//
// x and dy (M, C), or a slice of the rows; stats (M, 2) in f32, mean and
// r = 1 / sqrt(variance + eps) of each row; sums (P, 2, C) in f32; C a multiple of 4.
// Accumulates in f32. Prepended: one of vec4_*.wgsl.
// Grid: one invocation per partial sum and vec4 of channels, in groups of 32,
// channels fastest.

struct Params {
  rows: u32, // M
  channels4: u32, // C / 4
  partial: u32, // rows per partial sum
  first_partial: u32, // index of the launch's first partial sum
  first_source: u32, // index of the first bound row of x and dy
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> dy: array<packed4>;
@group(0) @binding(2) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let unit = divide(index, p.channels4);
  let c = index - unit * p.channels4;
  let partial = p.first_partial + unit;
  let start = partial * p.partial;
  let end = min(start + p.partial, p.rows);
  var sum = vec4<f32>();
  var products = vec4<f32>();
  for (var row = start; row < end; row++) {
    let at = (row - p.first_source) * p.channels4 + c;
    let g = unpack4(dy[at]);
    let row_stats = stats[row];
    sum += g;
    products += g * (unpack4(x[at]) - row_stats.x) * row_stats.y;
  }
  let to = partial * 2u * p.channels4 + c;
  sums[to] = sum;
  sums[to + p.channels4] = products;
}
