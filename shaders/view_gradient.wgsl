// dx[j] = Σ dy[i] over all i with offset + Σ_d i_d · stride_d = j
//
// The adjoint of view.wgsl: what was sliced or transposed goes back to its place,
// what was seen several times is added up in a fixed order, and elements that the view
// left out become 0. The axes that move come by falling stride: of each, an invocation
// walks the indices from which the axes after it still reach its element; unless parts
// of the view overlap, there is at most one. Accumulates in f32.
// = the gradient of Tensor.narrow, permute, expand, unfold and to.
// Prepended types: SOURCE and TARGET, the element types of dy and dx.
// Grid: one invocation per element of dx, in groups of 64.

struct Params {
  stride: vec4<u32>, // of x, in elements, largest first; of unused axes 1
  length: vec4<u32>, // of the view along these axes; of unused axes 1
  step: vec4<u32>, // of dy along these axes
  reach: vec4<u32>, // how far the axes after each of these go in x
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
  var sum = 0.0;
  if index >= p.offset {
    let place = index - p.offset;
    for (var i = first(place, 0u); i <= last(place, 0u); i++) {
      let rest0 = place - i * p.stride.x;
      let at0 = i * p.step.x;
      for (var j = first(rest0, 1u); j <= last(rest0, 1u); j++) {
        let rest1 = rest0 - j * p.stride.y;
        let at1 = at0 + j * p.step.y;
        for (var k = first(rest1, 2u); k <= last(rest1, 2u); k++) {
          let rest2 = rest1 - k * p.stride.z;
          let at2 = at1 + k * p.step.z;
          for (var l = first(rest2, 3u); l <= last(rest2, 3u); l++) {
            sum += repeated(at2 + l * p.step.w);
          }
        }
      }
    }
  }
  dx[index] = TARGET(sum);
}

// The first and the last index of an axis from which an element is reached that lies
// so far on; none where the first is the greater.
fn first(place: u32, axis: u32) -> u32 {
  let rest = place - min(place, p.reach[axis]);
  return (rest + p.stride[axis] - 1u) / p.stride[axis];
}

fn last(place: u32, axis: u32) -> u32 {
  return min(place / p.stride[axis], p.length[axis] - 1u);
}

fn repeated(at: u32) -> f32 {
  var sum = 0.0;
  for (var a = 0u; a < p.repeat_length.x; a++) {
    for (var b = 0u; b < p.repeat_length.y; b++) {
      for (var c = 0u; c < p.repeat_length.z; c++) {
        for (var d = 0u; d < p.repeat_length.w; d++) {
          sum += f32(dy[at + a * p.repeat_step.x + b * p.repeat_step.y +
            c * p.repeat_step.z + d * p.repeat_step.w]);
        }
      }
    }
  }
  return sum;
}
