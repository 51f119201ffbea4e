// For every query t and head, of both segments of the keys:
//   lse = log₂ Σ_s exp₂(q_t · k_s · scale)
//   mean = Σ_s p_ts · f · (dy_t · v_s), p_ts = exp₂(q_t · k_s · scale − lse)
//
// Computes what attention_gradient_rows.wgsl does, for narrow heads on software
// adapters; f is 1 for the text's keys, id_scale for the identity's. All operands
// come from the texture t by head, as attention_heads.wgsl packs them, in vec8s:
// q (B, H, T, D), then dy of that shape, k (B, H, S, D) and v of that shape. rows
// (B, H, T) gets a texel for each query: lse and mean of the text, then of the
// identity.
//
// Each invocation has 4 queries of a head; scores are vec4s of these queries. Keys are
// walked four at a time, so that the sums are rescaled only once for all four.
// Accumulates in f32.
// Prepended: texels.wgsl, one of vec8_*.wgsl and of texel_vec8_*.wgsl, and the
// constant D8, vec8s of a head.
// Grid: ⌈T / 32⌉ · B · H workgroups of 8, queries fastest.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // the first of these, the text's
  groups: u32, // ⌈T / 32⌉
  gradient_start: u32, // first vec8 of dy in t
  keys_start: u32, // first vec8 of k
  values_start: u32, // first vec8 of v
  segments: u32, // of the keys: 1, or 2 with an identity
  scale: f32, // includes the factor log₂ e
}

@group(0) @binding(0) var t: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read> id_scale: array<f32>;
@group(0) @binding(2) var rows: texture_storage_2d<rgba32uint, write>;
@group(0) @binding(3) var<uniform> p: Params;

const MASKED = -3.0e38; // score of a masked key

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let head = divide(number, p.groups); // of B · H
  let tile = (number - head * p.groups) * 8u + lane;
  let query = tile * 4u + vec4<u32>(0u, 1u, 2u, 3u);
  let row = head * p.queries + min(query, vec4<u32>(p.queries - 1u));

  var q0 = array<values, D8>();
  var q1 = array<values, D8>();
  var q2 = array<values, D8>();
  var q3 = array<values, D8>();
  var g0 = array<values, D8>();
  var g1 = array<values, D8>();
  var g2 = array<values, D8>();
  var g3 = array<values, D8>();
  for (var c = 0u; c < D8; c++) {
    q0[c] = p.scale * load_vec8(row.x * D8 + c);
    q1[c] = p.scale * load_vec8(row.y * D8 + c);
    q2[c] = p.scale * load_vec8(row.z * D8 + c);
    q3[c] = p.scale * load_vec8(row.w * D8 + c);
    g0[c] = load_vec8(p.gradient_start + row.x * D8 + c);
    g1[c] = load_vec8(p.gradient_start + row.y * D8 + c);
    g2[c] = load_vec8(p.gradient_start + row.z * D8 + c);
    g3[c] = load_vec8(p.gradient_start + row.w * D8 + c);
  }

  var text_lse = vec4<f32>();
  var text_mean = vec4<f32>();
  var lse = vec4<f32>();
  var mean = vec4<f32>();
  for (var segment = 0u; segment < p.segments; segment++) {
    text_lse = lse;
    text_mean = mean;
    let end = select(p.text_keys, p.keys, segment == 1u);
    var maximum = vec4<f32>(MASKED);
    var sum = vec4<f32>();
    var weighted = vec4<f32>();
    for (var s = segment * p.text_keys; s < end; s += 4u) {
      // Of each of four keys.
      var s0 = vec4<f32>(MASKED);
      var s1 = vec4<f32>(MASKED);
      var s2 = vec4<f32>(MASKED);
      var s3 = vec4<f32>(MASKED);
      var d0 = vec4<f32>();
      var d1 = vec4<f32>();
      var d2 = vec4<f32>();
      var d3 = vec4<f32>();
      let count = min(4u, end - s);
      for (var j = 0u; j < count; j++) {
        let at = (head * p.keys + s + j) * D8;
        var score = vec4<f32>();
        var product = vec4<f32>();
        for (var c = 0u; c < D8; c++) {
          let k = load_vec8(p.keys_start + at + c);
          score += vec4<f32>(
            dot(q0[c][0], k[0]) + dot(q0[c][1], k[1]),
            dot(q1[c][0], k[0]) + dot(q1[c][1], k[1]),
            dot(q2[c][0], k[0]) + dot(q2[c][1], k[1]),
            dot(q3[c][0], k[0]) + dot(q3[c][1], k[1]),
          );
          let v = load_vec8(p.values_start + at + c);
          product += vec4<f32>(
            dot(g0[c][0], v[0]) + dot(g0[c][1], v[1]),
            dot(g1[c][0], v[0]) + dot(g1[c][1], v[1]),
            dot(g2[c][0], v[0]) + dot(g2[c][1], v[1]),
            dot(g3[c][0], v[0]) + dot(g3[c][1], v[1]),
          );
        }
        s0 = select(s0, score, j == 0u);
        s1 = select(s1, score, j == 1u);
        s2 = select(s2, score, j == 2u);
        s3 = select(s3, score, j == 3u);
        d0 = select(d0, product, j == 0u);
        d1 = select(d1, product, j == 1u);
        d2 = select(d2, product, j == 2u);
        d3 = select(d3, product, j == 3u);
      }
      let higher = max(maximum, max(max(s0, s1), max(s2, s3)));
      let keep = exp2(maximum - higher);
      maximum = higher;
      s0 = exp2(s0 - higher);
      s1 = exp2(s1 - higher);
      s2 = exp2(s2 - higher);
      s3 = exp2(s3 - higher);
      sum = sum * keep + (s0 + s1) + (s2 + s3);
      weighted = weighted * keep + (s0 * d0 + s1 * d1) + (s2 * d2 + s3 * d3);
    }
    lse = maximum + log2(sum);
    mean = select(1.0, id_scale[0], segment == 1u) * weighted / sum;
  }

  if p.segments == 1u {
    text_lse = lse;
    text_mean = mean;
  }
  for (var i = 0u; i < 4u; i++) {
    if query[i] >= p.queries { return; }
    let texel = vec4<f32>(text_lse[i], text_mean[i], lse[i], mean[i]);
    textureStore(rows, texel_place(row[i]), bitcast<vec4<u32>>(texel));
  }
}
