// y[b, h, s, d] = x[b, s, h · D + d]
//
// Keys or values by head, as attention_windows.wgsl binds them: x (B, S, H·D),
// y (B · H, P, D) with P ≥ S tokens a head, both in octets; what is beyond S is
// left as it is.
// Grid: an invocation an octet of x, in groups of 64.

struct Params {
  tokens: u32, // S
  heads: u32,
  head8: u32, // D / 8
  room: u32, // P
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<octet>;
@group(0) @binding(1) var<storage, read_write> y: array<octet>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let d = index % p.head8;
  let head = (index / p.head8) % p.heads;
  let token = index / (p.head8 * p.heads);
  let b = token / p.tokens;
  let at = (b * p.heads + head) * p.room + token % p.tokens;
  y[at * p.head8 + d] = x[index];
}
