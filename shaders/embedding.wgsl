// y[m, c] = table[ids[m], c] + positions[m mod T, c]
//
// ids (B, T), table (V, C), positions (T or more, C), y (B, T, C). An id outside the
// table takes its last row; the host has checked the ids. Only rows first..end of the
// table are bound; tokens of other rows are written by other launches. Adds in f32.
// = torch.nn.functional.embedding, plus CLIP's position embedding.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  channels: u32,
  tokens: u32, // T
  vocabulary: u32, // V
  first: u32,
  end: u32,
  total: u32,
}

override HAS_POSITIONS: bool = false;

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<real>;
@group(0) @binding(2) var<storage, read> positions: array<real>;
@group(0) @binding(3) var<storage, read_write> y: array<real>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let c = index % p.channels;
  let m = index / p.channels;
  let id = min(ids[m], p.vocabulary - 1u);
  if id < p.first || id >= p.end { return; }
  var v = f32(table[(id - p.first) * p.channels + c]);
  if HAS_POSITIONS { v += f32(positions[(m % p.tokens) * p.channels + c]); }
  y[index] = real(v);
}
