// Group normalisation, first of three: sums over pieces of a picture.
//
// sums[b, piece, 0, c] = Σ (x − x₀)     over the piece's pixels
// sums[b, piece, 1, c] = Σ (x − x₀)²
// with x₀ = x[b, 0, c], the picture's first pixel: sums of differences to a
// value near the mean lose far fewer digits than sums of x and x².
//
// x (B, N, C), sums (B, P, 2, C) in f32; C a multiple of 4.
// Grid: B · P · C/4 invocations in groups of 32, channels fastest.

struct Params {
  pixels: u32, // N
  channels4: u32, // C / 4
  pieces: u32, // P
  piece: u32, // pixels a piece
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 32u + lane;
  if index >= p.total { return; }
  let c = index % p.channels4;
  let piece = (index / p.channels4) % p.pieces;
  let b = index / (p.channels4 * p.pieces);
  let base = b * p.pixels * p.channels4 + c;
  let origin = vec4<f32>(x[base]);
  let end = min((piece + 1u) * p.piece, p.pixels);
  var first = vec4<f32>();
  var second = vec4<f32>();
  for (var i = piece * p.piece; i < end; i++) {
    let d = vec4<f32>(x[base + i * p.channels4]) - origin;
    first += d;
    second += d * d;
  }
  let at = (b * p.pieces + piece) * 2u * p.channels4 + c;
  sums[at] = first;
  sums[at + p.channels4] = second;
}
