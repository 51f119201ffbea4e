// Group normalisation, first of three shaders: moments of partial sums over pixels.
//
// moments[b, partial, 0, c] = x₀, x at the partial sum's first pixel
// moments[b, partial, 1, c] = mean of x − x₀ over its pixels
// moments[b, partial, 2, c] = Σ (x − mean)² over its pixels
// Sums of differences to a value near the mean lose far fewer digits than sums
// of x and x².
//
// x (B, N, C), or a slice of the pixels; moments (B, P, 3, C) in f32; C a multiple
// of 4. Accumulates in f32. Prepended: one of vec4_*.wgsl.
// Grid: one invocation per partial sum and vec4 of channels, in groups of 32,
// channels fastest.

struct Params {
  pixels: u32, // N
  channels4: u32, // C / 4
  partials: u32, // P
  partial: u32, // pixels per partial sum
  first_partial: u32, // index in the batch of the launch's first partial sum
  first_source: u32, // index in the batch of x's first bound pixel
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read_write> moments: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> p: Params;

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
  let origin = unpack4(x[base]);
  var sum = vec4<f32>();
  var squares = vec4<f32>();
  for (var i = 1u; i < count; i++) {
    let d = unpack4(x[base + i * p.channels4]) - origin;
    sum += d;
    squares += d * d;
  }
  let shifted = sum / f32(count);
  let at = unit * 3u * p.channels4 + c;
  moments[at] = origin;
  moments[at + p.channels4] = shifted;
  moments[at + 2u * p.channels4] = max(squares - sum * shifted, vec4<f32>());
}
