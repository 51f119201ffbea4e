// y[i0, i1, i2, i3] = x[offset + Σ_d i_d · stride_d]
//
// A copy for every view that needs another memory order: slice, transpose, repeat
// (stride 0) and change of element type.
// = Tensor.narrow, permute, expand, to, made contiguous.
// Prepended types: SOURCE and TARGET, the element types of x and y.
// Grid: one invocation per element of y, in groups of 64.

struct Params {
  shape: vec4<u32>, // of y, padded in front with ones
  stride: vec4<u32>, // of x, in elements, along y's axes
  offset: u32,
  total: u32,
}

@group(0) @binding(0) var<storage, read> x: array<SOURCE>;
@group(0) @binding(1) var<storage, read_write> y: array<TARGET>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  let i3 = index % p.shape.w;
  let i2 = (index / p.shape.w) % p.shape.z;
  let i1 = (index / (p.shape.w * p.shape.z)) % p.shape.y;
  let i0 = index / (p.shape.w * p.shape.z * p.shape.y);
  let at = vec4<u32>(i0, i1, i2, i3) * p.stride;
  y[index] = TARGET(x[p.offset + at.x + at.y + at.z + at.w]);
}
