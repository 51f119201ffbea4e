// y = softmax(q k₁ᵀ · scale) v₁  [ + id_scale · softmax(q k₂ᵀ · scale) v₂ ]
//
// per image and head. q and y (B, T, H·D), k and v (B, S, H·D), D a multiple
// of 4. k₁, v₁ are the first S₁ tokens of k and v (the text), k₂, v₂ the others
// (the identity): two softmaxes over two segments of the keys, in one pass. With
// causal, token t attends only to tokens 0..t. id_scale is a buffer, so that it can
// change between runs of a plan.
// = torch.nn.functional.scaled_dot_product_attention, twice, and their sum.
//
// The score matrix is never stored: each invocation keeps, for 2 queries, a
// running maximum, the sum of exponentials and a slice of the output of
// VALUE4 · 4 channels, and walks the keys four at a time. A head wider than a
// slice is computed by several invocations, each of which recomputes the scores.
// Accumulates in f32.
// Grid: B · H · (D / 4 / VALUE4) · ⌈T/2⌉ invocations in groups of 32, queries
// fastest, so that neighbours read the same keys.
//
// Prepended constant: VALUE4, vec4s in a slice.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // S₁
  head4: u32, // D / 4
  slices: u32, // D / 4 / VALUE4
  pairs: u32, // ⌈T/2⌉
  total: u32, // invocations with work
  causal: u32,
  segments: u32, // of the keys: 1, or 2 with an identity
  scale: f32,
  skip_queries: u32, // vec4s of q and y before the first image
  skip_keys: u32, // vec4s of k and v before the first image
}

@group(0) @binding(0) var<storage, read> q: array<real4>;
@group(0) @binding(1) var<storage, read> k: array<real4>;
@group(0) @binding(2) var<storage, read> v: array<real4>;
@group(0) @binding(3) var<storage, read> id_scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<real4>;
@group(0) @binding(5) var<uniform> p: Params;

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
  let slice = (index / p.pairs) % p.slices;
  let head = (index / (p.pairs * p.slices)) % p.heads;
  let b = index / (p.pairs * p.slices * p.heads);

  let row = p.heads * p.head4; // vec4s from one token to the next
  let q0 = p.skip_queries + (b * p.queries + t0) * row + head * p.head4;
  let q1 = p.skip_queries + (b * p.queries + t1) * row + head * p.head4;
  let base = p.skip_keys + b * p.keys * row + head * p.head4;

  var out0 = array<vec4<f32>, VALUE4>();
  var out1 = array<vec4<f32>, VALUE4>();

  // Once over the text's keys; with an identity, again over the others.
  for (var segment = 0u; segment < p.segments; segment++) {
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
    var value0 = array<vec4<f32>, VALUE4>();
    var value1 = array<vec4<f32>, VALUE4>();
    for (var s = start; s < end1; s += 4u) {
      let r0 = base + s * row;
      let r1 = base + min(s + 1u, last) * row;
      let r2 = base + min(s + 2u, last) * row;
      let r3 = base + min(s + 3u, last) * row;

      // Scores of four keys for both queries.
      var s0 = vec4<f32>();
      var s1 = vec4<f32>();
      for (var d = 0u; d < p.head4; d++) {
        let a0 = vec4<f32>(q[q0 + d]);
        let a1 = vec4<f32>(q[q1 + d]);
        let b0 = vec4<f32>(k[r0 + d]);
        let b1 = vec4<f32>(k[r1 + d]);
        let b2 = vec4<f32>(k[r2 + d]);
        let b3 = vec4<f32>(k[r3 + d]);
        s0 += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
        s1 += vec4<f32>(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
      }
      let at = vec4<u32>(s, s + 1u, s + 2u, s + 3u);
      s0 = select(vec4<f32>(MASKED), s0 * p.scale, at < vec4<u32>(end0));
      s1 = select(vec4<f32>(MASKED), s1 * p.scale, at < vec4<u32>(end1));

      // Scores become weights; the sums so far are scaled down if the maximum grew.
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
      for (var d = 0u; d < VALUE4; d++) {
        let c = slice * VALUE4 + d;
        let v0 = vec4<f32>(v[r0 + c]);
        let v1 = vec4<f32>(v[r1 + c]);
        let v2 = vec4<f32>(v[r2 + c]);
        let v3 = vec4<f32>(v[r3 + c]);
        value0[d] = value0[d] * shrink.x +
          e0.x * v0 + e0.y * v1 + e0.z * v2 + e0.w * v3;
        value1[d] = value1[d] * shrink.y +
          e1.x * v0 + e1.y * v1 + e1.z * v2 + e1.w * v3;
      }
    }

    var weight = 1.0;
    if segment == 1u { weight = id_scale[0]; }
    let share = vec2<f32>(weight) / sum;
    for (var d = 0u; d < VALUE4; d++) {
      out0[d] += value0[d] * share.x;
      out1[d] += value1[d] * share.y;
    }
  }

  for (var d = 0u; d < VALUE4; d++) {
    y[q0 + slice * VALUE4 + d] = real4(out0[d]);
  }
  if t0 + 1u < p.queries {
    for (var d = 0u; d < VALUE4; d++) {
      y[q1 + slice * VALUE4 + d] = real4(out1[d]);
    }
  }
}
