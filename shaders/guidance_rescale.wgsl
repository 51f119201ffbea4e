// y = (rescale · ratio[b] + 1 − rescale) · (uncond + scale · (cond − uncond))
//
// x (2B, N): the conditional half, then the unconditional one; scale (1), rescale (1)
// and ratio (B) in f32, the last from guidance_ratio.wgsl; y (B, N) in f32.
// = classifier-free guidance, then diffusers' rescale_noise_cfg.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  total: u32, // B · N
  length: u32, // N
}

@group(0) @binding(0) var<storage, read> x: array<real>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> rescale: array<f32>;
@group(0) @binding(3) var<storage, read> ratio: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let cond = f32(x[index]);
  let uncond = f32(x[index + p.total]);
  let factor = rescale[0] * ratio[index / p.length] + (1.0 - rescale[0]);
  y[index] = factor * (uncond + scale[0] * (cond - uncond));
}
