// report = (norm, coefficient, skipped, scale) of one step
//
// norm = √(Σ norms[k]) / scale, the norm of all gradients before they were scaled
// coefficient = min(1, max_norm / (norm + 10⁻⁶)); 1 where max_norm is negative
// skipped = 1 if norm is not finite, and then coefficient = 0; else 0
// scale = state[0], the loss scale that the gradients were computed with
//
// norms (S) are the squared norms of the blocks of gradients; state (4), see
// loss_scale_update.wgsl; max_norm (1); report (4); all in f32.
// = torch.nn.utils.clip_grad_norm_ after GradScaler.unscale_.
// Grid: one invocation.

struct Params {
  blocks: u32, // S
}

@group(0) @binding(0) var<storage, read> norms: array<f32>;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read> max_norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> report: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(1)
fn main() {
  var squared = 0.0;
  for (var k = 0u; k < p.blocks; k++) { squared += norms[k]; }
  let scale = state[0];
  let bound = max_norm[0];
  // By its bits: WGSL lets a compiler assume that no float is infinite or NaN.
  let is_finite = (bitcast<u32>(squared) & 0x7f800000u) != 0x7f800000u;
  var norm = squared;
  var coefficient = 0.0;
  if is_finite {
    norm = sqrt(squared) / scale;
    coefficient = 1.0;
    if bound >= 0.0 { coefficient = min(1.0, bound / (norm + 1e-6)); }
  }
  report[0] = norm;
  report[1] = coefficient;
  report[2] = select(1.0, 0.0, is_finite);
  report[3] = scale;
}
