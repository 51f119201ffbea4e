// y[b, i] = x[b, i] + scales[row, b] · z[b mod R, i]; x alone where the scale is 0
//
// x and y (B, …); z (R, …) with R a divisor of B; scales (N, B) in f32, of which one
// row is read. Computes in f32. = x + scale * z, z repeated along the first axis, as
// diffusers adds a ControlNet's residuals to the UNet's.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  total: u32,
  item: u32, // elements of one item of the batch
  repeated: u32, // elements of z
  first: u32, // where the row of scales starts
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> z: array<real>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<real>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let scale = scales[p.first + index / p.item];
  var v = f32(x[index]);
  if scale != 0.0 { v += scale * f32(z[index % p.repeated]); }
  y[index] = real(v);
}
