// y = softmax(q k₁ᵀ · scale) v₁  [ + id_scale · softmax(q k₂ᵀ · scale) v₂ ]
//
// Computes what attention.wgsl does, for hardware GPUs: keys and values go through
// workgroup memory. q and y (B, T, H·D), k and v (B, S, H·D) in vec8s; D is
// 8 · HEAD8, 24 … 160. k₁, v₁ are the first S₁ tokens of k and v, k₂, v₂ the
// others. With causal, token t attends only to tokens 0..t. Accumulates in f32.
// = torch.nn.functional.scaled_dot_product_attention, twice, and their sum.
// Prepended: gather.wgsl and one of vec8_*.wgsl.
//
// A workgroup of 64 computes QUERIES rows of a head and walks the keys KEYS at a
// time, QUERIES · KEYS = 2048; the score matrix is never stored. For each block:
// 1. Scores: an invocation has 8 queries × 4 keys. q and k come in slices of one
//    vec8; the next is fetched while the current one is used (two slices in workgroup
//    memory, one barrier per slice): 128 multiply-adds per 12 vec4s read from there. q is
//    read again for every block, from the cache: as f32 it would not fit, and as f16
//    it would have to be unpacked at every use.
// 2. Weights: invocation t has query t: maximum, sum, exponentials to base 2.
// 3. Values: an invocation has 4 queries × PLACES vec4s of the head, SPLIT invocations
//    side by side; v comes 4 · VALUE_GROUPS keys at a time, in the memory of the
//    slices. This pads a head of 40 to 48, one of 24 to 32.
// For the identity's keys, which are few, maximum and sum are found first and the
// scores computed again, so that one set of sums in registers serves both segments.
// Grid: B · H · ⌈T / QUERIES⌉ workgroups, queries fastest, so that neighbours
// read the same keys.
//
// Workgroup memory: 6.8 KiB of slices, 8.3 KiB of scores and 0.3 KiB of factors, less
// than the 16 KiB of every device. A row is what one invocation reads, in its order,
// plus one vec4, so that rows start in different banks; only row indices need clamping.
// Limits: registers, 16 · PLACES + 32 for sums and about 40 others; and at least eight
// barriers per block, which other workgroups must hide.
//
// Prepended constants: HEAD8; QUERIES, 64, or 32 for heads wider than 80;
// VALUE_GROUPS, how many groups of four keys' values fit at once.

struct Params {
  heads: u32,
  queries: u32, // T
  keys: u32, // S
  text_keys: u32, // S₁
  blocks: u32, // ⌈T / QUERIES⌉
  groups: u32, // workgroups with work
  causal: u32,
  walks: u32, // over the keys: 1, or 3 with an identity
  scale: f32, // includes the factor log₂ e
  skip_queries: u32, // vec8s of q and y before the first image
  skip_keys: u32, // vec8s of k and v before the first image
}

@group(0) @binding(0) var<storage, read> q: array<packed8>;
@group(0) @binding(1) var<storage, read> k: array<packed8>;
@group(0) @binding(2) var<storage, read> v: array<packed8>;
@group(0) @binding(3) var<storage, read> id_scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<real4>;
@group(0) @binding(5) var<uniform> p: Params;

const MASKED = -3.0e38; // score of a masked key
const LANES = 64u;
const KEYS = 2048u / QUERIES;
const LANES_Q = QUERIES / 8u; // for scores: invocations along the queries
const LANES_K = KEYS / 4u; // and along the keys
const LANES_T = QUERIES / 4u; // for values: invocations along the queries
const SPLIT = LANES / LANES_T; // and along the head
const PLACES = (2u * HEAD8 + SPLIT - 1u) / SPLIT; // vec4s of the head per invocation, at most 5
const PAIRS = (PLACES + 1u) / 2u;

// Slices of q and k, two buffers b of one vec8 each, with halves d; or values.
// q: row (2 · b + d) · LANES_Q + m holds queries m, m + LANES_Q, … at 0 … 7.
// k: row 4 · LANES_Q + b · LANES_K + n holds keys 4 · n + i at 4 · d + i.
// v: row (g · PAIRS + j / 2) · SPLIT + n holds vec4 n + j · SPLIT of key 4 · g + i at
// 4 · (j % 2) + i.
var<workgroup> tile: array<array<vec4<f32>, 9>, 4u * LANES_Q + 2u * LANES_K>;
// Scores, then weights, of four keys, by query.
var<workgroup> scores: array<array<vec4<f32>, QUERIES + 1u>, LANES_K>;
// Factor for the sums of each query.
var<workgroup> shrinks: array<f32, QUERIES>;

// Scores of an invocation: each matrix has four queries × four keys.
struct Sums {
  left: mat4x4<f32>,
  right: mat4x4<f32>,
}

// Adds to the scores the products of half d of the vec8 in buffer b.
fn step(sums: Sums, m: u32, n: u32, b: u32, d: u32) -> Sums {
  let row_k = 4u * LANES_Q + b * LANES_K + n;
  let row_q = (2u * b + d) * LANES_Q + m;
  let keys = transpose(mat4x4<f32>(
    tile[row_k][4u * d],
    tile[row_k][4u * d + 1u],
    tile[row_k][4u * d + 2u],
    tile[row_k][4u * d + 3u],
  ));
  return Sums(
    gather(sums.left, tile[row_q][0], tile[row_q][1], tile[row_q][2], tile[row_q][3], keys),
    gather(sums.right, tile[row_q][4], tile[row_q][5], tile[row_q][6], tile[row_q][7], keys),
  );
}

// Stores a query's scores of the four keys from `first` on, masking later keys if
// causal, and keys from `end` on.
fn put_score(n: u32, m: u32, score: vec4<f32>, first: u32, end: u32, t0: u32) {
  let seen = select(end, min(end, t0 + m + 1u), p.causal != 0u);
  let at = vec4<u32>(first, first + 1u, first + 2u, first + 3u);
  scores[n][m] = select(vec4<f32>(MASKED), score, at < vec4<u32>(seen));
}

// Stores vec4 number `place` of a key's value.
fn put_value(key: u32, place: u32, value: vec4<f32>) {
  let j = place / SPLIT;
  tile[(key / 4u * PAIRS + j / 2u) * SPLIT + place % SPLIT][j % 2u * 4u + key % 4u] = value;
}

// Stores the values of the keys from `first` on, clamped to `last`; `base` is the
// head's first vec8.
fn put_values(lane: u32, base: u32, first: u32, last: u32) {
  for (var i = lane; i < 4u * VALUE_GROUPS * HEAD8; i += LANES) {
    let key = i / HEAD8;
    let at = base + min(first + key, last) * p.heads * HEAD8;
    let value = unpack(v[at + i % HEAD8]);
    put_value(key, 2u * (i % HEAD8), value[0]);
    put_value(key, 2u * (i % HEAD8) + 1u, value[1]);
  }
}

// Four vec4s of a row of values, one per key.
fn values4(row: u32, at: u32) -> mat4x4<f32> {
  return mat4x4<f32>(
    tile[row][at],
    tile[row][at + 1u],
    tile[row][at + 2u],
    tile[row][at + 3u],
  );
}

fn shrunk(o: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(by.x * o[0], by.y * o[1], by.z * o[2], by.w * o[3]);
}

// Stores vec4 number `place` of four queries, from t on, LANES_T apart.
fn store(o: mat4x4<f32>, base: u32, t: u32, place: u32) {
  if place >= 2u * HEAD8 { return; }
  let row = 2u * p.heads * HEAD8;
  let at = base + t * row + place;
  if t < p.queries { y[at] = real4(o[0]); }
  if t + LANES_T < p.queries { y[at + LANES_T * row] = real4(o[1]); }
  if t + 2u * LANES_T < p.queries { y[at + 2u * LANES_T * row] = real4(o[2]); }
  if t + 3u * LANES_T < p.queries { y[at + 3u * LANES_T * row] = real4(o[3]); }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let number = group_index(group, groups);
  if number >= p.groups { return; }
  let t0 = number % p.blocks * QUERIES;
  let head = number / p.blocks % p.heads;
  let image = number / (p.blocks * p.heads);
  let row = p.heads * HEAD8; // vec8s from one token to the next
  let base_q = p.skip_queries + image * p.queries * row + head * HEAD8;
  let base_k = p.skip_keys + image * p.keys * row + head * HEAD8;

  let m = lane / LANES_K; // for scores
  let n = lane % LANES_K;
  let t = lane / SPLIT; // for values
  let place = lane % SPLIT;
  let from_q = base_q + min(t0 + lane, p.queries - 1u) * row;

  // Sums of four queries, for each of the invocation's vec4s of the head.
  var o0 = mat4x4<f32>();
  var o1 = mat4x4<f32>();
  var o2 = mat4x4<f32>();
  var o3 = mat4x4<f32>();
  var o4 = mat4x4<f32>();
  // Largest score and sum of exponentials of query t0 + lane.
  var maximum = MASKED;
  var sum = 0.0;

  // One walk over the text's keys; two over the identity's, the first of which only
  // finds maximum and sum.
  for (var walk = 0u; walk < p.walks; walk++) {
    let start = select(0u, p.text_keys, walk > 0u);
    var end = select(p.text_keys, p.keys, walk > 0u);
    if p.causal != 0u { end = min(end, min(t0 + QUERIES, p.queries)); }
    if walk == 1u {
      maximum = MASKED;
      sum = 0.0;
    }
    var gain = 1.0;
    if walk == 2u { gain = id_scale[0] / sum; }

    for (var first = start; first < end; first += KEYS) {
      let from_k = base_k + min(first + lane, end - 1u) * row;
      var sums = Sums();
      // Fetches the next slice into the buffer of the one before the current.
      for (var slice = 0u; slice <= HEAD8; slice++) {
        var next_q = packed8();
        var next_k = packed8();
        if slice < HEAD8 {
          if lane < QUERIES { next_q = q[from_q + slice]; }
          if lane < KEYS { next_k = k[from_k + slice]; }
        }
        if slice > 0u {
          let b = (slice - 1u) % 2u;
          sums = step(sums, m, n, b, 0u);
          sums = step(sums, m, n, b, 1u);
        }
        if slice < HEAD8 {
          let b = slice % 2u;
          if lane < QUERIES {
            let a = unpack(next_q);
            let at = 2u * b * LANES_Q + lane % LANES_Q;
            tile[at][lane / LANES_Q] = a[0] * p.scale;
            tile[at + LANES_Q][lane / LANES_Q] = a[1] * p.scale;
          }
          if lane < KEYS {
            let a = unpack(next_k);
            let at = 4u * LANES_Q + b * LANES_K + lane / 4u;
            tile[at][lane % 4u] = a[0];
            tile[at][lane % 4u + 4u] = a[1];
          }
          workgroupBarrier();
        }
      }
      let at = first + 4u * n;
      put_score(n, m, sums.left[0], at, end, t0);
      put_score(n, m + LANES_Q, sums.left[1], at, end, t0);
      put_score(n, m + 2u * LANES_Q, sums.left[2], at, end, t0);
      put_score(n, m + 3u * LANES_Q, sums.left[3], at, end, t0);
      put_score(n, m + 4u * LANES_Q, sums.right[0], at, end, t0);
      put_score(n, m + 5u * LANES_Q, sums.right[1], at, end, t0);
      put_score(n, m + 6u * LANES_Q, sums.right[2], at, end, t0);
      put_score(n, m + 7u * LANES_Q, sums.right[3], at, end, t0);
      workgroupBarrier();

      let last = walk == 0u && first + KEYS >= end;
      // The walk that only finds maximum and sum needs no values, so one round.
      let used = select(min(LANES_K, (end - first + 3u) / 4u), 1u, walk == 1u);
      for (var g0 = 0u; g0 < used; g0 += VALUE_GROUPS) {
        if walk != 1u { put_values(lane, base_k, first + 4u * g0, end - 1u); }
        if g0 == 0u && lane < QUERIES {
          var top = maximum;
          if walk < 2u {
            var most = scores[0][lane];
            for (var g = 1u; g < LANES_K; g++) { most = max(most, scores[g][lane]); }
            top = max(top, max(max(most.x, most.y), max(most.z, most.w)));
          }
          var all = vec4<f32>();
          for (var g = 0u; g < LANES_K; g++) {
            let e = exp2(scores[g][lane] - top);
            scores[g][lane] = gain * e;
            all += e;
          }
          var shrink = exp2(maximum - top);
          sum = sum * shrink + all.x + all.y + all.z + all.w;
          maximum = top;
          // After the last text keys, the sums of values are divided by the sum.
          if last {
            shrink /= sum;
            for (var g = 0u; g < LANES_K; g++) { scores[g][lane] /= sum; }
          }
          shrinks[lane] = shrink;
        }
        workgroupBarrier();

        if walk != 1u {
          if g0 == 0u {
            let by = vec4<f32>(
              shrinks[t],
              shrinks[t + LANES_T],
              shrinks[t + 2u * LANES_T],
              shrinks[t + 3u * LANES_T],
            );
            o0 = shrunk(o0, by);
            o1 = shrunk(o1, by);
            o2 = shrunk(o2, by);
            o3 = shrunk(o3, by);
            o4 = shrunk(o4, by);
          }
          for (var g = g0; g < min(g0 + VALUE_GROUPS, used); g++) {
            let w0 = scores[g][t];
            let w1 = scores[g][t + LANES_T];
            let w2 = scores[g][t + 2u * LANES_T];
            let w3 = scores[g][t + 3u * LANES_T];
            let row_v = (g - g0) * PAIRS * SPLIT + place;
            o0 = gather(o0, w0, w1, w2, w3, values4(row_v, 0u));
            if PLACES > 1u { o1 = gather(o1, w0, w1, w2, w3, values4(row_v, 4u)); }
            if PLACES > 2u { o2 = gather(o2, w0, w1, w2, w3, values4(row_v + SPLIT, 0u)); }
            if PLACES > 3u { o3 = gather(o3, w0, w1, w2, w3, values4(row_v + SPLIT, 4u)); }
            if PLACES > 4u { o4 = gather(o4, w0, w1, w2, w3, values4(row_v + 2u * SPLIT, 0u)); }
          }
        }
        workgroupBarrier();
      }
    }
  }

  store(o0, 2u * base_q, t0 + t, place);
  if PLACES > 1u { store(o1, 2u * base_q, t0 + t, place + SPLIT); }
  if PLACES > 2u { store(o2, 2u * base_q, t0 + t, place + 2u * SPLIT); }
  if PLACES > 3u { store(o3, 2u * base_q, t0 + t, place + 3u * SPLIT); }
  if PLACES > 4u { store(o4, 2u * base_q, t0 + t, place + 4u * SPLIT); }
}
