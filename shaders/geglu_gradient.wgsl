// dx[m, n] = dy[m, n] · gelu(x[m, N + n])
// dx[m, N + n] = dy[m, n] · x[m, n] · gelu'(x[m, N + n])
//
// The gradient of geglu.wgsl: x and dx (M, 2N), dy (M, N), N a multiple of 4; exact
// GELU. Computes in f32.
// Prepended: one of vec4_*.wgsl, activation_derivative.wgsl.
// Grid: one invocation per four elements of dy, in groups of 64.

struct Params {
  columns4: u32, // N / 4
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<packed4>;
@group(0) @binding(1) var<storage, read> dy: array<packed4>;
@group(0) @binding(2) var<storage, read_write> dx: array<packed4>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let at = index + divide(index, p.columns4) * p.columns4;
  let hidden = unpack4(x[at]);
  let gate = unpack4(x[at + p.columns4]);
  let g = unpack4(dy[index]);
  dx[at] = pack4(g * activate4(ACT_GELU, gate));
  dx[at + p.columns4] =
    pack4(g * hidden * activate_derivative4(ACT_GELU, gate));
}
