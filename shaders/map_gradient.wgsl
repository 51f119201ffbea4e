// dx[i] = scale · act'(x[i]) · dy[i]
//
// The gradient of map.wgsl, and of an activation that another op applies last; all
// of any shape, read as one axis. Computes in f32.
// Prepended: activation_derivative.wgsl.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
  scale: f32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> dy: array<real>;
@group(0) @binding(2) var<storage, read_write> dx: array<real>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let slope = activate_derivative(p.activation, f32(x[index]));
  dx[index] = real(p.scale * slope * f32(dy[index]));
}
