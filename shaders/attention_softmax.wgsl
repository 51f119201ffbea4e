// w[h, t, k4] = share · exp₂(s[h, t, k4] − max) / Σ exp₂(s − max)
//
// Turns scores into weights, one softmax per segment of the keys: the text's, and
// the identity's, whose weights are multiplied by id_scale. s and w
// (heads, ⌈queries/32⌉, keys4, 32) in f32 texels, each holding four keys of a query;
// w starts at texel `start`. With causal, token t attends only to tokens 0..t; keys
// that pad a segment get weight 0. Accumulates in f32.
// = torch.softmax over the keys of each segment.
// Prepended: texels.wgsl.
// Grid: ⌈queries / 8⌉ · heads workgroups of 8, one invocation per query.

struct Params {
  queries: u32, // of this launch
  first_query: u32, // index of the first of them in its image
  groups_t: u32, // ⌈queries / 8⌉
  head_texels: u32, // texels of s and w from one head to the next
  keys4: u32, // vec4s of keys in all segments
  second4: u32, // first vec4 of keys of the second segment
  text_keys: u32, // keys of the first segment
  identity_keys: u32, // keys of the second
  segments: u32, // 1 or 2
  causal: u32,
  start: u32, // first texel of w
}

@group(0) @binding(0) var s: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var w: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(2) var<storage, read> id_scale: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

const MASKED = -3.0e38; // score of a masked key

// Scores of the four keys from `key` on, in a segment of `keys` keys.
fn scores(at: u32, key: u32, keys: u32, query: u32) -> vec4<f32> {
  let index = key + vec4<u32>(0u, 1u, 2u, 3u);
  let later = vec4<bool>(p.causal != 0u) & (index > vec4<u32>(query));
  let score = bitcast<vec4<f32>>(textureLoad(s, texel_place(at)));
  return select(score, vec4<f32>(MASKED), later | (index >= vec4<u32>(keys)));
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
  for (var segment = 0u; segment < p.segments; segment++) {
    let first = segment * p.second4;
    let keys = select(p.text_keys, p.identity_keys, segment == 1u);
    let end = select(p.second4, p.keys4, segment == 1u) - first;
    let row = head * p.head_texels + pixel_texel(t, p.keys4) + 32u * first;
    var maximum = MASKED;
    var sum = 0.0;
    for (var i = 0u; i < end; i++) {
      let score = scores(row + 32u * i, 4u * i, keys, query);
      let higher = max(maximum, max(max(score.x, score.y), max(score.z, score.w)));
      let e = exp2(score - higher);
      sum = sum * exp2(maximum - higher) + ((e.x + e.y) + (e.z + e.w));
      maximum = higher;
    }
    let share = select(1.0, id_scale[0], segment == 1u) / sum;
    for (var i = 0u; i < end; i++) {
      let at = row + 32u * i;
      let weight = share * exp2(scores(at, 4u * i, keys, query) - maximum);
      textureStore(w, texel_place(p.start + at), bitcast<vec4<u32>>(weight));
    }
  }
}
