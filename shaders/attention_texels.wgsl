// y = softmax(q kᵀ · scale) v  [ + id_scale · softmax(q k'ᵀ · scale) v' ]
//
// Computes what attention.wgsl does, for narrow heads on software adapters. Keys and
// values come from a texture: such an adapter loads the 16 bytes of a texel at once,
// while a load from a buffer costs it one branch per lane and vector component.
// = torch.nn.functional.scaled_dot_product_attention, twice, and their sum.
//
// q and y (B, T, H·D) in vec4s; k and v (B, H, S, D) in vec8s of texels from
// attention_heads.wgsl, k first. The identity's keys k', v' follow the text's and
// have a softmax of their own.
//
// Each invocation has 4 queries of a head: a running maximum, the sum of
// exponentials and the output so far. Keys are walked four at a time, so that the
// output is rescaled only once for all four. Loops over keys are not unrolled, as
// drivers schedule only short bodies well. Accumulates in f32.
// Prepended: texels.wgsl, one of vec8_*.wgsl, of vec4_*.wgsl and of
// texel_vec8_*.wgsl, and the constant D8, vec8s of a head.
// Grid: ⌈T / 32⌉ · B · H workgroups of 8, queries fastest.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // the first of these, the text's
  groups_t: u32, // ⌈T / 32⌉
  values_start: u32, // first vec8 of v in t
  scale: f32, // includes the factor log₂ e
  segments: u32, // of the keys: 1, or 2 with an identity
  head4: u32, // 2 · D8, as a uniform so that loops are not unrolled
  skip: u32, // vec4s of the bindings before q and y
}

@group(0) @binding(0) var<storage, read> q: array<packed4>;
@group(0) @binding(1) var t: texture_storage_2d<rgba32uint, read>; // k, then v
@group(0) @binding(2) var<storage, read> id_scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<packed4>;
@group(0) @binding(4) var<uniform> p: Params;

const MASKED = -3.0e38; // score of a masked key
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

  for (var segment = 0u; segment < p.segments; segment++) {
    let end_key = select(p.text_keys, p.keys, segment == 1u);
    var out0 = array<vec4<f32>, D4>();
    var out1 = array<vec4<f32>, D4>();
    var out2 = array<vec4<f32>, D4>();
    var out3 = array<vec4<f32>, D4>();
    var maximum = vec4<f32>(MASKED);
    var sum = vec4<f32>();
    for (var s = segment * p.text_keys; s < end_key; s += 4u) {
      // Scores of four keys, one vec4 per query.
      var s0 = vec4<f32>(MASKED);
      var s1 = vec4<f32>(MASKED);
      var s2 = vec4<f32>(MASKED);
      var s3 = vec4<f32>(MASKED);
      let count = min(4u, end_key - s);
      for (var j = 0u; j < count; j++) {
        let at = (head * p.keys + s + j) * D8;
        var score = vec4<f32>();
        for (var c = 0u; c < D8; c++) {
          let k = load_vec8(at + c);
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
          let v = load_vec8(at + c);
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

    let weight = select(1.0, id_scale[0], segment == 1u) / sum;
    for (var c = 0u; c < p.head4; c++) {
      write(query.x, row.x + c, segment, weight.x * out0[c]);
      write(query.y, row.y + c, segment, weight.y * out1[c]);
      write(query.z, row.z + c, segment, weight.z * out2[c]);
      write(query.w, row.w + c, segment, weight.w * out3[c]);
    }
  }
}

fn write(query: u32, at: u32, segment: u32, result: vec4<f32>) {
  if query >= p.queries { return; }
  if segment == 1u {
    y[at] = pack4(result + unpack4(y[at]));
  } else {
    y[at] = pack4(result);
  }
}
