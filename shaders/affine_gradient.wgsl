// Gradients of a norm's weight and bias, from partial sums: the last of its shaders.
//
// dbias[c] = Σₘ sums[m, 0, c]
// dweight[c] = Σₘ sums[m, 1, c]
//
// sums (M, R, C) in f32, of which rows 0 and 1 are read; dweight and dbias (C).
// Accumulates in f32, in a fixed order.
// Grid: C invocations in groups of 32.

struct Params {
  partials: u32, // M
  rows: u32, // R
  channels: u32, // C
}

@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> dweight: array<real>;
@group(0) @binding(2) var<storage, read_write> dbias: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let c = group_index(group, groups) * 32u + lane;
  if c >= p.channels { return; }
  var sum = 0.0;
  var products = 0.0;
  for (var m = 0u; m < p.partials; m++) {
    let at = m * p.rows * p.channels + c;
    sum += sums[at];
    products += sums[at + p.channels];
  }
  dbias[c] = real(sum);
  dweight[c] = real(products);
}
