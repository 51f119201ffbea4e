// state = (scale, clean steps, steps, unused) after one step
//
// scale: factor of the loss, so that small gradients do not vanish in f16
// clean steps: since the scale last changed or a step was skipped
// steps: how many were taken; skipped ones do not count
//
// After a skipped step the scale is multiplied by `backoff`; after `interval`
// clean steps by `growth`, unless that is infinite. state (4) and report (4), see
// clip_coefficient.wgsl, in f32, which holds whole numbers up to 2²⁴.
// = GradScaler.update, and the step that Adam counts.
// Grid: one invocation.

struct Params {
  growth: f32,
  backoff: f32,
  interval: u32,
}

@group(0) @binding(0) var<storage, read> report: array<f32>;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(1)
fn main() {
  if report[2] != 0.0 {
    state[0] *= p.backoff;
    state[1] = 0.0;
    return;
  }
  state[2] += 1.0;
  let clean = state[1] + 1.0;
  if u32(clean) < p.interval {
    state[1] = clean;
    return;
  }
  let grown = state[0] * p.growth;
  if (bitcast<u32>(grown) & 0x7f800000u) != 0x7f800000u { state[0] = grown; }
  state[1] = 0.0;
}
