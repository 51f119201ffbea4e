// y = softmax(q kᵀ · scale) v · weight  [ + y ]
//
// What attention.wgsl computes, for adapters that are processors: keys and
// values come by uniform bindings of 64 KiB, whose loads cost a third of a
// storage buffer's there. A launch walks one range of keys: of as many heads as
// a binding holds, or a part of one head's keys. The identity's keys are a
// launch of their own, which adds to y.
//
// q and y (B, T, H·D), k and v (B · H, P, D) from attention_pack.wgsl, all in
// octets; D is 8 · D8. state (slices, tiles,
// 8 · SLICE8 + 2) keeps what the next range of
// the same keys goes on with. With causal, token t sees tokens 0..t.
//
// Each invocation keeps 4 queries of a head: a running maximum, the sum of
// exponentials and a slice of the output so far; keys are walked four at a time,
// so that the output is scaled anew but once for them. Heads wider than a slice
// are done by several invocations, each computing the scores anew. What is not
// hot loops over lengths the compiler does not know: written out, it would be
// most of the code. Accumulates in f32.
// Grid: ⌈T / 32⌉ · slices · heads, workgroups of 8, queries fastest.
//
// Constants put in front: D8, octets of a head; SLICE8, octets of a slice;
// WINDOW, octets of a binding.

struct Params {
  heads: u32,
  queries: u32, // T
  groups_t: u32, // ⌈T / 32⌉
  first_head: u32, // of B · H, of those bound
  head_octets: u32, // octets of k from one head to the next
  first_key: u32, // of those bound of a head
  end_key: u32,
  key_number: u32, // token that the binding begins with
  causal: u32,
  scale: f32, // times log₂ e
  identity: u32, // whether the result is weighted by id_scale and added to y
  resume: u32,
  finish: u32,
  head8: u32, // D / 8 = D8, but not known to the compiler
  slice8: u32, // SLICE8, likewise
  slices: u32, // of a head
}

@group(0) @binding(0) var<storage, read> q: array<octet>;
@group(0) @binding(1) var<uniform> k: array<octet, WINDOW>;
@group(0) @binding(2) var<uniform> v: array<octet, WINDOW>;
@group(0) @binding(3) var<storage, read> id_scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<octet>;
@group(0) @binding(6) var<uniform> p: Params;

const FAR = -3.0e38; // the score of a key that is not seen
const KEPT = 8u * SLICE8 + 2u; // vec4 of an invocation's state

fn dot8(a: values, b: values) -> f32 {
  return dot(a[0], b[0]) + dot(a[1], b[1]);
}

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let tile = number % p.groups_t * 8u + lane;
  let slice = number / p.groups_t % p.slices;
  let start = slice * SLICE8; // of the slice, in a head
  let place = number / (p.groups_t * p.slices); // of the heads bound
  let head = p.first_head + place;
  let last = p.queries - 1u;
  let t = tile * 4u + vec4<u32>(0u, 1u, 2u, 3u);
  let token = (head / p.heads) * p.queries + min(t, vec4<u32>(last));
  let row = (token * p.heads + head % p.heads) * D8;

  var q0 = array<values, D8>();
  var q1 = array<values, D8>();
  var q2 = array<values, D8>();
  var q3 = array<values, D8>();
  for (var c = 0u; c < p.head8; c++) {
    q0[c] = p.scale * unpack(q[row.x + c]);
    q1[c] = p.scale * unpack(q[row.y + c]);
    q2[c] = p.scale * unpack(q[row.z + c]);
    q3[c] = p.scale * unpack(q[row.w + c]);
  }

  var out0 = array<values, SLICE8>();
  var out1 = array<values, SLICE8>();
  var out2 = array<values, SLICE8>();
  var out3 = array<values, SLICE8>();
  var maximum = vec4<f32>(FAR);
  var sum = vec4<f32>();
  let kept = (slice * p.groups_t * 8u + tile) * KEPT;
  if p.resume != 0u {
    maximum = state[kept];
    sum = state[kept + 1u];
    for (var c = 0u; c < p.slice8; c++) {
      let at = kept + 2u + 8u * c;
      out0[c] = values(state[at], state[at + 1u]);
      out1[c] = values(state[at + 2u], state[at + 3u]);
      out2[c] = values(state[at + 4u], state[at + 5u]);
      out3[c] = values(state[at + 6u], state[at + 7u]);
    }
  }

  let base = place * p.head_octets;
  for (var s = p.first_key; s < p.end_key; s += 4u) {
    // Scores of four keys, a vec4 a query.
    var s0 = vec4<f32>(FAR);
    var s1 = vec4<f32>(FAR);
    var s2 = vec4<f32>(FAR);
    var s3 = vec4<f32>(FAR);
    let count = min(4u, p.end_key - s);
    for (var j = 0u; j < count; j++) {
      let at = base + (s + j) * D8;
      var score = vec4<f32>();
      for (var c = 0u; c < D8; c++) {
        let key = unpack(k[at + c]);
        score += vec4<f32>(dot8(q0[c], key), dot8(q1[c], key), dot8(q2[c], key), dot8(q3[c], key));
      }
      let unseen = p.causal != 0u;
      score = select(
        score,
        vec4<f32>(FAR),
        vec4<bool>(unseen) & (vec4<u32>(p.key_number + s + j) > t),
      );
      let here = vec4<u32>(j) == vec4<u32>(0u, 1u, 2u, 3u);
      s0 = select(s0, vec4<f32>(score.x), here);
      s1 = select(s1, vec4<f32>(score.y), here);
      s2 = select(s2, vec4<f32>(score.z), here);
      s3 = select(s3, vec4<f32>(score.w), here);
    }

    let pair = max(
      max(vec4<f32>(s0.x, s1.x, s2.x, s3.x), vec4<f32>(s0.y, s1.y, s2.y, s3.y)),
      max(vec4<f32>(s0.z, s1.z, s2.z, s3.z), vec4<f32>(s0.w, s1.w, s2.w, s3.w)),
    );
    let higher = max(maximum, pair);
    let keep = exp2(maximum - higher);
    maximum = higher;
    s0 = exp2(s0 - higher.x);
    s1 = exp2(s1 - higher.y);
    s2 = exp2(s2 - higher.z);
    s3 = exp2(s3 - higher.w);
    sum = sum * keep + vec4<f32>(
      dot(s0, vec4<f32>(1.0)),
      dot(s1, vec4<f32>(1.0)),
      dot(s2, vec4<f32>(1.0)),
      dot(s3, vec4<f32>(1.0)),
    );
    for (var c = 0u; c < SLICE8; c++) {
      out0[c] *= keep.x;
      out1[c] *= keep.y;
      out2[c] *= keep.z;
      out3[c] *= keep.w;
    }
    for (var j = 0u; j < count; j++) {
      let at = base + (s + j) * D8;
      let w0 = s0[j];
      let w1 = s1[j];
      let w2 = s2[j];
      let w3 = s3[j];
      for (var c = 0u; c < SLICE8; c++) {
        let value = unpack(v[at + start + c]);
        out0[c] += w0 * value;
        out1[c] += w1 * value;
        out2[c] += w2 * value;
        out3[c] += w3 * value;
      }
    }
  }

  if p.finish == 0u {
    state[kept] = maximum;
    state[kept + 1u] = sum;
    for (var c = 0u; c < p.slice8; c++) {
      let at = kept + 2u + 8u * c;
      state[at] = out0[c][0];
      state[at + 1u] = out0[c][1];
      state[at + 2u] = out1[c][0];
      state[at + 3u] = out1[c][1];
      state[at + 4u] = out2[c][0];
      state[at + 5u] = out2[c][1];
      state[at + 6u] = out3[c][0];
      state[at + 7u] = out3[c][1];
    }
    return;
  }
  let weight = select(1.0, id_scale[0], p.identity != 0u) / sum;
  for (var c = 0u; c < p.slice8; c++) {
    write(t.x, row.x + start + c, weight.x * out0[c]);
    write(t.y, row.y + start + c, weight.y * out1[c]);
    write(t.z, row.z + start + c, weight.z * out2[c]);
    write(t.w, row.w + start + c, weight.w * out3[c]);
  }
}

fn write(t: u32, at: u32, result: values) {
  if t >= p.queries { return; }
  if p.identity != 0u {
    y[at] = pack(result + unpack(y[at]));
  } else {
    y[at] = pack(result);
  }
}
