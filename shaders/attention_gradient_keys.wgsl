// dv_s = f · Σ_t p_ts · dy_t
// dk_s = scale · Σ_t p_ts · (f · dy_t · v_s − mean_t) · q_t
//
// with p_ts = exp(q_t · k_s · scale − lse_t); f is 1 for the text's keys, id_scale for
// the identity's. The last of three shaders for the gradient of attention.wgsl;
// shapes, and lse and mean in rows, as in attention_gradient_rows.wgsl; dk and dv
// (B, S, H·D). Keys that the attention ignored (an identity's, without id_scale)
// become 0.
// Each invocation computes, for two keys, VALUE4 · 4 channels of one head, walking
// the queries two at a time; a wider head is computed by several invocations, each of
// which computes the weights again. The order of the sums is fixed. Accumulates in f32.
// Grid: B · H · (D / 4 / VALUE4) · ⌈S/2⌉ invocations in groups of 32, keys fastest.
//
// Prepended constant: VALUE4.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // keys of the first segment
  head4: u32, // D / 4
  slices: u32, // D / 4 / VALUE4
  pairs: u32, // ⌈S/2⌉
  total: u32,
  causal: u32,
  segments: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<real4>;
@group(0) @binding(1) var<storage, read> k: array<real4>;
@group(0) @binding(2) var<storage, read> v: array<real4>;
@group(0) @binding(3) var<storage, read> dy: array<real4>;
@group(0) @binding(4) var<storage, read> id_scale: array<f32>;
@group(0) @binding(5) var<storage, read> rows: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> dk: array<real4>;
@group(0) @binding(7) var<storage, read_write> dv: array<real4>;
@group(0) @binding(8) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let s0 = (index % p.pairs) * 2u;
  let s1 = min(s0 + 1u, p.keys - 1u);
  var rest = index / p.pairs;
  let slice = rest % p.slices;
  rest /= p.slices;
  let head = rest % p.heads;
  let b = rest / p.heads;

  let row = p.heads * p.head4;
  let k0 = (b * p.keys + s0) * row + head * p.head4;
  let k1 = (b * p.keys + s1) * row + head * p.head4;
  let base = b * p.queries * row + head * p.head4;
  // The segment of each key, and where its queries' rows start.
  let segment = vec2<u32>(u32(s0 >= p.text_keys), u32(s1 >= p.text_keys));
  let seen = segment < vec2<u32>(p.segments);
  let held = min(segment, vec2<u32>(p.segments - 1u));
  let rows0 = ((b * p.heads + head) * p.segments + held.x) * p.queries;
  let rows1 = ((b * p.heads + head) * p.segments + held.y) * p.queries;
  var factor = vec2<f32>(1.0);
  if p.segments == 2u {
    factor = select(vec2<f32>(1.0), vec2<f32>(id_scale[0]), segment > vec2<u32>(0u));
  }
  var key0 = array<vec4<f32>, VALUE4>();
  var key1 = array<vec4<f32>, VALUE4>();
  var value0 = array<vec4<f32>, VALUE4>();
  var value1 = array<vec4<f32>, VALUE4>();
  let first = select(0u, s0, p.causal != 0u);
  for (var t = first; t < p.queries; t += 2u) {
    let next = min(t + 1u, p.queries - 1u);
    let q0 = base + t * row;
    let q1 = base + next * row;
    var scores = vec4<f32>(); // (t, s0), (t, s1), (t + 1, s0), (t + 1, s1)
    var products = vec4<f32>();
    for (var d = 0u; d < p.head4; d++) {
      let a0 = vec4<f32>(q[q0 + d]);
      let a1 = vec4<f32>(q[q1 + d]);
      let b0 = vec4<f32>(k[k0 + d]);
      let b1 = vec4<f32>(k[k1 + d]);
      scores += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a1, b0), dot(a1, b1));
      let g0 = vec4<f32>(dy[q0 + d]);
      let g1 = vec4<f32>(dy[q1 + d]);
      let v0 = vec4<f32>(v[k0 + d]);
      let v1 = vec4<f32>(v[k1 + d]);
      products += vec4<f32>(dot(g0, v0), dot(g0, v1), dot(g1, v0), dot(g1, v1));
    }
    let r0 = rows[rows0 + t];
    let r1 = rows[rows1 + t];
    let r2 = rows[rows0 + next];
    let r3 = rows[rows1 + next];
    let lse = vec4<f32>(r0.x, r1.x, r2.x, r3.x);
    let mean = vec4<f32>(r0.y, r1.y, r2.y, r3.y);
    var used = vec4<bool>(seen, seen & vec2<bool>(t + 1u < p.queries));
    if p.causal != 0u {
      used = used & (vec4<u32>(s0, s1, s0, s1) <= vec4<u32>(t, t, next, next));
    }
    let weight = select(vec4<f32>(), exp(scores * p.scale - lse), used);
    let forth = factor.xyxy;
    let change = weight * (forth * products - mean);
    for (var d = 0u; d < VALUE4; d++) {
      let c = slice * VALUE4 + d;
      let a0 = vec4<f32>(q[q0 + c]);
      let a1 = vec4<f32>(q[q1 + c]);
      let g0 = vec4<f32>(dy[q0 + c]);
      let g1 = vec4<f32>(dy[q1 + c]);
      key0[d] += change.x * a0 + change.z * a1;
      key1[d] += change.y * a0 + change.w * a1;
      value0[d] += weight.x * g0 + weight.z * g1;
      value1[d] += weight.y * g0 + weight.w * g1;
    }
  }
  for (var d = 0u; d < VALUE4; d++) {
    let c = slice * VALUE4 + d;
    dk[k0 + c] = real4(p.scale * key0[d]);
    dv[k0 + c] = real4(factor.x * value0[d]);
  }
  if s0 + 1u < p.keys {
    for (var d = 0u; d < VALUE4; d++) {
      let c = slice * VALUE4 + d;
      dk[k1 + c] = real4(p.scale * key1[d]);
      dv[k1 + c] = real4(factor.y * value1[d]);
    }
  }
}
