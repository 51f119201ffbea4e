// similarity[b, s] = max_k chunk_similarity[b, k, s]
// best[b, s] = chunk_best[b, k, s] of the first such k
//
// chunk_similarity f32 and chunk_best u32 (B, K, S), as token_match.wgsl writes them;
// similarity f32 and best u32 (B, S).
// = torch.max over axis 1, and gather.
// Grid: B · S invocations in groups of 64.

struct Params {
  sources: u32, // S
  chunks: u32, // K
  total: u32, // B · S
}

@group(0) @binding(0) var<storage, read> chunk_similarity: array<f32>;
@group(0) @binding(1) var<storage, read> chunk_best: array<u32>;
@group(0) @binding(2) var<storage, read_write> similarity: array<f32>;
@group(0) @binding(3) var<storage, read_write> best: array<u32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let base = index / p.sources * p.chunks * p.sources + index % p.sources;
  var highest = chunk_similarity[base];
  var at = chunk_best[base];
  for (var k = 1u; k < p.chunks; k++) {
    let value = chunk_similarity[base + k * p.sources];
    if value > highest {
      highest = value;
      at = chunk_best[base + k * p.sources];
    }
  }
  similarity[index] = highest;
  best[index] = at;
}
