// dx[j] = Σ dy[i] over all i with offset + Σ_d i_d · stride_d = j
//
// The adjoint of view.wgsl: what was sliced or transposed goes back to its place,
// what was repeated (stride 0) is added up, and elements that the view left out
// become 0. The axes that move come by falling stride, so that an index has one
// decomposition. Accumulates in f32.
// = the gradient of Tensor.narrow, permute, expand and to.
// Prepended types: SOURCE and TARGET, the element types of dy and dx.
// Grid: one invocation per element of dx, in groups of 64.

struct Params {
  stride: vec4<u32>, // of x, in elements, largest first; of unused axes 1
  length: vec4<u32>, // of the view along these axes; of unused axes 1
  step: vec4<u32>, // of dy along these axes
  repeat_length: vec4<u32>, // of the axes that repeat
  repeat_step: vec4<u32>, // of dy along these
  offset: u32,
  total: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<SOURCE>;
@group(0) @binding(1) var<storage, read_write> dx: array<TARGET>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group_index(group, groups) * 64u + lane;
  if index >= p.total { return; }
  var rest = index - p.offset;
  var seen = index >= p.offset;
  let i0 = min(rest / p.stride.x, p.length.x - 1u);
  rest -= i0 * p.stride.x;
  let i1 = min(rest / p.stride.y, p.length.y - 1u);
  rest -= i1 * p.stride.y;
  let i2 = min(rest / p.stride.z, p.length.z - 1u);
  rest -= i2 * p.stride.z;
  let i3 = min(rest / p.stride.w, p.length.w - 1u);
  rest -= i3 * p.stride.w;
  seen = seen && rest == 0u;
  var sum = 0.0;
  if seen {
    let first = i0 * p.step.x + i1 * p.step.y + i2 * p.step.z + i3 * p.step.w;
    for (var a = 0u; a < p.repeat_length.x; a++) {
      for (var b = 0u; b < p.repeat_length.y; b++) {
        for (var c = 0u; c < p.repeat_length.z; c++) {
          for (var d = 0u; d < p.repeat_length.w; d++) {
            sum += f32(dy[first + a * p.repeat_step.x + b * p.repeat_step.y +
              c * p.repeat_step.z + d * p.repeat_step.w]);
          }
        }
      }
    }
  }
  dx[index] = TARGET(sum);
}
