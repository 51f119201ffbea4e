// y = softmax(q kᵀ · scale) v  [ + identityScale · softmax(q k'ᵀ · scale) v' ]
//
// What attention.wgsl computes, of narrow heads, for adapters that are CPUs:
// keys and values come as texels, whose 16 bytes such an adapter fetches at once,
// while every component of a load from a buffer is a branch a lane.
//
// q and y (B, T, H·D) in vec4s; k and v (B, H, S, D) in vec8s of texels from
// attention_heads.wgsl, k first. The identity's keys k', v' come after the text's,
// and are looked at apart.
//
// Each invocation keeps 4 queries of a head: a running maximum, the sum of
// exponentials and the output so far; keys are walked four at a time, so that the
// output is scaled anew but once for them. Loops over keys are not written out: a
// driver's compiler keeps order in short bodies only. Accumulates in f32.
// In front of it stand texels.wgsl, one of vec8_*.wgsl, one of vec4_*.wgsl and
// one of texel_vec8_*.wgsl.
// Grid: ⌈T / 32⌉ · B · H, workgroups of 8, queries fastest.
//
// Constants put in front: D8, vec8s of a head.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // of these, the text's
  groups_t: u32, // ⌈T / 32⌉
  values_start: u32, // vec8 of t that v begins with
  scale: f32, // times log₂ e
  parts: u32, // 2 with an identity's keys, else 1
  head4: u32, // 2 · D8, but not known to the compiler
  skip: u32, // vec4s of the bindings before q and y
}

@group(0) @binding(0) var<storage, read> q: array<packed4>;
@group(0) @binding(1) var t: texture_storage_2d<rgba32uint, read>; // k, then v
@group(0) @binding(2) var<storage, read> id_scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<packed4>;
@group(0) @binding(4) var<uniform> p: Params;

const FAR = -3.0e38; // the score of a key that is not there
const D4 = 2u * D8;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  let head = divide(number, p.groups_t); // of B · H
  let tile = (number - head * p.groups_t) * 8u + lane;
  let query = tile * 4u + vec4<u32>(0u, 1u, 2u, 3u);
  let image = divide(head, p.heads);
  let token = image * p.queries + min(query, vec4<u32>(p.queries - 1u));
  let row = p.skip + (token * p.heads + head - image * p.heads) * D4;

  var q0 = array<vec4<f32>, D4>();
  var q1 = array<vec4<f32>, D4>();
  var q2 = array<vec4<f32>, D4>();
  var q3 = array<vec4<f32>, D4>();
  for (var c = 0u; c < p.head4; c++) {
    q0[c] = p.scale * unpack4(q[row.x + c]);
    q1[c] = p.scale * unpack4(q[row.y + c]);
    q2[c] = p.scale * unpack4(q[row.z + c]);
    q3[c] = p.scale * unpack4(q[row.w + c]);
  }

  for (var part = 0u; part < p.parts; part++) {
    let end_key = select(p.text_keys, p.keys, part == 1u);
    var out0 = array<vec4<f32>, D4>();
    var out1 = array<vec4<f32>, D4>();
    var out2 = array<vec4<f32>, D4>();
    var out3 = array<vec4<f32>, D4>();
    var maximum = vec4<f32>(FAR);
    var sum = vec4<f32>();
    for (var s = part * p.text_keys; s < end_key; s += 4u) {
      // Scores of four keys, a vec4 a query.
      var s0 = vec4<f32>(FAR);
      var s1 = vec4<f32>(FAR);
      var s2 = vec4<f32>(FAR);
      var s3 = vec4<f32>(FAR);
      let count = min(4u, end_key - s);
      for (var j = 0u; j < count; j++) {
        let at = (head * p.keys + s + j) * D8;
        var score = vec4<f32>();
        for (var c = 0u; c < D8; c++) {
          let k = load_octet(at + c);
          let i = 2u * c;
          score += vec4<f32>(
            dot(q0[i], k[0]) + dot(q0[i + 1u], k[1]),
            dot(q1[i], k[0]) + dot(q1[i + 1u], k[1]),
            dot(q2[i], k[0]) + dot(q2[i + 1u], k[1]),
            dot(q3[i], k[0]) + dot(q3[i + 1u], k[1]),
          );
        }
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
      for (var c = 0u; c < D4; c++) {
        out0[c] *= keep.x;
        out1[c] *= keep.y;
        out2[c] *= keep.z;
        out3[c] *= keep.w;
      }
      for (var j = 0u; j < count; j++) {
        let at = p.values_start + (head * p.keys + s + j) * D8;
        let w0 = s0[j];
        let w1 = s1[j];
        let w2 = s2[j];
        let w3 = s3[j];
        for (var c = 0u; c < D8; c++) {
          let v = load_octet(at + c);
          let i = 2u * c;
          out0[i] += w0 * v[0];
          out0[i + 1u] += w0 * v[1];
          out1[i] += w1 * v[0];
          out1[i + 1u] += w1 * v[1];
          out2[i] += w2 * v[0];
          out2[i + 1u] += w2 * v[1];
          out3[i] += w3 * v[0];
          out3[i + 1u] += w3 * v[1];
        }
      }
    }

    let weight = select(1.0, id_scale[0], part == 1u) / sum;
    for (var c = 0u; c < p.head4; c++) {
      write(query.x, row.x + c, part, weight.x * out0[c]);
      write(query.y, row.y + c, part, weight.y * out1[c]);
      write(query.z, row.z + c, part, weight.z * out2[c]);
      write(query.w, row.w + c, part, weight.w * out3[c]);
    }
  }
}

fn write(query: u32, at: u32, part: u32, result: vec4<f32>) {
  if query >= p.queries { return; }
  if part == 1u {
    y[at] = pack4(result + unpack4(y[at]));
  } else {
    y[at] = pack4(result);
  }
}
