// y[i] = x[i]
//
// How fast an adapter moves memory: x and y are longer than any cache.
// Bindings: 0 x, 1 y, both vec4, of one length. Grid: one invocation four vec4
// in a row, in groups of 64, folded over x and y as num_workgroups says.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  // Neighbouring invocations take neighbouring vec4.
  let i = (group.x + group.y * groups.x) * 256u + lane;
  y[i] = x[i];
  y[i + 64u] = x[i + 64u];
  y[i + 128u] = x[i + 128u];
  y[i + 192u] = x[i + 192u];
}
