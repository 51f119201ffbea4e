// place[b, 0, t] = the row of token t among the merged tokens
//
// A source's rank is the number of sources of its image that are more similar to
// their best destinations; of equals, the earlier ranks first. The first R sources
// are merged: their row is best[b, s], a destination's number. The others get rows of
// their own after the D destinations, in the order of their ranks, and their best
// becomes NONE. similarity f32 and best u32 (B, S); place u32 (B, 3, H·W), whose
// rows 1 and 2 token_chain.wgsl writes.
// = the inverse of torch.argsort(descending=True, stable=True), by counting instead
// of sorting, so that each invocation finds its rank alone.
// Prepended: token_grid.wgsl.
// Grid: B · H·W invocations in groups of 64: the destinations, then the sources.

struct Params {
  width: u32, // W
  tokens: u32, // H · W
  sources: u32, // S
  merged: u32, // R
  total: u32, // B · H · W
}

@group(0) @binding(0) var<storage, read> similarity: array<f32>;
@group(0) @binding(1) var<storage, read_write> best: array<u32>;
@group(0) @binding(2) var<storage, read_write> place: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

const NONE = 0xffffffffu;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let b = index / p.tokens;
  let i = index % p.tokens;
  let rows = b * 3u * p.tokens;
  let destinations = p.tokens - p.sources;
  if i < destinations {
    place[rows + destination_token(i, p.width)] = i;
    return;
  }

  let s = i - destinations;
  let base = b * p.sources;
  let own = similarity[base + s];
  var rank = 0u;
  for (var o = 0u; o < s; o++) {
    rank += u32(similarity[base + o] >= own);
  }
  for (var o = s + 1u; o < p.sources; o++) {
    rank += u32(similarity[base + o] > own);
  }
  var row = best[base + s];
  if rank >= p.merged {
    row = destinations + rank - p.merged;
    best[base + s] = NONE;
  }
  place[rows + source_token(s, p.width)] = row;
}
