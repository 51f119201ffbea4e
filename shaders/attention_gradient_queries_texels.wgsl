// dq_t = scale · Σ_s p_ts · (f · dy_t · v_s − mean_t) · k_s, over all segments of the keys
//
// Computes what attention_gradient_queries.wgsl does, for narrow heads on software
// adapters. The operands in t, and lse and mean in rows, are those of
// attention_gradient_rows_texels.wgsl; dq (B, T, H·D) in vec4s.
//
// Each invocation has 4 queries of a head. Loops over keys are not unrolled, as
// drivers schedule only short bodies well. Accumulates in f32.
// Prepended: texels.wgsl, one of vec8_*.wgsl, of vec4_*.wgsl and of
// texel_vec8_*.wgsl, and the constant D8, vec8s of a head.
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
@group(0) @binding(2) var rows: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read_write> dq: array<packed4>;
@group(0) @binding(4) var<uniform> p: Params;

const LN_2 = 0.69314718056;

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
  let held = min(query, vec4<u32>(p.queries - 1u));
  let row = head * p.queries + held;

  var q0 = array<values, D8>();
  var q1 = array<values, D8>();
  var q2 = array<values, D8>();
  var q3 = array<values, D8>();
  var g0 = array<values, D8>();
  var g1 = array<values, D8>();
  var g2 = array<values, D8>();
  var g3 = array<values, D8>();
  var out0 = array<values, D8>();
  var out1 = array<values, D8>();
  var out2 = array<values, D8>();
  var out3 = array<values, D8>();
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
  let r0 = bitcast<vec4<f32>>(textureLoad(rows, texel_place(row.x)));
  let r1 = bitcast<vec4<f32>>(textureLoad(rows, texel_place(row.y)));
  let r2 = bitcast<vec4<f32>>(textureLoad(rows, texel_place(row.z)));
  let r3 = bitcast<vec4<f32>>(textureLoad(rows, texel_place(row.w)));

  for (var segment = 0u; segment < p.segments; segment++) {
    let is_identity = segment == 1u;
    let end = select(p.text_keys, p.keys, is_identity);
    let factor = select(1.0, id_scale[0], is_identity);
    let lse = select(
      vec4<f32>(r0.x, r1.x, r2.x, r3.x),
      vec4<f32>(r0.z, r1.z, r2.z, r3.z),
      is_identity,
    );
    let mean = select(
      vec4<f32>(r0.y, r1.y, r2.y, r3.y),
      vec4<f32>(r0.w, r1.w, r2.w, r3.w),
      is_identity,
    );
    for (var s = segment * p.text_keys; s < end; s++) {
      let at = (head * p.keys + s) * D8;
      var key = array<values, D8>();
      var score = vec4<f32>();
      var product = vec4<f32>();
      for (var c = 0u; c < D8; c++) {
        let k = load_vec8(p.keys_start + at + c);
        key[c] = k;
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
      let weight = exp2(score - lse) * (factor * product - mean);
      for (var c = 0u; c < D8; c++) {
        out0[c] += weight.x * key[c];
        out1[c] += weight.y * key[c];
        out2[c] += weight.z * key[c];
        out3[c] += weight.w * key[c];
      }
    }
  }

  let image = divide(head, p.heads);
  let token = image * p.queries + held;
  let place = (token * p.heads + head - image * p.heads) * 2u * D8;
  for (var c = 0u; c < D8; c++) {
    write(query.x, place.x + 2u * c, out0[c]);
    write(query.y, place.y + 2u * c, out1[c]);
    write(query.z, place.z + 2u * c, out2[c]);
    write(query.w, place.w + 2u * c, out3[c]);
  }
}

fn write(query: u32, at: u32, sum: values) {
  if query >= p.queries { return; }
  dq[at] = pack4(LN_2 * p.scale * sum[0]);
  dq[at + 1u] = pack4(LN_2 * p.scale * sum[1]);
}
