// dv_s = f · Σ_t p_ts · dy_t
// dk_s = scale · Σ_t p_ts · (f · dy_t · v_s − mean_t) · q_t
//
// Computes what attention_gradient_keys.wgsl does, for narrow heads on software
// adapters. The operands in t, and lse and mean in rows, are those of
// attention_gradient_rows_texels.wgsl; dk and dv (B, S, H·D) in vec4s. Keys that the
// attention ignored (an identity's, without id_scale) become 0.
//
// Each invocation has 2 keys of a head and walks all queries; their order, and so
// that of the sums, is fixed. Accumulates in f32.
// Prepended: texels.wgsl, one of vec8_*.wgsl, of vec4_*.wgsl and of
// texel_vec8_*.wgsl, and the constant D8, vec8s of a head.
// Grid: ⌈S / 16⌉ · B · H workgroups of 8, keys fastest.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // the first of these, the text's
  groups: u32, // ⌈S / 16⌉
  gradient_start: u32, // first vec8 of dy in t
  keys_start: u32, // first vec8 of k
  values_start: u32, // first vec8 of v
  segments: u32, // of the keys: 1, or 2 with an identity
  scale: f32, // includes the factor log₂ e
}

@group(0) @binding(0) var t: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(1) var<storage, read> id_scale: array<f32>;
@group(0) @binding(2) var rows: texture_storage_2d<rgba32uint, read>;
@group(0) @binding(3) var<storage, read_write> dk: array<packed4>;
@group(0) @binding(4) var<storage, read_write> dv: array<packed4>;
@group(0) @binding(5) var<uniform> p: Params;

const LN_2 = 0.69314718056;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let head = divide(number, p.groups); // of B · H
  let pair = (number - head * p.groups) * 8u + lane;
  let key = pair * 2u + vec2<u32>(0u, 1u);
  let held = min(key, vec2<u32>(p.keys - 1u));
  let row = head * p.keys + held;
  let is_identity = held >= vec2<u32>(p.text_keys);
  let factor = select(vec2<f32>(1.0), vec2<f32>(id_scale[0]), is_identity);
  // Keys that the attention ignored have no weight.
  let seen = select(vec2<f32>(1.0), vec2<f32>(), is_identity & vec2<bool>(p.segments == 1u));

  var k0 = array<values, D8>();
  var k1 = array<values, D8>();
  var v0 = array<values, D8>();
  var v1 = array<values, D8>();
  var key0 = array<values, D8>();
  var key1 = array<values, D8>();
  var value0 = array<values, D8>();
  var value1 = array<values, D8>();
  for (var c = 0u; c < D8; c++) {
    k0[c] = p.scale * load_vec8(p.keys_start + row.x * D8 + c);
    k1[c] = p.scale * load_vec8(p.keys_start + row.y * D8 + c);
    v0[c] = factor.x * load_vec8(p.values_start + row.x * D8 + c);
    v1[c] = factor.y * load_vec8(p.values_start + row.y * D8 + c);
  }
  for (var i = 0u; i < p.queries; i++) {
    let at = (head * p.queries + i) * D8;
    let r = bitcast<vec4<f32>>(
      textureLoad(rows, texel_place(head * p.queries + i)),
    );
    var query = array<values, D8>();
    var gradient = array<values, D8>();
    var score = vec2<f32>();
    var product = vec2<f32>();
    for (var c = 0u; c < D8; c++) {
      let q = load_vec8(at + c);
      query[c] = q;
      score += vec2<f32>(
        dot(k0[c][0], q[0]) + dot(k0[c][1], q[1]),
        dot(k1[c][0], q[0]) + dot(k1[c][1], q[1]),
      );
      let g = load_vec8(p.gradient_start + at + c);
      gradient[c] = g;
      product += vec2<f32>(
        dot(v0[c][0], g[0]) + dot(v0[c][1], g[1]),
        dot(v1[c][0], g[0]) + dot(v1[c][1], g[1]),
      );
    }
    let lse = select(r.xx, r.zz, is_identity);
    let mean = select(r.yy, r.ww, is_identity);
    let weight = seen * exp2(score - lse);
    let change = weight * (product - mean);
    for (var c = 0u; c < D8; c++) {
      key0[c] += change.x * query[c];
      key1[c] += change.y * query[c];
      value0[c] += weight.x * gradient[c];
      value1[c] += weight.y * gradient[c];
    }
  }

  let image = divide(head, p.heads);
  let token = image * p.keys + held;
  let place = (token * p.heads + head - image * p.heads) * 2u * D8;
  for (var c = 0u; c < D8; c++) {
    write(key.x, place.x + 2u * c, LN_2 * p.scale * key0[c], factor.x * value0[c]);
    write(key.y, place.y + 2u * c, LN_2 * p.scale * key1[c], factor.y * value1[c]);
  }
}

fn write(key: u32, at: u32, by_key: values, by_value: values) {
  if key >= p.keys { return; }
  dk[at] = pack4(by_key[0]);
  dk[at + 1u] = pack4(by_key[1]);
  dv[at] = pack4(by_value[0]);
  dv[at + 1u] = pack4(by_value[1]);
}
