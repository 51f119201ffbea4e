// latents[b, p, c] = mask[p] · latents[b, p, c]
//   + (1 − mask[p]) · (level[0] · original[p, c] + level[1] · noise[b, p, c])
//
// latents and noise (B, h, w, C), mask (h, w), original (1, h, w, C), level (2), all in
// f32. Updates the latents in place.
// = diffusers' StableDiffusionInpaintPipeline, after a step: add_noise, then the blend.
// Grid: one invocation per element of the latents, in groups of 64.

struct Params {
  // B · h · w · C
  total: u32,
  // h · w · C
  image: u32,
  // C
  channels: u32,
}

@group(0) @binding(0) var<storage, read> mask: array<f32>;
@group(0) @binding(1) var<storage, read> original: array<f32>;
@group(0) @binding(2) var<storage, read> noise: array<f32>;
@group(0) @binding(3) var<storage, read> level: array<f32>;
@group(0) @binding(4) var<storage, read_write> latents: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let at = index % p.image;
  let share = mask[at / p.channels];
  let kept = level[0] * original[at] + level[1] * noise[index];
  latents[index] = share * latents[index] + (1.0 - share) * kept;
}
