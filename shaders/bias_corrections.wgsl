// corrections = (1 − β₁^t, √(1 − β₂^t))
//
// t = state[2], the steps taken; see loss_scale_update.wgsl. corrections (2) and
// state (4) in f32. = bias_correction1 and bias_correction2 ** 0.5 of torch.optim.
//
// 1 − β^t = −expm1(t · ln β), with ln β computed in f64 by the host: the logarithm
// of a number so near 1 would lose most of its digits in f32. Below 1 in size,
// expm1 is its power series, since 1 − exp(x) would cancel; beyond, exp(x) is so
// small that the rounding of x no longer shows.
// Grid: one invocation.

struct Params {
  log_beta1: f32,
  log_beta2: f32,
}

@group(0) @binding(0) var<storage, read> state: array<f32>;
@group(0) @binding(1) var<storage, read_write> corrections: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

// 1 − exp(x) for x ≤ 0, to f32's precision.
fn one_minus_exp(x: f32) -> f32 {
  if x < -1.0 { return 1.0 - exp(x); }
  // x + x²/2! + … + x¹¹/11!, by Horner's rule; what is left out is below 2 · 10⁻⁹.
  var series = 1.0;
  for (var n = 11.0; n > 1.5; n -= 1.0) { series = 1.0 + series * x / n; }
  return -x * series;
}

@compute @workgroup_size(1)
fn main() {
  corrections[0] = one_minus_exp(state[2] * p.log_beta1);
  corrections[1] = sqrt(one_minus_exp(state[2] * p.log_beta2));
}
