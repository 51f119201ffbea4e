// dpositions[t, c] = Σ_b dy[b, t, c], or 0 beyond the T tokens
//
// dy (B, T, C), dpositions (T or more, C). Accumulates in f32, batch by batch.
// = the gradient by the table of positions that embedding.wgsl adds.
// Grid: one invocation per element of dpositions, in groups of 64.

struct Params {
  batch: u32,
  row: u32, // T · C
  total: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<real>;
@group(0) @binding(1) var<storage, read_write> dpositions: array<real>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  var sum = 0.0;
  if index < p.row {
    for (var b = 0u; b < p.batch; b++) { sum += f32(dy[b * p.row + index]); }
  }
  dpositions[index] = real(sum);
}
