// y = softmax(q kᵀ · scale) v  [ + id_scale · softmax(q k_idᵀ · scale) v_id ]
//
// per picture and head. q and y (B, T, H·D), k and v (B, S, H·D), k_id and v_id
// (B, S_id, H·D), D a multiple of 4. With CAUSAL, token t sees tokens 0..t.
// The two softmaxes share nothing but the queries: text and identity attention
// of MasterWeaver in one pass. id_scale is read from a buffer, so that it can
// change between two runs of one plan.
// = torch.nn.functional.scaled_dot_product_attention, twice, and their sum.
//
// The score matrix is never stored: each invocation keeps, for 2 queries, a
// running maximum, the sum of exponentials and a slice of the output of
// VALUE4 · 4 channels, and walks the keys four at a time. Heads wider than a
// slice are done by several invocations, each computing the scores anew.
// Accumulates in f32.
// Grid: B · H · (D / 4 / VALUE4) · ⌈T/2⌉ invocations in groups of 32, queries
// fastest, so that neighbours read the same keys.
//
// Constants put in front: HEAD4 = D / 4, VALUE4 = vec4 in a slice.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  id_keys: u32, // S_id
  slices: u32, // HEAD4 / VALUE4
  pairs: u32, // ⌈T/2⌉
  total: u32, // invocations with work
  scale: f32,
}

override CAUSAL: bool = false;
override HAS_IDENTITY: bool = false;

@group(0) @binding(0) var<storage, read> q: array<real4>;
@group(0) @binding(1) var<storage, read> k: array<real4>;
@group(0) @binding(2) var<storage, read> v: array<real4>;
@group(0) @binding(3) var<storage, read> k_id: array<real4>;
@group(0) @binding(4) var<storage, read> v_id: array<real4>;
@group(0) @binding(5) var<storage, read> id_scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<real4>;
@group(0) @binding(7) var<uniform> p: Params;

const FAR = -3.0e38; // the score of a key that is not seen

// A query's state while it walks the keys.
struct Walk {
  maximum: f32,
  sum: f32,
  value: array<vec4<f32>, VALUE4>,
}

// What of four keys, beginning at `first`, query `t` does not see.
fn mask(scores: vec4<f32>, first: u32, t: u32, keys: u32) -> vec4<f32> {
  var limit = keys;
  if CAUSAL { limit = min(keys, t + 1u); }
  let index = vec4<u32>(first, first + 1u, first + 2u, first + 3u);
  return select(vec4<f32>(FAR), scores, index < vec4<u32>(limit));
}

// Takes four more keys into a walk: their scores become weights, what was
// gathered before is scaled down where the maximum grew.
fn weigh(walk: ptr<function, Walk>, scores: vec4<f32>) -> vec4<f32> {
  let top = max(max(scores.x, scores.y), max(scores.z, scores.w));
  let maximum = max((*walk).maximum, top);
  let shrink = exp((*walk).maximum - maximum);
  let weights = exp(scores - vec4<f32>(maximum));
  (*walk).maximum = maximum;
  (*walk).sum = (*walk).sum * shrink +
    (weights.x + weights.y + weights.z + weights.w);
  for (var d = 0u; d < VALUE4; d++) {
    (*walk).value[d] *= shrink;
  }
  return weights;
}

fn fresh() -> Walk {
  return Walk(FAR, 0.0, array<vec4<f32>, VALUE4>());
}

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

  let row = p.heads * HEAD4; // vec4 from one token to the next
  let q0 = (b * p.queries + t0) * row + head * HEAD4;
  let q1 = (b * p.queries + t1) * row + head * HEAD4;

  // Text (or self) attention.
  var walk0 = fresh();
  var walk1 = fresh();
  for (var s = 0u; s < p.keys; s += 4u) {
    if CAUSAL && s > t1 { break; }
    let base = b * p.keys;
    let r0 = (base + s) * row + head * HEAD4;
    let r1 = (base + min(s + 1u, p.keys - 1u)) * row + head * HEAD4;
    let r2 = (base + min(s + 2u, p.keys - 1u)) * row + head * HEAD4;
    let r3 = (base + min(s + 3u, p.keys - 1u)) * row + head * HEAD4;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    for (var d = 0u; d < HEAD4; d++) {
      let a0 = vec4<f32>(q[q0 + d]);
      let a1 = vec4<f32>(q[q1 + d]);
      let b0 = vec4<f32>(k[r0 + d]);
      let b1 = vec4<f32>(k[r1 + d]);
      let b2 = vec4<f32>(k[r2 + d]);
      let b3 = vec4<f32>(k[r3 + d]);
      s0 += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
      s1 += vec4<f32>(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
    }
    let e0 = weigh(&walk0, mask(s0 * p.scale, s, t0, p.keys));
    let e1 = weigh(&walk1, mask(s1 * p.scale, s, t1, p.keys));
    for (var d = 0u; d < VALUE4; d++) {
      let c = slice * VALUE4 + d;
      let v0 = vec4<f32>(v[r0 + c]);
      let v1 = vec4<f32>(v[r1 + c]);
      let v2 = vec4<f32>(v[r2 + c]);
      let v3 = vec4<f32>(v[r3 + c]);
      walk0.value[d] += e0.x * v0 + e0.y * v1 + e0.z * v2 + e0.w * v3;
      walk1.value[d] += e1.x * v0 + e1.y * v1 + e1.z * v2 + e1.w * v3;
    }
  }

  var out0 = walk0.value;
  var out1 = walk1.value;
  for (var d = 0u; d < VALUE4; d++) {
    out0[d] /= walk0.sum;
    out1[d] /= walk1.sum;
  }

  // Identity attention: the same queries, other keys, a softmax of its own.
  if HAS_IDENTITY {
    walk0 = fresh();
    walk1 = fresh();
    for (var s = 0u; s < p.id_keys; s += 4u) {
      let base = b * p.id_keys;
      let r0 = (base + s) * row + head * HEAD4;
      let r1 = (base + min(s + 1u, p.id_keys - 1u)) * row + head * HEAD4;
      let r2 = (base + min(s + 2u, p.id_keys - 1u)) * row + head * HEAD4;
      let r3 = (base + min(s + 3u, p.id_keys - 1u)) * row + head * HEAD4;
      var s0 = vec4<f32>();
      var s1 = vec4<f32>();
      for (var d = 0u; d < HEAD4; d++) {
        let a0 = vec4<f32>(q[q0 + d]);
        let a1 = vec4<f32>(q[q1 + d]);
        let b0 = vec4<f32>(k_id[r0 + d]);
        let b1 = vec4<f32>(k_id[r1 + d]);
        let b2 = vec4<f32>(k_id[r2 + d]);
        let b3 = vec4<f32>(k_id[r3 + d]);
        s0 += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
        s1 += vec4<f32>(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
      }
      let e0 = weigh(&walk0, mask(s0 * p.scale, s, t0, p.id_keys));
      let e1 = weigh(&walk1, mask(s1 * p.scale, s, t1, p.id_keys));
      for (var d = 0u; d < VALUE4; d++) {
        let c = slice * VALUE4 + d;
        let v0 = vec4<f32>(v_id[r0 + c]);
        let v1 = vec4<f32>(v_id[r1 + c]);
        let v2 = vec4<f32>(v_id[r2 + c]);
        let v3 = vec4<f32>(v_id[r3 + c]);
        walk0.value[d] += e0.x * v0 + e0.y * v1 + e0.z * v2 + e0.w * v3;
        walk1.value[d] += e1.x * v0 + e1.y * v1 + e1.z * v2 + e1.w * v3;
      }
    }
    for (var d = 0u; d < VALUE4; d++) {
      out0[d] += id_scale[0] * walk0.value[d] / walk0.sum;
      out1[d] += id_scale[0] * walk1.value[d] / walk1.sum;
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
