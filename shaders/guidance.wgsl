// y[i] = uncond[i] + scale · (cond[i] − uncond[i])
//
// x (2B, …): the conditional half, then the unconditional one; scale (1) in f32;
// y (B, …) in f32, as the sampler takes it.
// = classifier-free guidance.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let cond = f32(x[index]);
  let uncond = f32(x[index + p.total]);
  y[index] = uncond + scale[0] * (cond - uncond);
}
