// For every query t, head and segment of the keys:
//   lse = log Σ_s exp(q_t · k_s · scale)
//   mean = Σ_s p_ts · (dy_t · v_s), p_ts = exp(q_t · k_s · scale − lse)
//
// The first of three shaders for the gradient of attention.wgsl, whose shapes these
// are: q and dy (B, T, H·D), k and v (B, S, H·D). rows (B, H, segments, T, 2) in f32
// holds (lse, mean): all that the other two need to compute the weights p again
// without a score matrix. Of the identity's segment, dy is multiplied by id_scale.
// Each invocation computes two queries of one head, walking the keys of a segment
// four at a time. Accumulates in f32.
// Grid: B · H · segments · ⌈T/2⌉ invocations in groups of 32, queries fastest.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // keys of the first segment
  head4: u32, // D / 4
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
@group(0) @binding(5) var<storage, read_write> rows: array<vec2<f32>>;
@group(0) @binding(6) var<uniform> p: Params;

const MASKED = -3.0e38; // score of a masked key

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
  let segment = rest % p.segments;
  rest /= p.segments;
  let head = rest % p.heads;
  let b = rest / p.heads;

  let row = p.heads * p.head4;
  let q0 = (b * p.queries + t0) * row + head * p.head4;
  let q1 = (b * p.queries + t1) * row + head * p.head4;
  let base = b * p.keys * row + head * p.head4;
  let start = select(0u, p.text_keys, segment == 1u);
  var end0 = select(p.text_keys, p.keys, segment == 1u);
  var end1 = end0;
  if p.causal != 0u {
    end0 = min(end0, t0 + 1u);
    end1 = min(end1, t1 + 1u);
  }
  let last = end1 - 1u;
  var maximum = vec2<f32>(MASKED);
  var sum = vec2<f32>();
  var weighted = vec2<f32>();
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
    s0 = select(vec4<f32>(MASKED), s0 * p.scale, at < vec4<u32>(end0));
    s1 = select(vec4<f32>(MASKED), s1 * p.scale, at < vec4<u32>(end1));
    let top = max(
      maximum,
      vec2<f32>(
        max(max(s0.x, s0.y), max(s0.z, s0.w)),
        max(max(s1.x, s1.y), max(s1.z, s1.w)),
      ),
    );
    let shrink = exp(maximum - top);
    maximum = top;
    let e0 = exp(s0 - vec4<f32>(top.x));
    let e1 = exp(s1 - vec4<f32>(top.y));
    sum = sum * shrink + vec2<f32>(
      e0.x + e0.y + e0.z + e0.w,
      e1.x + e1.y + e1.z + e1.w,
    );
    weighted = weighted * shrink + vec2<f32>(dot(e0, d0), dot(e1, d1));
  }
  var factor = 1.0;
  if segment == 1u { factor = id_scale[0]; }
  let lse = maximum + log(sum);
  // Where a causal query sees no key of the segment, 0 and not 0 / 0: the mean is
  // multiplied by weights of 0, which NaN would survive.
  let mean = select(vec2<f32>(), factor * weighted / sum, sum > vec2<f32>());
  let at = ((b * p.heads + head) * p.segments + segment) * p.queries;
  rows[at + t0] = vec2<f32>(lse.x, mean.x);
  if t0 + 1u < p.queries { rows[at + t1] = vec2<f32>(lse.y, mean.y); }
}
