// One step of AdamW, in place:
//
// g = gradient · coefficient / scale
// parameter ← parameter · kept
// first ← first + (1 − β₁) (g − first)
// second ← β₂ · second + (1 − β₂) g²
// parameter ← parameter − rate / c₁ · first / (√second / c₂ + eps)
// gradient ← 0
//
// rates (2) = (rate, kept), kept = 1 − rate · weight decay; report (4) has the
// coefficient and scale, and whether to skip, see clip_coefficient.wgsl: a skipped
// step only clears the gradient. corrections (2) = (c₁, c₂), see
// bias_corrections.wgsl. The other four have one shape, read as one axis; all f32.
// Where all four are 0, as between parameters, they stay 0.
// = torch.optim.AdamW.step, then zero_grad.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
  beta1: f32,
  beta2: f32,
  new_first: f32, // 1 − β₁, rounded once
  new_second: f32, // 1 − β₂, rounded once
  eps: f32,
}

@group(0) @binding(0) var<storage, read> rates: array<f32>;
@group(0) @binding(1) var<storage, read> report: array<f32>;
@group(0) @binding(2) var<storage, read> corrections: array<f32>;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(5) var<storage, read_write> first_moments: array<f32>;
@group(0) @binding(6) var<storage, read_write> second_moments: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let gradient = gradients[index] * (report[1] / report[3]);
  gradients[index] = 0.0;
  if report[2] != 0.0 { return; }

  // Written as torch.lerp is, whose result is exact at both ends.
  var first = first_moments[index];
  if p.new_first < 0.5 {
    first += p.new_first * (gradient - first);
  } else {
    first = gradient - p.beta1 * (gradient - first);
  }
  let second = p.beta2 * second_moments[index] +
    p.new_second * gradient * gradient;
  first_moments[index] = first;
  second_moments[index] = second;

  let denominator = sqrt(second) / corrections[1] + p.eps;
  parameters[index] = rates[1] * parameters[index] -
    rates[0] / corrections[0] * first / denominator;
}
