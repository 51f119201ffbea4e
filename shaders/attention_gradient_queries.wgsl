// dq_t = scale · Σ_s p_ts · (f · dy_t · v_s − mean_t) · k_s, over all segments of the keys
//
// with p_ts = exp(q_t · k_s · scale − lse_t); f is 1 for the text, id_scale for the
// identity. The second of three shaders for the gradient of attention.wgsl; shapes,
// and lse and mean in rows, as in attention_gradient_rows.wgsl; dq (B, T, H·D).
// Each invocation computes, for two queries, VALUE4 · 4 channels of one head; a
// wider head is computed by several, each of which computes the weights again.
// Accumulates in f32.
// Grid: B · H · (D / 4 / VALUE4) · ⌈T/2⌉ invocations in groups of 32, queries fastest.
//
// Prepended constant: VALUE4.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // keys of the first segment
  head4: u32, // D / 4
  slices: u32, // D / 4 / VALUE4
  pairs: u32, // ⌈T/2⌉
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
@group(0) @binding(6) var<storage, read_write> dq: array<real4>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let t0 = (index % p.pairs) * 2u;
  let t1 = min(t0 + 1u, p.queries - 1u);
  var rest = index / p.pairs;
  let slice = rest % p.slices;
  rest /= p.slices;
  let head = rest % p.heads;
  let b = rest / p.heads;

  let row = p.heads * p.head4;
  let q0 = (b * p.queries + t0) * row + head * p.head4;
  let q1 = (b * p.queries + t1) * row + head * p.head4;
  let base = b * p.keys * row + head * p.head4;
  var out0 = array<vec4<f32>, VALUE4>();
  var out1 = array<vec4<f32>, VALUE4>();
  for (var segment = 0u; segment < p.segments; segment++) {
    let start = select(0u, p.text_keys, segment == 1u);
    var end0 = select(p.text_keys, p.keys, segment == 1u);
    var end1 = end0;
    if p.causal != 0u {
      end0 = min(end0, t0 + 1u);
      end1 = min(end1, t1 + 1u);
    }
    let last = end1 - 1u;
    let at_rows = ((b * p.heads + head) * p.segments + segment) * p.queries;
    let row0 = rows[at_rows + t0];
    let row1 = rows[at_rows + t1];
    var factor = 1.0;
    if segment == 1u { factor = id_scale[0]; }
    for (var s = start; s < end1; s += 4u) {
      let r0 = base + s * row;
      let r1 = base + min(s + 1u, last) * row;
      let r2 = base + min(s + 2u, last) * row;
      let r3 = base + min(s + 3u, last) * row;
      var s0 = vec4<f32>();
      var s1 = vec4<f32>();
      var d0 = vec4<f32>();
      var d1 = vec4<f32>();
      for (var d = 0u; d < p.head4; d++) {
        let a0 = vec4<f32>(q[q0 + d]);
        let a1 = vec4<f32>(q[q1 + d]);
        let k0 = vec4<f32>(k[r0 + d]);
        let k1 = vec4<f32>(k[r1 + d]);
        let k2 = vec4<f32>(k[r2 + d]);
        let k3 = vec4<f32>(k[r3 + d]);
        s0 += vec4<f32>(dot(a0, k0), dot(a0, k1), dot(a0, k2), dot(a0, k3));
        s1 += vec4<f32>(dot(a1, k0), dot(a1, k1), dot(a1, k2), dot(a1, k3));
        let g0 = vec4<f32>(dy[q0 + d]);
        let g1 = vec4<f32>(dy[q1 + d]);
        let v0 = vec4<f32>(v[r0 + d]);
        let v1 = vec4<f32>(v[r1 + d]);
        let v2 = vec4<f32>(v[r2 + d]);
        let v3 = vec4<f32>(v[r3 + d]);
        d0 += vec4<f32>(dot(g0, v0), dot(g0, v1), dot(g0, v2), dot(g0, v3));
        d1 += vec4<f32>(dot(g1, v0), dot(g1, v1), dot(g1, v2), dot(g1, v3));
      }
      let at = vec4<u32>(s, s + 1u, s + 2u, s + 3u);
      let p0 = exp(s0 * p.scale - row0.x);
      let p1 = exp(s1 * p.scale - row1.x);
      let w0 = select(vec4<f32>(), p0 * (factor * d0 - row0.y),
        at < vec4<u32>(end0));
      let w1 = select(vec4<f32>(), p1 * (factor * d1 - row1.y),
        at < vec4<u32>(end1));
      for (var d = 0u; d < VALUE4; d++) {
        let c = slice * VALUE4 + d;
        let k0 = vec4<f32>(k[r0 + c]);
        let k1 = vec4<f32>(k[r1 + c]);
        let k2 = vec4<f32>(k[r2 + c]);
        let k3 = vec4<f32>(k[r3 + c]);
        out0[d] += w0.x * k0 + w0.y * k1 + w0.z * k2 + w0.w * k3;
        out1[d] += w1.x * k0 + w1.y * k1 + w1.z * k2 + w1.w * k3;
      }
    }
  }
  for (var d = 0u; d < VALUE4; d++) {
    dq[q0 + slice * VALUE4 + d] = real4(p.scale * out0[d]);
  }
  if t0 + 1u < p.queries {
    for (var d = 0u; d < VALUE4; d++) {
      dq[q1 + slice * VALUE4 + d] = real4(p.scale * out1[d]);
    }
  }
}
