// Gradient of an embedding, first of three shaders: chains the tokens of equal ids.
//
// chain[m, 0] = 1 if no earlier token has the id of m, else 0
// chain[m, 1] = the next token with the id of m, M if there is none
//
// ids (M), chain (M, 2) in u32. An id outside the table counts as its last row, as in
// embedding.wgsl.
// Grid: M invocations in groups of 64.

struct Params {
  tokens: u32, // M
  vocabulary: u32, // V
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read_write> chain: array<vec2<u32>>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let m = group_index(group, groups) * 64u + lane;
  if m >= p.tokens { return; }
  let last = p.vocabulary - 1u;
  let id = min(ids[m], last);
  var before = 0u;
  while before < m && min(ids[before], last) != id { before++; }
  var next = m + 1u;
  while next < p.tokens && min(ids[next], last) != id { next++; }
  chain[m] = vec2<u32>(u32(before == m), next);
}
