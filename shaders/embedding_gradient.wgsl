// Gradient of an embedding, last of three shaders: the rows that tokens took.
//
// dtable[v, c] = Σ dy[m, c] over the tokens m with ids[m] = v
//
// ids (M), dy (M, C), chain (M, 2) of embedding_gradient_chain.wgsl, dtable (V, C) or
// rows first..end of it. The first token of each id adds up those of its chain, in
// their order: no atomics, the same bits each time. Accumulates in f32.
// The three = the gradient of torch.nn.functional.embedding by its table.
// Grid: one invocation per element of dy, in groups of 64.

struct Params {
  channels: u32,
  tokens: u32, // M
  vocabulary: u32, // V
  first: u32,
  end: u32,
  total: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<real>;
@group(0) @binding(2) var<storage, read> chain: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> dtable: array<real>;
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
  if chain[m].x == 0u || id < p.first || id >= p.end { return; }
  var sum = 0.0;
  for (var token = m; token < p.tokens; token = chain[token].y) {
    sum += f32(dy[token * p.channels + c]);
  }
  dtable[(id - p.first) * p.channels + c] = real(sum);
}
