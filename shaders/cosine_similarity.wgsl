// y[m] = a_m · b_m / (max(|a_m|, eps) · max(|b_m|, eps))
//
// a and b (M, C), y (M) in f32, C a multiple of 4. Accumulates in f32.
// = torch.nn.functional.cosine_similarity over the last axis.
// Prepended: one of vec4_*.wgsl.
// Grid: M invocations in groups of 32.

struct Params {
  rows: u32, // M
  channels4: u32, // C / 4
  eps: f32,
}

@group(0) @binding(0) var<storage, read> a: array<packed4>;
@group(0) @binding(1) var<storage, read> b: array<packed4>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

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
  let size = max(sqrt(dot(left, one)), p.eps) *
    max(sqrt(dot(right, one)), p.eps);
  y[row] = dot(products, one) / size;
}
