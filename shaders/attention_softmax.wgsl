// w[h, t, k4] = share · exp₂(s[h, t, k4] − max) / Σ exp₂(s − max)
//
// Scores to weights, each part of the keys apart: those of the text, and with the
// share `id_scale` those of the identity. s and w (heads, ⌈queries/32⌉, keys4, 32) in
// texels of f32, a texel being four keys of a query, w from texel `start` on. With causal,
// token t sees tokens 0..t; keys that a part lacks weigh nothing.
// In front of it stands texels.wgsl.
// Grid: ⌈queries / 8⌉ · heads, workgroups of 8, an invocation a query.

struct Params {
  queries: u32, // of this launch
  first_query: u32,
  groups_t: u32, // ⌈queries / 8⌉
  head_texels: u32, // of s and w, from one head to the next
  keys4: u32, // of keys, of all parts
  second4: u32, // that the second part begins with
  keys: u32, // of the first part
  second_keys: u32, // of the second
  parts: u32, // 1 or 2
  causal: u32,
  start: u32,
}

@group(0) @binding(0) var s: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<storage, read> id_scale: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const FAR = -3.0e38; // the score of a key that is not seen

// Scores of four keys from `key` on, of a part with `keys`.
fn scores(at: u32, key: u32, keys: u32, query: u32) -> vec4<f32> {
  let four = key + vec4<u32>(0u, 1u, 2u, 3u);
  let later = vec4<bool>(p.causal != 0u) & (four > vec4<u32>(query));
  let score = bitcast<vec4<f32>>(textureLoad(s, texel_place(at)));
  return select(score, vec4<f32>(FAR), later | (four >= vec4<u32>(keys)));
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let head = divide(number, p.groups_t);
  let t = (number - head * p.groups_t) * 8u + lane;
  if t >= p.queries { return; }
  let query = p.first_query + t;
  for (var part = 0u; part < p.parts; part++) {
    let first = part * p.second4;
    let keys = select(p.keys, p.second_keys, part == 1u);
    let end = select(p.second4, p.keys4, part == 1u) - first;
    let row = head * p.head_texels + pixel_texel(t, p.keys4) + 32u * first;
    var maximum = FAR;
    var sum = 0.0;
    for (var i = 0u; i < end; i++) {
      let four = scores(row + 32u * i, 4u * i, keys, query);
      let higher = max(maximum, max(max(four.x, four.y), max(four.z, four.w)));
      let e = exp2(four - higher);
      sum = sum * exp2(maximum - higher) + ((e.x + e.y) + (e.z + e.w));
      maximum = higher;
    }
    let share = select(1.0, id_scale[0], part == 1u) / sum;
    for (var i = 0u; i < end; i++) {
      let at = row + 32u * i;
      let weight = share * exp2(scores(at, 4u * i, keys, query) - maximum);
      textureStore(w, texel_place(p.start + at), bitcast<vec4<u32>>(weight));
    }
  }
}
