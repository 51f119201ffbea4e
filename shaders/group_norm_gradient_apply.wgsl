// Gradient of group normalisation, fifth of six shaders: the gradient of x.
//
// g[b, n, c] = dy[b, n, c] · act′(x̂[b, n, c] · weight[c] + bias[c])
// dx[b, n, c] = r · (weight[c] · g − mean of weight · g − x̂ · mean of weight · g · x̂)
//
// with r = 1 / sqrt(variance + eps) of c's group and the means over all of it.
// x, dy and dx (B, N, C), or a slice of the pixels; stats (B, 2, C) in f32, mean and
// r; totals (B, 4, C) in f32, of group_norm_gradient_merge.wgsl; weight and bias
// (C); C a multiple of 4. Computes in f32.
// Prepended: one of vec4_*.wgsl, activation_derivative.wgsl.
// The six = the gradient of torch.nn.functional.group_norm, then the activation.
// Each invocation computes four channels of 8 pixels.
// Grid: ⌈pixels / 8⌉ · C/4 invocations in groups of 64, channels fastest.

struct Params {
  channels4: u32, // C / 4
  pixels: u32, // N
  first_pixel: u32, // index in the batch of the launch's first pixel
  rows: u32, // pixels of this launch
}

override ACTIVATION: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> dy: array<packed4>;
@group(0) @binding(2) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> totals: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<packed4>;
@group(0) @binding(5) var<storage, read> bias: array<packed4>;
@group(0) @binding(6) var<storage, read_write> dx: array<packed4>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  let eight = divide(index, p.channels4);
  let c = index - eight * p.channels4;
  let end = min(eight * 8u + 8u, p.rows);
  let w = unpack4(weight[c]);
  let offset = unpack4(bias[c]);
  // The eight pixels may belong to more than one image, each with its own statistics.
  for (var pixel = eight * 8u; pixel < end;) {
    let b = divide(p.first_pixel + pixel, p.pixels);
    let stop = min(end, (b + 1u) * p.pixels - p.first_pixel);
    let mean = stats[b * 2u * p.channels4 + c];
    let scale = stats[(b * 2u + 1u) * p.channels4 + c] * w;
    let shift = totals[(b * 4u + 2u) * p.channels4 + c];
    let slope = totals[(b * 4u + 3u) * p.channels4 + c];
    for (; pixel < stop; pixel++) {
      let at = pixel * p.channels4 + c;
      let d = unpack4(x[at]) - mean;
      let g = unpack4(dy[at]) * activate_derivative4(ACTIVATION, d * scale + offset);
      dx[at] = pack4(scale * g + slope * d + shift);
    }
  }
}
