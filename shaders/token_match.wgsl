// similarity[b, k, s] = max_d cos(x[b, source s], x[b, destination d])
// best[b, k, s] = the first d with that similarity
//
// over the destinations d of chunk k. x (B, H·W, C), C a multiple of 4; similarity
// f32 and best u32 (B, K, S). token_grid.wgsl says which tokens are sources and which
// destinations. Norms are at least 1e-15, so a token of zeros has similarity 0.
// = torch.max over the last axis of the matrix of cosine similarities, one chunk of
// its columns at a time; the matrix is never stored. Accumulates in f32.
// Prepended: token_grid.wgsl.
// Grid: one invocation per 4 sources and chunk, in groups of 32, sources fastest, so
// that neighbours read the same destinations.

struct Params {
  width: u32, // W
  channels4: u32, // C / 4
  tokens: u32, // H · W
  sources: u32, // S
  destinations: u32, // D
  chunk: u32, // destinations in a chunk, a multiple of 4
  chunks: u32, // K
  tiles: u32, // ⌈S/4⌉
  first: u32, // index in the batch of the launch's first image
  skip: u32, // vec4s of the binding before it
  total: u32, // invocations with work
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(1) var<storage, read_write> similarity: array<f32>;
@group(0) @binding(2) var<storage, read_write> best: array<u32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let s = 4u * (index % p.tiles);
  let chunk = (index / p.tiles) % p.chunks;
  let b = index / (p.tiles * p.chunks);
  let last = p.sources - 1u;

  let base = p.skip + b * p.tokens * p.channels4;
  let q0 = base + source_token(s, p.width) * p.channels4;
  let q1 = base + source_token(min(s + 1u, last), p.width) * p.channels4;
  let q2 = base + source_token(min(s + 2u, last), p.width) * p.channels4;
  let q3 = base + source_token(min(s + 3u, last), p.width) * p.channels4;

  var norms = vec4<f32>(); // of the sources, squared
  for (var c = 0u; c < p.channels4; c++) {
    let a0 = vec4<f32>(x[q0 + c]);
    let a1 = vec4<f32>(x[q1 + c]);
    let a2 = vec4<f32>(x[q2 + c]);
    let a3 = vec4<f32>(x[q3 + c]);
    norms += vec4<f32>(dot(a0, a0), dot(a1, a1), dot(a2, a2), dot(a3, a3));
  }

  let start = chunk * p.chunk;
  let end = min(start + p.chunk, p.destinations);
  var highest = vec4<f32>(-2.0);
  var at = vec4<u32>(start);
  for (var d = start; d < end; d += 4u) {
    let r0 = base + destination_token(d, p.width) * p.channels4;
    let r1 = base + destination_token(min(d + 1u, end - 1u), p.width) * p.channels4;
    let r2 = base + destination_token(min(d + 2u, end - 1u), p.width) * p.channels4;
    let r3 = base + destination_token(min(d + 3u, end - 1u), p.width) * p.channels4;
    // Four destinations by four sources.
    var dots0 = vec4<f32>();
    var dots1 = vec4<f32>();
    var dots2 = vec4<f32>();
    var dots3 = vec4<f32>();
    var squares = vec4<f32>();
    for (var c = 0u; c < p.channels4; c++) {
      let a0 = vec4<f32>(x[q0 + c]);
      let a1 = vec4<f32>(x[q1 + c]);
      let a2 = vec4<f32>(x[q2 + c]);
      let a3 = vec4<f32>(x[q3 + c]);
      let b0 = vec4<f32>(x[r0 + c]);
      let b1 = vec4<f32>(x[r1 + c]);
      let b2 = vec4<f32>(x[r2 + c]);
      let b3 = vec4<f32>(x[r3 + c]);
      dots0 += vec4<f32>(dot(a0, b0), dot(a1, b0), dot(a2, b0), dot(a3, b0));
      dots1 += vec4<f32>(dot(a0, b1), dot(a1, b1), dot(a2, b1), dot(a3, b1));
      dots2 += vec4<f32>(dot(a0, b2), dot(a1, b2), dot(a2, b2), dot(a3, b2));
      dots3 += vec4<f32>(dot(a0, b3), dot(a1, b3), dot(a2, b3), dot(a3, b3));
      squares += vec4<f32>(dot(b0, b0), dot(b1, b1), dot(b2, b2), dot(b3, b3));
    }
    let scale = inverseSqrt(max(squares, vec4<f32>(1e-30)));
    // Past the end the last destination is repeated, which is not strictly higher.
    let t0 = dots0 * scale.x;
    at = select(at, vec4<u32>(d), t0 > highest);
    highest = max(highest, t0);
    let t1 = dots1 * scale.y;
    at = select(at, vec4<u32>(d + 1u), t1 > highest);
    highest = max(highest, t1);
    let t2 = dots2 * scale.z;
    at = select(at, vec4<u32>(d + 2u), t2 > highest);
    highest = max(highest, t2);
    let t3 = dots3 * scale.w;
    at = select(at, vec4<u32>(d + 3u), t3 > highest);
    highest = max(highest, t3);
  }
  highest *= inverseSqrt(max(norms, vec4<f32>(1e-30)));

  let y = ((p.first + b) * p.chunks + chunk) * p.sources + s;
  similarity[y] = highest.x;
  best[y] = at.x;
  if s + 1u < p.sources {
    similarity[y + 1u] = highest.y;
    best[y + 1u] = at.y;
  }
  if s + 2u < p.sources {
    similarity[y + 2u] = highest.z;
    best[y + 2u] = at.z;
  }
  if s + 3u < p.sources {
    similarity[y + 3u] = highest.w;
    best[y + 3u] = at.w;
  }
}
