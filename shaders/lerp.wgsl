// average[i] = average[i] + share[0] · (x[i] − average[i])
//
// average and x of one shape, read as one axis, and share (1); all f32. The running
// mean of x that keeps `decay` of the past has the share 1 − decay.
// = average.lerp_(x, share), as diffusers' EMAModel.step.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> share: array<f32>;
@group(0) @binding(2) var<storage, read_write> average: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  average[index] += share[0] * (x[index] - average[index]);
}
