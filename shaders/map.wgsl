// y[i] = scale · act(x[i]) + offset
//
// x and y of any shape, read as one axis. Computes in f32.
// = torch's elementwise activations, followed by mul and add of numbers.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
  scale: f32,
  offset: f32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read_write> y: array<real>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  y[index] = real(p.scale * activate(p.activation, f32(x[index])) + p.offset);
}
