// y[m, n] = x[m, n] · gelu(x[m, N + n])
//
// x (M, 2N), y (M, N), N a multiple of 4; exact GELU, computed in f32.
// = diffusers' GEGLU after its projection: hidden, gate = x.chunk(2).
// Prepended: one of vec4_*.wgsl.
// Grid: one invocation per four elements of y, in groups of 64.

struct Params {
  columns4: u32, // N / 4
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read_write> y: array<packed4>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let at = index + divide(index, p.columns4) * p.columns4;
  let gate = unpack4(x[at + p.columns4]);
  y[index] = pack4(unpack4(x[at]) * activate4(ACT_GELU, gate));
}
