// The squared norm, second of two shaders: the sum of the partial sums.
//
// norms[slot] = Σ partials[w]
//
// partials (P) and norms (S) in f32; the other elements of norms stay as they are.
// Added in a fixed order: every 256th by each lane, then the lanes' sums in pairs.
// Grid: one workgroup of 256.

struct Params {
  partials: u32, // P
  slot: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var at = lane; at < p.partials; at += 256u) { sum += partials[at]; }
  sums[lane] = sum;
  for (var step = 128u; step > 0u; step /= 2u) {
    workgroupBarrier();
    if lane < step { sums[lane] += sums[lane + step]; }
  }
  if lane == 0u { norms[p.slot] = sums[0]; }
}
