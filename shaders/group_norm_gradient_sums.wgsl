// Gradient of group normalisation, third of six shaders, after the forward's moments
// and their merging: partial sums over pixels.
//
// g[b, n, c] = dy[b, n, c] · act′(x̂[b, n, c] · weight[c] + bias[c])
// sums[b, partial, 0, c] = Σ g over the partial sum's pixels
// sums[b, partial, 1, c] = Σ g · (x − mean of c's group)
//
// x and dy (B, N, C), or a slice of the pixels; stats (B, 2, C) in f32, mean and
// 1 / sqrt(variance + eps), whose products with x − mean are x̂; weight and bias (C);
// sums (B, P, 2, C) in f32; C a multiple of 4. Accumulates in f32.
// Prepended: one of vec4_*.wgsl, activation_derivative.wgsl.
// Grid: one invocation per partial sum and vec4 of channels, in groups of 32,
// channels fastest.

struct Params {
  pixels: u32, // N
  channels4: u32, // C / 4
  partials: u32, // P
  partial: u32, // pixels per partial sum
  first_partial: u32, // index in the batch of the launch's first partial sum
  first_source: u32, // index in the batch of the first bound pixel of x and dy
  total: u32,
}

override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> dy: array<packed4>;
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> weight: array<packed4>;
@group(0) @binding(4) var<storage, read> bias: array<packed4>;
@group(0) @binding(5) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let row = divide(index, p.channels4);
  let c = index - row * p.channels4;
  let unit = p.first_partial + row;
  let image = divide(unit, p.partials);
  let start = (unit - image * p.partials) * p.partial;
  let count = min(p.partial, p.pixels - start);
  let first = image * p.pixels + start - p.first_source;
  let base = first * p.channels4 + c;
  let mean = stats[image * 2u * p.channels4 + c];
  let scale = stats[(image * 2u + 1u) * p.channels4 + c] * unpack4(weight[c]);
  let offset = unpack4(bias[c]);
  var sum = vec4<f32>();
  var products = vec4<f32>();
  for (var i = 0u; i < count; i++) {
    let at = base + i * p.channels4;
    let d = unpack4(x[at]) - mean;
    let g = unpack4(dy[at]) * activate_derivative4(ACTIVATION, d * scale + offset);
    sum += g;
    products += g * d;
  }
  let to = unit * 2u * p.channels4 + c;
  sums[to] = sum;
  sums[to + p.channels4] = products;
}
