// latents[i] = coefficients[0] · latents[i] + coefficients[1] · predicted_noise[i]
//
// latents and predicted_noise in f32, coefficients (2) in f32 from src/samplers/ddim.ts.
// Updates the latents in place. = diffusers' DDIMScheduler.step, eta 0.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read> predicted_noise: array<f32>;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read_write> latents: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  latents[index] = coefficients[0] * latents[index] +
    coefficients[1] * predicted_noise[index];
}
