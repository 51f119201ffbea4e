// ratio[b] = std(cond_b) / std(g_b), g = uncond + scale · (cond − uncond)
//
// x (2B, N): the conditional half, then the unconditional one; scale (1) in f32;
// ratio (B) in f32. Means first, then squared distances from them, so that nothing
// cancels; accumulates in f32. N or N − 1 below the root makes no difference.
// = the first part of diffusers' rescale_noise_cfg.
// Grid: one workgroup of 256 per image.

struct Params {
  length: u32, // N
  images: u32, // B
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> ratio: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

// Of the conditional half, and of the guided image.
var<workgroup> sums: array<vec2<f32>, 256>;

// The sum of what all lanes give, the same for each of them.
fn total(lane: u32, own: vec2<f32>) -> vec2<f32> {
  sums[lane] = own;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if lane < half { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  let whole = sums[0];
  // The next call overwrites what others still read.
  workgroupBarrier();
  return whole;
}

fn value(image: u32, i: u32) -> vec2<f32> {
  let cond = f32(x[image * p.length + i]);
  let uncond = f32(x[(p.images + image) * p.length + i]);
  return vec2<f32>(cond, uncond + scale[0] * (cond - uncond));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let image = group_index(group, groups);
  if image >= p.images { return; }
  var sum = vec2<f32>();
  for (var i = lane; i < p.length; i += 256u) { sum += value(image, i); }
  let mean = total(lane, sum) / f32(p.length);
  var squares = vec2<f32>();
  for (var i = lane; i < p.length; i += 256u) {
    let distance = value(image, i) - mean;
    squares += distance * distance;
  }
  let variance = total(lane, squares);
  if lane == 0u { ratio[image] = sqrt(variance.x / variance.y); }
}
