// place[b, 1, t] = the next token that is merged into the row of token t, or NONE
// place[b, 2, m] = the first token of row m, or NONE past the last row
//
// so that walking the chain gives a row's tokens in a fixed order: the destination,
// then its sources in reading order. best u32 (B, S) and place u32 (B, 3, H·W), whose
// row 0 is already written, are as token_rank.wgsl leaves them.
// = the inverse of the map of tokens to rows.
// Prepended: token_grid.wgsl.
// Grid: B · H·W invocations in groups of 64: the destinations, then the sources.

struct Params {
  width: u32, // W
  tokens: u32, // H · W
  sources: u32, // S
  merged: u32, // R
  total: u32, // B · H · W
}

@group(0) @binding(0) var<storage, read> best: array<u32>;
@group(0) @binding(1) var<storage, read_write> place: array<u32>;
@group(0) @binding(2) var<uniform> p: Params;

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
  let base = b * p.sources;
  if i >= p.tokens - p.merged { place[rows + 2u * p.tokens + i] = NONE; }

  // The source to search from, and the row to search for.
  var token = 0u;
  var start = 0u;
  var row = i;
  if i < destinations {
    token = destination_token(i, p.width);
    place[rows + 2u * p.tokens + i] = token;
  } else {
    let s = i - destinations;
    token = source_token(s, p.width);
    row = best[base + s];
    start = s + 1u;
    if row == NONE {
      place[rows + 2u * p.tokens + place[rows + token]] = token;
      place[rows + p.tokens + token] = NONE;
      return;
    }
  }
  var next = NONE;
  for (var s = start; s < p.sources; s++) {
    if best[base + s] == row {
      next = source_token(s, p.width);
      break;
    }
  }
  place[rows + p.tokens + token] = next;
}
