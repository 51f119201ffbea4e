// Gradient of an embedding, second of three shaders: zeros for every row of the table.
//
// dtable (V, C), or a slice of its rows.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read_write> dtable: array<real>;
@group(0) @binding(1) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  dtable[index] = real(0.0);
}
