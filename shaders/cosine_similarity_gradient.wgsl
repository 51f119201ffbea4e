// da_m = dy_m · (b_m / |b|' − [|a_m| > eps] · cos_m · a_m / |a|') / |a|'
//
// with |x|' = max(|x_m|, eps) and cos as in cosine_similarity.wgsl; a, b and da
// (M, C), dy (M) in f32, C a multiple of 4. Where a is shorter than eps, its length
// counts as a constant, as in PyTorch. Accumulates in f32.
// Prepended: one of vec4_*.wgsl.
// Grid: M invocations in groups of 32.

struct Params {
  rows: u32, // M
  channels4: u32, // C / 4
  eps: f32,
}

@group(0) @binding(0) var<storage, read> a: array<packed4>;
@group(0) @binding(1) var<storage, read> b: array<packed4>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> da: array<packed4>;
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
  var products = vec4<f32>();
  var left = vec4<f32>();
  var right = vec4<f32>();
  for (var c = 0u; c < p.channels4; c++) {
    let u = unpack4(a[base + c]);
    let v = unpack4(b[base + c]);
    products += u * v;
    left += u * u;
    right += v * v;
  }
  let one = vec4<f32>(1.0);
  let length = sqrt(dot(left, one));
  let size = max(length, p.eps);
  let other = max(sqrt(dot(right, one)), p.eps);
  let cosine = dot(products, one) / (size * other);
  let along = select(0.0, cosine / size, length > p.eps);
  let g = dy[row] / size;
  for (var c = 0u; c < p.channels4; c++) {
    da[base + c] =
      pack4(g * (unpack4(b[base + c]) / other - along * unpack4(a[base + c])));
  }
}
