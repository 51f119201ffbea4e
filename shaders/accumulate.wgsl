// target[i] = target[i] + scale[0] · x[i]
//
// target of any shape in f32, read as one axis; x like it, in f16 or f32; scale (1)
// in f32. Computes in f32. = target.add_(x * scale), how PyTorch adds to `.grad`.
// Prepended type: SOURCE, the element type of x.
// Grid: one invocation per element, in groups of 64.

struct Params {
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<SOURCE>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> accumulated: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  accumulated[index] += scale[0] * f32(x[index]);
}
