// y = M x, for each element of the latents by itself
//
// x: latents, model output, noise and K history tensors; y: latents and history.
// Latents, model output, noise (n) and history (K · n) in f32. M (1 + K, 3 + K) in f32,
// from src/samplers/linear_sampler.ts; more may follow it in its buffer.
// Updates latents and history in place. = a step of any diffusers scheduler.
// Grid: one invocation per element of the latents, in groups of 64.

// The most history tensors; src/ops/linear_step.ts has the same number.
const MOST = 4u;

struct Params {
  total: u32, // n
  slots: u32, // K, 1 to MOST
  has_noise: u32, // whether noise is bound; otherwise it counts as 0
}

@group(0) @binding(0) var<storage, read> model_output: array<f32>;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read> matrix: array<f32>;
@group(0) @binding(3) var<storage, read_write> latents: array<f32>;
@group(0) @binding(4) var<storage, read_write> history: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  var x: array<f32, MOST + 3u>;
  x[0] = latents[index];
  x[1] = model_output[index];
  if p.has_noise != 0u { x[2] = noise[index]; }
  for (var slot = 0u; slot < p.slots; slot++) {
    x[3u + slot] = history[slot * p.total + index];
  }
  let columns = 3u + p.slots;
  for (var row = 0u; row <= p.slots; row++) {
    var y = 0.0;
    for (var column = 0u; column < columns; column++) {
      y += matrix[row * columns + column] * x[column];
    }
    if row == 0u {
      latents[index] = y;
    } else {
      history[(row - 1u) * p.total + index] = y;
    }
  }
}
